package mbox

import (
	"bytes"
	"io"
)

const fromWord = "From "

// quoter copies a message and puts ">" before the word in each line that
// matches ">*From ". Behind the ">"s that are there it is the same as before
// them, so that none need be kept.
type quoter struct {
	out io.Writer
	// matched is how much of fromWord the line has so far, behind any ">"s;
	// those bytes are held back. Without atStart the line is decided.
	atStart bool
	matched int
	empty   bool // no byte of the line was seen
}

func newQuoter(out io.Writer) *quoter { return &quoter{out: out, atStart: true, empty: true} }

// Write implements io.Writer; n counts bytes of p.
func (q *quoter) Write(p []byte) (n int, err error) {
	for rest := p; len(rest) > 0; {
		used, err := q.step(rest)
		if err != nil {
			return len(p) - len(rest), err
		}
		rest = rest[used:]
	}
	return len(p), nil
}

func (q *quoter) step(rest []byte) (used int, err error) {
	switch {
	case !q.atStart: // the rest of a decided line
		used = bytes.IndexByte(rest, '\n') + 1
		q.atStart, q.empty = used > 0, used > 0
		if used == 0 {
			used = len(rest)
		}
		_, err = q.out.Write(rest[:used])
		return used, err
	case q.matched == 0 && rest[0] == '>':
		q.empty = false
		_, err = q.out.Write(rest[:1])
		return 1, err
	case rest[0] == fromWord[q.matched]:
		if q.matched++; q.matched == len(fromWord) {
			_, err = io.WriteString(q.out, ">")
			return 1, firstError(err, q.release())
		}
		return 1, nil
	}
	return 0, q.release() // no From_ line after all; look at the byte again
}

// release writes what was held back; the line is decided.
func (q *quoter) release() error {
	_, err := io.WriteString(q.out, fromWord[:q.matched])
	q.matched, q.atStart, q.empty = 0, false, false
	return err
}

// finish ends the message: a last line without its LF gets one.
func (q *quoter) finish() error {
	if q.empty && q.matched == 0 {
		return nil
	}
	if err := q.release(); err != nil {
		return err
	}
	_, err := io.WriteString(q.out, "\n")
	return err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
