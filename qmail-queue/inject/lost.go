package inject

import (
	"bytes"
	"strings"

	"postrider/internal/header"
)

// lostRecipients refuses a header that is ended by a line which is no field
// while fields with recipients follow it. Those would be text, which shows
// everybody a Bcc, and get nothing (R48).
func (c *composer) lostRecipients(msg *message) error {
	if !c.req.usesHeader() || len(msg.start) == 0 {
		return nil
	}
	// What can be looked at without keeping it; an error is that there is less.
	more, _ := msg.body.Peek(lineBuffer)
	for line := range bytes.Lines(append(bytes.Clone(msg.start), more...)) {
		if text := string(line); text == "\n" || text == "\r\n" {
			return nil
		}
		if c.survey.rule(nearlyName(line)).kind == ofRecipients {
			return refuse("this line ends the header:\n" + shown(string(msg.start)) + "(and recipients follow: " + shown(strings.TrimSpace(string(line))) + ")")
		}
	}
	return nil
}

// nearlyName is the name that a line begins with, without the bytes that no
// name has.
func nearlyName(line []byte) string {
	name, _, isField := bytes.Cut(line[:min(len(line), 2*longestRule)], []byte(":"))
	if !isField || header.Continues(string(line[:1])) {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r < 33 || r > 126 {
			return -1
		}
		return r
	}, string(name))
}
