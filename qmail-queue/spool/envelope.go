package spool

import (
	"bytes"
	"errors"

	"postrider/internal/address"
)

// envelope reads an envelope in qmail-queue's grammar (spec section 1.1),
// F sender NUL { T recipient NUL } NUL, piece by piece in bounded memory.
// Bytes after the end are ignored. Its input is hostile.
type envelope struct {
	state     envelopeState
	value     []byte // of the record so far
	sender    address.Address
	recipient func(address.Address) error
}

type envelopeState int

const (
	atStart     envelopeState = iota // nothing seen
	inSender                         // F and part of the sender
	betweenRcpt                      // a whole record; T or the end may follow
	inRcpt                           // T and part of a recipient
	atEnd                            // the closing NUL
)

var errGrammar = &refusal{code: exitGrammar}

// write takes the next piece.
func (e *envelope) write(p []byte) error {
	for len(p) > 0 && e.state != atEnd {
		switch e.state {
		case atStart:
			if p[0] != 'F' {
				return errGrammar
			}
			e.state, p = inSender, p[1:]
		case betweenRcpt:
			switch p[0] {
			case 0:
				e.state = atEnd
			case 'T':
				e.state = inRcpt
			default:
				return errGrammar
			}
			p = p[1:]
		case inSender, inRcpt:
			n, err := e.collect(p)
			if err != nil {
				return err
			}
			p = p[n:]
		}
	}
	return nil
}

// collect takes bytes of an address up to its NUL and returns how many.
func (e *envelope) collect(p []byte) (int, error) {
	end := bytes.IndexByte(p, 0)
	piece := p
	if end >= 0 {
		piece = p[:end]
	}
	if len(e.value)+len(piece) > address.MaxLen {
		return 0, &refusal{code: exitTooLong}
	}
	e.value = append(e.value, piece...)
	if end < 0 {
		return len(p), nil
	}
	a, err := address.New(string(e.value))
	if err != nil {
		return 0, badAddress(err)
	}
	e.value = e.value[:0]
	if e.state == inSender {
		e.sender = a
	} else if err := e.recipient(a); err != nil {
		return 0, err
	}
	e.state = betweenRcpt
	return end + 1, nil
}

func badAddress(err error) error {
	if errors.Is(err, address.ErrTooLong) {
		return &refusal{code: exitTooLong}
	}
	return &refusal{code: exitRefused, text: "envelope " + err.Error() + " (#5.1.3)"}
}

// complete returns nil if the whole envelope was seen.
func (e *envelope) complete() error {
	if e.state != atEnd {
		return errGrammar
	}
	return nil
}
