package filter

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"time"

	"postrider/internal/logline"
)

const (
	// maxLines is how many lines of a program are logged, maxLine how much of
	// each.
	maxLines = 20
	maxLine  = 300
	// maxSaid is as much as a text for the client may have (spec section 1.3).
	maxSaid = 255
	// outputWait is how long a program that has ended may leave its descriptor
	// 2 open to a background process.
	outputWait = time.Second
)

// output is descriptor 2 of a program: its lines are logged.
type output struct {
	m     *message
	write *os.File
	read  *os.File
	ended chan string // one value: the beginning of what was said
}

func newOutput(m *message) (*output, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	o := &output{m: m, write: w, read: r, ended: make(chan string, 1)}
	go o.copy()
	return o, nil
}

// started gives up our end of what the program has now.
func (o *output) started() { _ = o.write.Close() } // nothing was written to it

// end returns the beginning of what the program, now gone, has said.
func (o *output) end() string {
	_ = o.read.SetReadDeadline(time.Now().Add(outputWait)) // a pipe of ours can
	said := <-o.ended
	_ = o.read.Close() // only read from
	return said
}

func (o *output) copy() {
	var said strings.Builder
	in := bufio.NewReaderSize(o.read, 1<<10)
	lines := 0
	for {
		piece, err := in.ReadSlice('\n')
		if room := maxSaid - said.Len(); room > 0 {
			said.Write(piece[:min(len(piece), room)])
		}
		if text := strings.TrimRight(string(piece), "\r\n"); text != "" {
			if lines++; lines <= maxLines {
				o.m.log.Status(logPrefix + o.m.program + ": " + logline.Safe(text[:min(len(text), maxLine)]))
			}
		}
		if err != nil && err != bufio.ErrBufferFull {
			break
		}
	}
	if lines > maxLines {
		o.m.log.Status(logPrefix + o.m.program + ": and " + strconv.Itoa(lines-maxLines) + " more lines")
	}
	o.ended <- strings.TrimRight(said.String(), "\r\n")
}
