// Package vlookup is the protocol by which qmail-lookup has qmail-vlookup look
// into the home of an account that only that one may read.
//
// Imported by the room of both. Who answers trusts nothing: what a home holds
// is looked at with the rights of one user, who is not root, and a qmail-lookup
// that was taken over learns no more than verdicts. Who asks believes the answer.
//
// # Protocol
//
// Questions and answers of internal/wire/call. A question is
//
//	H home dash ext    is there a mailbox for this extension?
//
// with the fields as strings of internal/wire/codec, which accounts.Recipient
// explains: home is absolute and has at most MaxHome bytes, dash at most MaxDash,
// ext at most as many as an address. The answer is one of internal/wire/lookup.
//
// No answer means that this is not known now.
package vlookup

import (
	"errors"
	"strings"
	"time"

	"postrider/internal/accounts"
	"postrider/internal/address"
	"postrider/internal/wire/call"
	"postrider/internal/wire/codec"
	"postrider/internal/wire/lookup"
)

// Limits of the protocol.
const (
	MaxHome = 4096
	MaxDash = 256
	MaxExt  = address.MaxLen
)

const kindHome = 'H'

var errQuestion = errors.New("question is not of the form that the protocol has")

// Ask asks whether an account has a mailbox for an extension, and waits for the
// answer, no longer than for the given time. An error is temporary.
func Ask(c *call.Client, user accounts.Recipient, wait time.Duration) (lookup.Answer, error) {
	if !isSound(user) {
		return lookup.Answer{}, errQuestion
	}
	answer, err := c.Ask(appendQuestion(nil, user), wait)
	if err != nil {
		return lookup.Answer{}, err
	}
	return lookup.ParseAnswer(answer)
}

// Reply answers a question by what find says. Of the account it knows home, dash
// and extension.
func Reply(question []byte, find func(accounts.Recipient) lookup.Answer) []byte {
	user, err := parseQuestion(question)
	if err != nil {
		return lookup.AppendAnswer(nil, lookup.Answer{Verdict: lookup.Unsure, Text: err.Error()})
	}
	return lookup.AppendAnswer(nil, find(user))
}

func appendQuestion(b []byte, user accounts.Recipient) []byte {
	b = append(b, kindHome)
	for _, field := range []string{user.Home, user.Dash, user.Ext} {
		b = codec.AppendString(b, field)
	}
	return b
}

func parseQuestion(b []byte) (user accounts.Recipient, err error) {
	r := codec.NewReader(b)
	if r.Uint8() != kindHome {
		return user, errQuestion
	}
	user = accounts.Recipient{Home: r.String(MaxHome), Dash: r.String(MaxDash), Ext: r.String(MaxExt)}
	if err := r.Done(); err != nil {
		return accounts.Recipient{}, err
	}
	if !isSound(user) {
		return accounts.Recipient{}, errQuestion
	}
	return user, nil
}

// isSound tells whether a question may be asked about an account.
func isSound(user accounts.Recipient) bool {
	return strings.HasPrefix(user.Home, "/") && len(user.Home) <= MaxHome && len(user.Dash) <= MaxDash && len(user.Ext) <= MaxExt &&
		!strings.ContainsRune(user.Home+user.Dash+user.Ext, 0)
}
