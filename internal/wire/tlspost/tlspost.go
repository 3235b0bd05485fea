// Package tlspost is the protocol by which qmail-tlsrpt has qmail-tlspost send a
// report to a web server.
//
// Imported by the rooms of both. Who sends trusts nothing: a URL is what a
// domain's record in the DNS says, and a qmail-tlsrpt that was taken over can
// name any. Who asks believes the answer: at worst a report is sent again, or not
// at all.
//
// # Protocol
//
// Questions and answers of internal/wire/call. A question is the URL as a string
// of internal/wire/codec, of up to tlsrpt.MaxURL bytes, and then the report, the
// JSON of RFC 8460 in gzip. The answer is a byte, and behind it why, in up to 256
// printable bytes of ASCII:
//
//	K   the server has it
//	Z   it does not have it now
//	D   it will not have it
//
// No answer means the same as Z.
package tlspost

import (
	"errors"
	"fmt"
	"time"

	"postrider/internal/tlsrpt"
	"postrider/internal/wire/call"
	"postrider/internal/wire/codec"
)

const (
	kindTaken   = 'K'
	kindLater   = 'Z'
	kindRefused = 'D'

	// MaxText is the most bytes of why.
	MaxText = 256
	// MaxReport is the most bytes of a report.
	MaxReport = call.MaxBody - 4 - tlsrpt.MaxURL
)

var (
	errAnswer   = errors.New("answer is not of the form that the protocol has")
	errQuestion = errors.New("question is not of the form that the protocol has")
)

// Refused says that a server will not have a report, and why.
type Refused struct{ Text string }

func (r *Refused) Error() string { return r.Text }

// Post has a report sent, and waits no longer than for the given time. An error
// is temporary unless it is a *Refused.
func Post(c *call.Client, url string, report []byte, wait time.Duration) error {
	if len(report) > MaxReport {
		return &Refused{fmt.Sprintf("it has more than %d bytes", MaxReport)}
	}
	answer, err := c.Ask(append(codec.AppendString(nil, url), report...), wait)
	if err != nil {
		return err
	}
	return parseAnswer(answer)
}

// Reply answers a question by what post says: nil, an error, or a *Refused.
func Reply(question []byte, post func(url string, report []byte) error) []byte {
	url, report, err := parseQuestion(question)
	if err == nil {
		err = post(url, report)
	}
	var refused *Refused
	switch {
	case err == nil:
		return []byte{kindTaken}
	case errors.As(err, &refused):
		return appendText([]byte{kindRefused}, refused.Text)
	}
	return appendText([]byte{kindLater}, err.Error())
}

func parseQuestion(b []byte) (url string, report []byte, err error) {
	r := codec.NewReader(b)
	url = r.String(tlsrpt.MaxURL)
	if r.Err() == nil {
		report = b[codec.StringSize(url):]
	}
	if r.Err() != nil || !tlsrpt.IsURL(url) || len(report) == 0 || len(report) > MaxReport {
		return "", nil, &Refused{errQuestion.Error()}
	}
	return url, report, nil
}

func parseAnswer(b []byte) error {
	if len(b) == 0 || len(b) > 1+MaxText {
		return errAnswer
	}
	text := string(b[1:])
	for i := range len(text) {
		if !isPrintable(text[i]) {
			return errAnswer
		}
	}
	switch b[0] {
	case kindTaken:
		if text == "" {
			return nil
		}
	case kindLater:
		return errors.New(text)
	case kindRefused:
		return &Refused{text}
	}
	return errAnswer
}

// appendText makes any text one that the protocol allows.
func appendText(b []byte, text string) []byte {
	for i := range min(len(text), MaxText) {
		c := text[i]
		if !isPrintable(c) {
			c = '?'
		}
		b = append(b, c)
	}
	return b
}

func isPrintable(c byte) bool { return ' ' <= c && c <= '~' }
