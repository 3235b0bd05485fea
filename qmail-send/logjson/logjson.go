// Package logjson is qmail-logjson: it reads lines of the suite's log and writes
// each as a JSON object, for those who collect logs in that form.
//
// Its main in cmd imports it. qmail-start runs it in front of the logger if
// control/logformat says json, with the logger's command line as arguments: it
// starts that program and is its standard input. It also turns an old log into
// JSON. A line that has no time in front gets that of its reading. Lines are cut
// at maxLine.
//
// Objects are written as soon as no more lines wait to be read, many in one
// write. If whoever reads them is gone, it ends: qmail-start starts it again.
//
// logjson.go converts; behind.go is the program behind it.
package logjson

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"postrider/internal/logread"
	"postrider/internal/world"
)

// maxLine is how much of a line is read.
const maxLine = 16 << 10

// Exit codes.
const (
	exitDone    = 0
	exitMisused = 100
	exitBad     = 111 // it cannot read or write
)

// Main reads lines until the end of standard input. Its exit code is that of
// the program behind it, if there is one.
func Main(w world.World) int {
	if len(w.Args) == 1 {
		return report(w, convert(w, w.Stdout))
	}
	if !strings.Contains(w.Args[1], "/") {
		_, _ = fmt.Fprint(w.Stderr, "qmail-logjson: usage: qmail-logjson [/path/of/logger [argument...]]\n")
		return exitMisused
	}
	behind, err := start(w)
	if err != nil {
		return report(w, err)
	}
	code := report(w, convert(w, behind.in))
	if ended := behind.wait(); code == exitDone {
		code = ended
	}
	return code
}

func report(w world.World, err error) int {
	if err == nil {
		return exitDone
	}
	_, _ = fmt.Fprintf(w.Stderr, "qmail-logjson: fatal: %v\n", err)
	return exitBad
}

// convert writes what is read, to its end.
func convert(w world.World, to io.Writer) error {
	in := bufio.NewReaderSize(w.Stdin, maxLine)
	out := bufio.NewWriterSize(to, 4*maxLine)
	var object []byte
	for continues := false; ; {
		piece, err := in.ReadSlice('\n')
		if len(piece) > 0 && !continues {
			now := w.Clock.Now()
			at, text := logread.Stamp(strings.TrimSuffix(string(piece), "\n"), now)
			if at.IsZero() {
				at = now
			}
			object = logread.Parse(text).AppendJSON(object[:0], at)
			if _, err := out.Write(object); err != nil {
				return err
			}
		}
		continues = errors.Is(err, bufio.ErrBufferFull)
		// More is there already, or is waited for with nothing held back.
		if err != nil || in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !continues:
			return err
		}
	}
}
