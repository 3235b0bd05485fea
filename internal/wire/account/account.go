// Package account is the protocol by which qmail-lspawn and qmail-lookup ask
// qmail-nss for an account that /etc/passwd does not have.
//
// Imported by the rooms of all three. Who answers trusts nothing: a name is
// part of an address that a client chose. Who asks believes the answer as it
// believes passwd: neither uid 0 nor one below the minimum gets mail from it.
//
// # Protocol
//
// Questions and answers of internal/wire/call. A question is
//
//	N name       who is that?
//
// with a name up to MaxName bytes. The answer is a byte of verdict and a text:
//
//	Y line       the account, as a line of passwd without its LF, up to MaxLine
//	             bytes; password, comment and shell are empty
//	N            there is none
//	T text       this is not known now: why, for the log, up to MaxText
//	             printable bytes of ASCII
//
// No answer means the same as T.
package account

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"postrider/internal/accounts"
	"postrider/internal/wire/call"
)

// Limits of the protocol.
const (
	MaxName = 256
	MaxLine = 4096 + 2*MaxName
	MaxText = 256
)

const (
	kindName = 'N'

	verdictFound   = 'Y'
	verdictUnknown = 'N'
	verdictUnsure  = 'T'
)

var (
	errQuestion = errors.New("question is not of the form that the protocol has")
	errAnswer   = errors.New("answer is not of the form that the protocol has")
)

// Ask asks for the account called name and waits for the answer, no longer than
// for the given time. The error accounts.ErrUnknown says that there is none,
// any other one that this is not known now.
func Ask(c *call.Client, name string, wait time.Duration) (accounts.Account, error) {
	if len(name) > MaxName {
		return accounts.Account{}, accounts.ErrUnknown
	}
	answer, err := c.Ask(append([]byte{kindName}, name...), wait)
	if err != nil {
		return accounts.Account{}, err
	}
	return parseAnswer(name, answer)
}

// Reply answers a question by what find says of its name.
func Reply(question []byte, find func(name string) (accounts.Account, error)) []byte {
	if len(question) < 2 || len(question) > 1+MaxName || question[0] != kindName {
		return appendUnsure(errQuestion)
	}
	name := string(question[1:])
	a, err := find(name)
	switch {
	case errors.Is(err, accounts.ErrUnknown):
		return []byte{verdictUnknown}
	case err != nil:
		return appendUnsure(err)
	}
	answer := fmt.Appendf(nil, "%c%s::%d:%d::%s:", verdictFound, a.Name, a.UID, a.GID, a.Home)
	if _, err := parseAnswer(name, answer); err != nil {
		return appendUnsure(err)
	}
	return answer
}

// appendUnsure makes any text one that the protocol allows.
func appendUnsure(err error) []byte {
	text := err.Error()
	b := []byte{verdictUnsure}
	for i := range min(len(text), MaxText) {
		c := text[i]
		if c < ' ' || c > '~' {
			c = '?'
		}
		b = append(b, c)
	}
	return b
}

func parseAnswer(name string, b []byte) (accounts.Account, error) {
	if len(b) == 0 || len(b) > 1+MaxLine {
		return accounts.Account{}, errAnswer
	}
	text := string(b[1:])
	switch b[0] {
	case verdictFound:
		a, ok := accounts.ParsePasswd(text)
		if !ok || a.Name != name || strings.ContainsAny(text, "\n\x00") {
			return accounts.Account{}, errAnswer
		}
		return a, nil
	case verdictUnknown:
		if text != "" {
			return accounts.Account{}, errAnswer
		}
		return accounts.Account{}, accounts.ErrUnknown
	case verdictUnsure:
		if len(text) <= MaxText {
			return accounts.Account{}, fmt.Errorf("qmail-nss: %s", text)
		}
	}
	return accounts.Account{}, errAnswer
}
