package qmailqueue

import (
	"bufio"

	"postrider/internal/enqueue"
)

// maxAddress is the longest address (spec section 1.1).
const maxAddress = 1002

// envelopeBuffer holds the longest address and what shows that one is longer.
const envelopeBuffer = 4096

// exit is an error of the caller's input that an exit code says all about.
type exit int

const (
	errTooLong exit = enqueue.ExitTooLong
	errRead    exit = enqueue.ExitRead
	errGrammar exit = enqueue.ExitGrammar
)

func (e exit) Error() string { return "bad input" }

// readEnvelope reads F sender NUL { T recipient NUL } NUL; what follows is
// ignored.
func readEnvelope(r *bufio.Reader, s *enqueue.Submission) error {
	letter, err := r.ReadByte()
	if err != nil {
		return errRead
	}
	if letter != 'F' {
		return errGrammar
	}
	if err := readAddress(r, s.Sender); err != nil {
		return err
	}
	for {
		letter, err := r.ReadByte()
		switch {
		case err != nil:
			return errRead
		case letter == 0:
			return nil
		case letter != 'T':
			return errGrammar
		}
		if err := readAddress(r, s.Recipient); err != nil {
			return err
		}
	}
}

func readAddress(r *bufio.Reader, take func(string) error) error {
	b, err := r.ReadSlice(0)
	if len(b) > maxAddress+1 || len(b) == maxAddress+1 && err != nil {
		return errTooLong
	}
	if err != nil {
		return errRead // the end came first: the caller gives up
	}
	return take(string(b[:len(b)-1]))
}

// codeOf returns the exit code for an error.
func codeOf(err error) int {
	if e, ok := err.(exit); ok {
		return int(e)
	}
	return enqueue.ExitCode(err)
}
