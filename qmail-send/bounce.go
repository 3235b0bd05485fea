package qmailsend

import (
	"strings"
	"time"

	"postrider/internal/address"
	"postrider/internal/maildate"
)

// doubleBounceSender is the envelope sender of a bounce of a bounce; a message
// from it is never bounced (spec 2.6).
const doubleBounceSender = "#@[]"

// paragraph is what a bounce says of one failed recipient: no empty line
// within, one behind (spec 2.6). An empty report adds no line.
func paragraph(recipient, report string) string {
	b := make([]byte, 0, len(recipient)+len(report)+8)
	b = append(b, '<')
	for i := range len(recipient) {
		c := recipient[i]
		if c == '\n' {
			c = '_'
		}
		b = append(b, c)
	}
	b = append(b, ">:\n"...)
	b = append(b, report...)
	if b[len(b)-1] != '\n' {
		b = append(b, '\n')
	}
	// Backwards, so that of several in a row the first stays; not the last byte.
	for i := len(b) - 2; i > 0; i-- {
		if b[i] == '\n' && b[i-1] == '\n' {
			b[i] = '/'
		}
	}
	return string(append(b, '\n'))
}

// notice is a bounce message but for the failures and the original message.
type notice struct {
	settings bounceSettings
	sender   string // of the original message
	double   bool   // the original message is a bounce
}

// newNotice returns the notice about a message from sender.
func newNotice(set bounceSettings, sender string) notice {
	return notice{settings: set, sender: bounceSender(sender), double: sender == ""}
}

// envelope returns sender and recipient of the bounce.
func (n notice) envelope() (sender, recipient string) {
	if n.double {
		return doubleBounceSender, n.settings.doubleTo + "@" + n.settings.doubleHost
	}
	return "", n.sender
}

// head is what precedes the failures.
func (n notice) head(now time.Time) string {
	_, to := n.envelope()
	var b strings.Builder
	b.WriteString("Date: " + maildate.Header(now) + "\n")
	b.WriteString("From: " + address.Quote(n.settings.from) + "@" + n.settings.host + "\n")
	b.WriteString("To: " + address.Quote(to) + "\n")
	b.WriteString("Subject: failure notice\n\n")
	b.WriteString("Hi. This is the qmail-send program at " + n.settings.host + ".\n")
	if n.double {
		b.WriteString("I tried to deliver a bounce message to this address, but the bounce bounced!\n\n")
	} else {
		b.WriteString("I'm afraid I wasn't able to deliver your message to the following addresses.\n")
		b.WriteString("This is a permanent error; I've given up. Sorry it didn't work out.\n\n")
	}
	return b.String()
}

// separator stands between the failures and the original message.
func (n notice) separator() string {
	line := "--- Below this line is a copy of the message.\n\n"
	if n.double {
		line = "--- Below this line is the original bounce.\n\n"
	}
	return line + "Return-Path: <" + address.Quote(n.sender) + ">\n"
}

// discards reports whether failures of a make no bounce: those of a double
// bounce never, those of a bounce if doublebounceto is empty.
func (s *scheduler) discards(a *active) bool {
	return a.sender.String() == doubleBounceSender || a.sender.IsNull() && s.settings.bounce.doubleTo == ""
}

func (s *scheduler) discardLine(a *active) string {
	kind := "double"
	if a.sender.String() == doubleBounceSender {
		kind = "triple"
	}
	return kind + " bounce: discarding bounce/" + a.m.id.String()
}
