package spool

import (
	"bytes"
	"errors"

	"postrider/internal/address"
	"postrider/internal/esmtp"
)

// envelope reads an envelope in qmail-queue's grammar (spec section 1.1),
// F sender NUL { T recipient NUL } NUL, with records of internal/esmtp behind
// the sender and before the recipients, piece by piece in bounded memory.
// Bytes after the end are ignored. Its input is hostile.
type envelope struct {
	state     envelopeState
	letter    byte   // of the record
	value     []byte // of the record so far
	sender    address.Address
	facts     esmtp.Message
	next      esmtp.Recipient // of the recipient that follows
	begun     bool            // facts of the message may not follow any more
	recipient func(address.Address, esmtp.Recipient) error
	// knowsUsers is that of its origin.
	knowsUsers bool
}

type envelopeState int

const (
	atStart  envelopeState = iota // nothing seen
	between                       // a whole record; another or the end may follow
	inRecord                      // a letter and part of the value
	atEnd                         // the closing NUL
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
			e.state, e.letter, p = inRecord, p[0], p[1:]
		case between:
			if err := e.begin(p[0]); err != nil {
				return err
			}
			p = p[1:]
		case inRecord:
			n, err := e.collect(p)
			if err != nil {
				return err
			}
			p = p[n:]
		}
	}
	return nil
}

// begin takes the letter of a record, or the NUL that ends the envelope.
func (e *envelope) begin(letter byte) error {
	none := e.next == esmtp.Recipient{}
	switch {
	case letter == 0 && none:
		e.state = atEnd
		return nil
	case letter == 'T', esmtp.IsRecipientRecord(letter):
		e.begun = true
	case esmtp.IsOurRecord(letter) && !e.knowsUsers:
		return errGrammar
	case esmtp.IsMessageRecord(letter) && !e.begun:
	default:
		return errGrammar
	}
	e.state, e.letter = inRecord, letter
	return nil
}

// collect takes bytes of a value up to its NUL and returns how many.
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
	value := string(e.value)
	e.value = e.value[:0]
	e.state = between
	return end + 1, e.take(value)
}

// take takes the value of a whole record.
func (e *envelope) take(value string) error {
	switch e.letter {
	case 'F', 'T':
		a, err := address.New(value)
		if err != nil {
			return badAddress(err)
		}
		if e.letter == 'F' {
			e.sender = a
			return nil
		}
		facts := e.next
		e.next = esmtp.Recipient{}
		return e.recipient(a, facts)
	}
	var err error
	if esmtp.IsMessageRecord(e.letter) {
		err = e.facts.Take(e.letter, value)
	} else {
		err = e.next.Take(e.letter, value)
	}
	if err != nil {
		return errGrammar
	}
	return nil
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
