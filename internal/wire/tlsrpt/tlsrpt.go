// Package tlsrpt is the protocol by which qmail-remote tells qmail-tlsrpt what
// sessions with other hosts found of their TLS.
//
// Imported by the rooms of both. Who is told trusts nothing: names and reasons
// are what the network says, and a qmail-remote that was taken over can tell
// anything.
//
// # Protocol
//
// Questions and answers of internal/wire/call. A question is one finding of
// internal/tlsrpt: the strings type and domain of the policy; a byte with the
// number of its strings, and those; the same of its mail exchangers; then a
// byte, 0 for a session that went well, or 1 and the strings result, sending
// address, mail exchanger, receiving address and reason. The answers are
//
//	K   it is counted
//	R   the question has not this form
//
// No answer is no harm: what was found is not counted.
package tlsrpt

import (
	"errors"
	"fmt"
	"time"

	"postrider/internal/tlsrpt"
	"postrider/internal/wire/call"
	"postrider/internal/wire/codec"
)

const (
	kindCounted = 'K'
	kindRefused = 'R'
)

var errAnswer = errors.New("answer is not of the form that the protocol has")

// Tell tells a finding.
func Tell(c *call.Client, f tlsrpt.Finding, wait time.Duration) error {
	answer, err := c.Ask(appendFinding(nil, f), wait)
	if err == nil && (len(answer) != 1 || answer[0] != kindCounted) {
		err = errAnswer
	}
	return err
}

// Reply answers a question; count takes what it told.
func Reply(question []byte, count func(tlsrpt.Finding)) []byte {
	f, err := decodeFinding(question)
	if err != nil {
		return []byte{kindRefused}
	}
	count(f)
	return []byte{kindCounted}
}

func appendFinding(b []byte, f tlsrpt.Finding) []byte {
	b = codec.AppendString(codec.AppendString(b, f.Policy.Type), f.Policy.Domain)
	b = appendList(appendList(b, f.Policy.Strings), f.Policy.MXHosts)
	if !f.Failed {
		return append(b, 0)
	}
	b = append(b, 1)
	for _, s := range []string{f.Failure.Result, f.Failure.SendingIP, f.Failure.MXHost, f.Failure.ReceivingIP, f.Failure.Reason} {
		b = codec.AppendString(b, s)
	}
	return b
}

func appendList(b []byte, list []string) []byte {
	b = append(b, byte(len(list)))
	for _, s := range list {
		b = codec.AppendString(b, s)
	}
	return b
}

// decodeFinding reads what appendFinding wrote, if it is valid.
func decodeFinding(b []byte) (f tlsrpt.Finding, err error) {
	r := codec.NewReader(b)
	f.Policy = tlsrpt.Policy{Type: r.String(tlsrpt.MaxString), Domain: r.String(tlsrpt.MaxName)}
	f.Policy.Strings, f.Policy.MXHosts = readList(r), readList(r)
	switch failed := r.Uint8(); failed {
	case 0:
	case 1:
		f.Failed = true
		f.Failure = tlsrpt.Failure{
			Result: r.String(tlsrpt.MaxString), SendingIP: r.String(tlsrpt.MaxString), MXHost: r.String(tlsrpt.MaxName),
			ReceivingIP: r.String(tlsrpt.MaxString), Reason: r.String(tlsrpt.MaxReason), Sessions: 1,
		}
	default:
		r.Fail(fmt.Errorf("byte %d where 0 or 1 belongs", failed))
	}
	if err := r.Done(); err != nil {
		return f, err
	}
	if !f.Valid() {
		return f, errors.New("finding is not valid")
	}
	return f, nil
}

// readList takes up to 255 strings; how many a policy has is for Valid to say.
func readList(r *codec.Reader) (list []string) {
	for range r.Uint8() {
		list = append(list, r.String(tlsrpt.MaxString))
	}
	return list
}
