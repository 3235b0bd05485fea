// Package lookup is the protocol by which qmail-smtpd and qmail-qmtpd ask
// qmail-lookup whether a recipient has a mailbox.
//
// Imported by the rooms of both. Who answers trusts nothing: an address is the
// client's, and a qmail-smtpd that was taken over can ask for any, which is all
// that it can do here. Who asks believes the answer.
//
// # Protocol
//
// Questions and answers of internal/wire/call. A question is
//
//	A address    is there a mailbox for this envelope recipient?
//
// with an address as internal/address has it, up to MaxLen bytes. The answer is
// a byte of verdict and a text for the log, up to MaxText printable bytes of
// ASCII, which may be empty:
//
//	Y text       there is one, or the mail goes to another host
//	N text       there is none: a delivery would fail for good
//	F text       there is one, and it holds as much as it may
//	T text       this is not known now
//
// No answer means the same as T.
package lookup

import (
	"errors"
	"time"

	"postrider/internal/address"
	"postrider/internal/wire/call"
)

// MaxText is the most bytes of a text.
const MaxText = 256

const kindAddress = 'A'

// Verdict is what is known of a recipient.
type Verdict byte

// The verdicts. None but Exists lets mail in.
const (
	Exists  Verdict = 'Y'
	Unknown Verdict = 'N'
	Full    Verdict = 'F'
	Unsure  Verdict = 'T'
)

// Answer is a verdict and why.
type Answer struct {
	Verdict Verdict
	Text    string
}

var (
	errQuestion = errors.New("question is not of the form that the protocol has")
	errAnswer   = errors.New("answer is not of the form that the protocol has")
)

// Ask asks for a recipient and waits for the answer, no longer than for the
// given time. An error is temporary, as Unsure is.
func Ask(c *call.Client, recipient address.Address, wait time.Duration) (Answer, error) {
	answer, err := c.Ask(appendQuestion(nil, recipient), wait)
	if err != nil {
		return Answer{}, err
	}
	return ParseAnswer(answer)
}

// Reply answers a question by what find says of its address.
func Reply(question []byte, find func(address.Address) Answer) []byte {
	recipient, err := parseQuestion(question)
	if err != nil {
		return AppendAnswer(nil, Answer{Unsure, err.Error()})
	}
	return AppendAnswer(nil, find(recipient))
}

func appendQuestion(b []byte, recipient address.Address) []byte {
	return append(append(b, kindAddress), recipient.String()...)
}

func parseQuestion(b []byte) (address.Address, error) {
	if len(b) == 0 || b[0] != kindAddress {
		return address.Address{}, errQuestion
	}
	return address.New(string(b[1:]))
}

// AppendAnswer appends the bytes of an answer. Any text becomes one that the
// protocol allows.
func AppendAnswer(b []byte, a Answer) []byte {
	b = append(b, byte(a.Verdict))
	for i := range min(len(a.Text), MaxText) {
		c := a.Text[i]
		if !isPrintable(c) {
			c = '?'
		}
		b = append(b, c)
	}
	return b
}

// ParseAnswer reads an answer.
func ParseAnswer(b []byte) (Answer, error) {
	if len(b) == 0 || len(b) > 1+MaxText {
		return Answer{}, errAnswer
	}
	a := Answer{Verdict(b[0]), string(b[1:])}
	switch a.Verdict {
	case Exists, Unknown, Full, Unsure:
	default:
		return Answer{}, errAnswer
	}
	for _, c := range b[1:] {
		if !isPrintable(c) {
			return Answer{}, errAnswer
		}
	}
	return a, nil
}

func isPrintable(c byte) bool { return ' ' <= c && c <= '~' }
