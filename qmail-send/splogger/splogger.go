// Package splogger is splogger: it gives the lines of a log, as qmail-start has
// it on standard input, to the syslog of the machine (spec section 8.5).
//
// Only its main in cmd imports it. Lines are those of our daemons, which have
// cleaned them, but anybody may start it with anything: a line has bounds, and
// bytes that syslogs stumble over become question marks.
//
// A syslog that is not there, or does not read, costs lines and never stops the
// daemons that log. How many were lost is logged as soon as it reads again.
//
// splogger.go cuts lines; syslog.go sends them.
package splogger

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"postrider/internal/world"
)

// maxPiece is the longest piece of a line in one message of syslog.
const maxPiece = 799

// Facility of mail, and the largest number of one (RFC 3164 section 4.1.1).
const (
	facilityMail = 2
	maxFacility  = 23
)

// Severities.
const (
	severityAlert   = 1
	severityWarning = 4
	severityInfo    = 6
)

// Exit codes.
const (
	exitDone  = 0
	exitUsage = 100
	exitBad   = 111 // standard input cannot be read
)

// Main reads lines until the end of standard input.
func Main(w world.World) int {
	tag, facility := "splogger", facilityMail
	if len(w.Args) > 1 {
		tag = w.Args[1]
	}
	if len(w.Args) > 2 {
		n, err := strconv.Atoi(w.Args[2])
		if err != nil || n < 0 || n > maxFacility {
			fmt.Fprintf(w.Stderr, "splogger: usage: splogger [ tag [ facility number, 0 to %d ] ]\n", maxFacility)
			return exitUsage
		}
		facility = n
	}
	s := &syslog{path: socketPath, tag: cleaned(tag), facility: facility, now: w.Clock.Now}
	defer s.close()
	if err := copyLines(w, s); err != nil {
		fmt.Fprintf(w.Stderr, "splogger: fatal: unable to read: %v\n", err)
		return exitBad
	}
	return exitDone
}

// copyLines gives each line to the syslog in pieces, those behind the first one
// with the stamp of that and a plus sign.
func copyLines(w world.World, s *syslog) error {
	in := bufio.NewReaderSize(w.Stdin, maxPiece)
	stamp, severity, continues := "", severityInfo, false
	for {
		piece, more, err := nextPiece(in)
		if len(piece) > 0 {
			if !continues {
				now := w.Clock.Now()
				stamp = fmt.Sprintf("%d.%06d", now.Unix(), now.Nanosecond()/1000)
				severity = severityOf(piece)
				s.send(severity, stamp+" "+cleaned(string(piece)))
			} else {
				s.send(severity, stamp+"+"+cleaned(string(piece)))
			}
		}
		continues = more
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// nextPiece returns what the buffer takes of the line. more says that the next
// piece, which may be empty, is of the same line.
func nextPiece(in *bufio.Reader) (piece []byte, more bool, err error) {
	piece, err = in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return piece, true, nil
	}
	return bytes.TrimSuffix(piece, []byte("\n")), false, err
}

func severityOf(line []byte) int {
	switch {
	case bytes.HasPrefix(line, []byte("alert:")):
		return severityAlert
	case bytes.HasPrefix(line, []byte("warning:")):
		return severityWarning
	}
	return severityInfo
}

// cleaned puts a question mark for each byte that is not printable ASCII.
func cleaned(text string) string {
	b := []byte(text)
	for i, c := range b {
		if c < 32 || c > 126 {
			b[i] = '?'
		}
	}
	return string(b)
}
