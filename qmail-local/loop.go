package qmaillocal

import (
	"bufio"
	"io"

	"postrider/internal/fate"
)

// loopBuffer is longer than any Delivered-To line of ours.
const loopBuffer = 4 << 10

// checkLoop refuses a message that was here before: one line of its header is
// our own Delivered-To line, byte by byte (spec section 4.5).
func (d *delivery) checkLoop() error {
	found, err := hasHeaderLine(d.message.reader(), d.lines.deliveredTo)
	if err != nil {
		return unreadable(err)
	}
	if found {
		return fate.Perm("4.6", "This message is looping: it already has my Delivered-To line. (#5.4.6)", "check loop", nil)
	}
	return nil
}

// hasHeaderLine looks for line up to the first empty line, or the last line
// if that has no LF.
func hasHeaderLine(message io.Reader, line string) (bool, error) {
	in := bufio.NewReaderSize(message, max(loopBuffer, len(line)+1))
	for {
		got, err := in.ReadSlice('\n')
		if err == nil && len(got) <= 1 {
			return false, nil
		}
		if err == nil && string(got) == line {
			return true, nil
		}
		for err == bufio.ErrBufferFull { // too long to be ours: pass over it
			_, err = in.ReadSlice('\n')
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}
