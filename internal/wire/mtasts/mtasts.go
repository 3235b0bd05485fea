// Package mtasts is the protocol by which qmail-remote asks qmail-mtasts what a
// domain says by MTA-STS (RFC 8461).
//
// Imported by the rooms of both. Who answers trusts nothing: a domain is that
// of a recipient, which anybody can have chosen. Who asks believes the answer:
// one that was forged makes mail wait, or go as without MTA-STS.
//
// # Protocol
//
// Questions and answers of internal/wire/call. A question is
//
//	D domain            what is the policy for mail to this domain?
//
// with a domain of 1 to 253 bytes as the DNS has it. The answer is one of
//
//	N                   there is none
//	P mode pattern ...  this one: a byte of mode, 't' or 'e', and 1 to 100
//	                    patterns of mail exchangers, each of 1 to 255 bytes and
//	                    with a zero byte behind it
//	T text              this is not known now, and why: up to 256 printable
//	                    bytes of ASCII
//
// No answer means the same as T.
package mtasts

import (
	"errors"
	"strings"
	"time"

	"postrider/internal/mtasts"
	"postrider/internal/wire/call"
)

// MaxText is the most bytes of a text.
const MaxText = 256

const (
	kindDomain  = 'D'
	kindNone    = 'N'
	kindPolicy  = 'P'
	kindUnknown = 'T'

	maxDomain = 253
)

var (
	errQuestion = errors.New("question is not of the form that the protocol has")
	errAnswer   = errors.New("answer is not of the form that the protocol has")
)

// Unknown says why the policy is not known now.
type Unknown struct{ Text string }

func (u *Unknown) Error() string { return u.Text }

// Ask asks for the policy of a domain, and waits no longer than for the given
// time. Without a policy its mode is None. An error is temporary.
func Ask(c *call.Client, domain string, wait time.Duration) (mtasts.Policy, error) {
	answer, err := c.Ask(append([]byte{kindDomain}, domain...), wait)
	if err != nil {
		return mtasts.Policy{}, err
	}
	return parseAnswer(answer)
}

// Reply answers a question by what find says of its domain.
func Reply(question []byte, find func(domain string) (mtasts.Policy, error)) []byte {
	domain, err := parseQuestion(question)
	if err != nil {
		return appendUnknown(nil, err)
	}
	p, err := find(domain)
	if err != nil {
		return appendUnknown(nil, err)
	}
	return appendPolicy(nil, p)
}

func parseQuestion(b []byte) (domain string, err error) {
	if len(b) < 2 || len(b) > 1+maxDomain || b[0] != kindDomain {
		return "", errQuestion
	}
	domain, ok := mtasts.Domain(string(b[1:]))
	if !ok {
		return "", errQuestion
	}
	return domain, nil
}

func appendPolicy(b []byte, p mtasts.Policy) []byte {
	if p.Mode != mtasts.Testing && p.Mode != mtasts.Enforce {
		return append(b, kindNone)
	}
	b = append(b, kindPolicy, byte(p.Mode))
	for _, name := range p.MX {
		b = append(append(b, name...), 0)
	}
	return b
}

// appendUnknown makes any text one that the protocol allows.
func appendUnknown(b []byte, err error) []byte {
	b = append(b, kindUnknown)
	text := err.Error()
	for i := range min(len(text), MaxText) {
		c := text[i]
		if !isPrintable(c) {
			c = '?'
		}
		b = append(b, c)
	}
	return b
}

func parseAnswer(b []byte) (mtasts.Policy, error) {
	none := mtasts.Policy{Mode: mtasts.None}
	if len(b) == 0 {
		return none, errAnswer
	}
	switch {
	case b[0] == kindNone && len(b) == 1:
		return none, nil
	case b[0] == kindPolicy:
		return parsePolicy(string(b[1:]))
	case b[0] == kindUnknown && len(b) <= 1+MaxText:
		for _, c := range b[1:] {
			if !isPrintable(c) {
				return none, errAnswer
			}
		}
		return none, &Unknown{string(b[1:])}
	}
	return none, errAnswer
}

func parsePolicy(s string) (p mtasts.Policy, err error) {
	if !strings.HasSuffix(s, "\x00") {
		return p, errAnswer
	}
	p.Mode = mtasts.Mode(s[0])
	if p.Mode != mtasts.Testing && p.Mode != mtasts.Enforce {
		return p, errAnswer
	}
	for name := range strings.SplitSeq(s[1:len(s)-1], "\x00") {
		kept, ok := mtasts.Pattern(name)
		if !ok || kept != name || len(p.MX) == mtasts.MaxMX {
			return p, errAnswer
		}
		p.MX = append(p.MX, name)
	}
	return p, nil
}

func isPrintable(c byte) bool { return ' ' <= c && c <= '~' }
