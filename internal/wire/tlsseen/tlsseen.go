// Package tlsseen is the protocol by which qmail-remote tells qmail-tlsseen
// which hosts have spoken TLS, and asks when one did last.
//
// Imported by the rooms of both. Who answers trusts nothing: names of hosts are
// whatever the DNS says, and a qmail-remote that was taken over can tell
// anything. Who asks believes the answer: one that was forged makes mail wait,
// or go in plain text to a host that offers no TLS.
//
// # Protocol
//
// Questions and answers of internal/wire/call. A question is
//
//	S host      it has spoken TLS just now
//	A host      when did it last?
//
// with 1 to MaxHost printable bytes of ASCII without blanks: a name in lower
// case, or an address. The answers are
//
//	K           it is remembered
//	D days      it did on that day, counted from 1970-01-01 in UTC: 32 bits,
//	            big-endian
//	N           nothing is known of it
//	T           what is remembered cannot be read now
//	R           the question has not this form
//
// No answer, or another one, is trouble, and temporary.
package tlsseen

import (
	"encoding/binary"
	"errors"
	"time"

	"postrider/internal/wire/call"
)

// MaxHost is the most bytes of a host.
const MaxHost = 255

const (
	kindSeen    = 'S'
	kindAsk     = 'A'
	kindKept    = 'K'
	kindDay     = 'D'
	kindNone    = 'N'
	kindTrouble = 'T'
	kindRefused = 'R'
)

var (
	errAnswer  = errors.New("answer is not of the form that the protocol has")
	errTrouble = errors.New("what is remembered cannot be read now")
)

// Day is a day in UTC, counted from 1970-01-01.
type Day uint32

// DayOf returns the day of a time.
func DayOf(t time.Time) Day { return Day(max(t.Unix(), 0) / (24 * 60 * 60)) }

// Time returns the beginning of the day.
func (d Day) Time() time.Time { return time.Unix(int64(d)*24*60*60, 0).UTC() }

// Memory is what the one who answers has. An error says that it is not known now
// whether a host is remembered.
type Memory interface {
	Saw(host string)
	Last(host string) (day Day, known bool, err error)
}

// Tell says that a host has spoken TLS.
func Tell(c *call.Client, host string, wait time.Duration) error {
	answer, err := c.Ask(append([]byte{kindSeen}, host...), wait)
	if err == nil && (len(answer) != 1 || answer[0] != kindKept) {
		err = errAnswer
	}
	return err
}

// Ask asks when a host spoke TLS last.
func Ask(c *call.Client, host string, wait time.Duration) (day Day, known bool, err error) {
	answer, err := c.Ask(append([]byte{kindAsk}, host...), wait)
	if err != nil {
		return 0, false, err
	}
	return parseAnswer(answer)
}

func parseAnswer(b []byte) (day Day, known bool, err error) {
	switch {
	case len(b) == 1 && b[0] == kindNone:
		return 0, false, nil
	case len(b) == 1 && b[0] == kindTrouble:
		return 0, false, errTrouble
	case len(b) == 5 && b[0] == kindDay:
		return Day(binary.BigEndian.Uint32(b[1:])), true, nil
	}
	return 0, false, errAnswer
}

// Reply answers a question from a memory.
func Reply(question []byte, m Memory) []byte {
	host := string(question[1:])
	if !IsHost(host) {
		return []byte{kindRefused}
	}
	switch question[0] {
	case kindSeen:
		m.Saw(host)
		return []byte{kindKept}
	case kindAsk:
		switch day, known, err := m.Last(host); {
		case err != nil:
			return []byte{kindTrouble}
		case known:
			return binary.BigEndian.AppendUint32([]byte{kindDay}, uint32(day))
		}
		return []byte{kindNone}
	}
	return []byte{kindRefused}
}

// IsHost reports whether the protocol can carry a host.
func IsHost(host string) bool {
	if host == "" || len(host) > MaxHost {
		return false
	}
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c > '~' || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}
