package milterwire

import (
	"bytes"
	"strconv"
	"strings"
)

// Verdict is what a milter decides at a step.
type Verdict byte

// The verdicts.
const (
	Continue Verdict = 'c'
	Accept   Verdict = 'a' // the rest of the transaction does not concern it
	Discard  Verdict = 'd' // the message is taken and forgotten
	Refuse   Verdict = 'y' // with the reply

	// Those that other verdicts are made of.
	reject   = 'r'
	tempFail = 't'
	skip     = 's'
	progress = 'p'
)

// Reply is an SMTP reply of a milter.
type Reply struct {
	Code     int
	Enhanced string // of the same class
	Text     string // printable; lines separated by LF
}

// Action is a verdict with its reply, if it has one.
type Action struct {
	Verdict Verdict
	Reply   Reply
}

// The replies of milters that give none, as Sendmail has them.
var (
	Rejected = Reply{550, "5.7.1", "Command rejected"}
	TryAgain = Reply{451, "4.7.1", "Service unavailable - try again later"}
)

const (
	maxReplyLines = 20
	maxReplyLine  = 500
)

// parseAction reads a packet that is a verdict.
func parseAction(letter byte, data []byte) (Action, error) {
	switch Verdict(letter) {
	case Continue, Accept, Discard:
		return Action{Verdict: Verdict(letter)}, nil
	case reject:
		return Action{Refuse, Rejected}, nil
	case tempFail:
		return Action{Refuse, TryAgain}, nil
	case Refuse:
		reply, err := ParseReply(data)
		return Action{Refuse, reply}, err
	}
	return Action{}, broken("unexpected answer %q", letter)
}

// ParseReply reads a reply as it would go to a client, and ends with NUL. All
// lines must have one code.
func ParseReply(data []byte) (Reply, error) {
	text, _, ended := bytes.Cut(data, []byte{0})
	lines := strings.Split(strings.TrimRight(string(text), "\r\n"), "\n")
	if !ended || len(lines) > maxReplyLines {
		return Reply{}, broken("reply of %d bytes and %d lines", len(data), len(lines))
	}
	var r Reply
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		if len(line) < 3 || len(line) > maxReplyLine || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
			return Reply{}, broken("reply %q", line)
		}
		code, err := strconv.Atoi(line[:3])
		if err != nil || code < 400 || code > 599 || i > 0 && code != r.Code {
			return Reply{}, broken("reply %q", line)
		}
		enhanced, rest := cutEnhanced(line[min(4, len(line)):], line[0])
		if r.Code = code; i == 0 {
			r.Enhanced = enhanced
		} else {
			r.Text += "\n"
		}
		r.Text += printable(rest)
	}
	if r.Enhanced == "" {
		r.Enhanced = string(lines[0][0]) + ".7.1"
	}
	return r, nil
}

// cutEnhanced takes an enhanced code of the class off a text (RFC 2034).
func cutEnhanced(text string, class byte) (enhanced, rest string) {
	word, rest, _ := strings.Cut(text, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 || parts[0] != string(class) {
		return "", text
	}
	for _, part := range parts[1:] {
		if n, err := strconv.Atoi(part); err != nil || n < 0 || n > 999 || len(part) > 3 {
			return "", text
		}
	}
	return word, rest
}

func printable(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}
