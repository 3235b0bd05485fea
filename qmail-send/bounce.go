package qmailsend

import (
	"strconv"
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

// noticeKind is what a notice tells.
type noticeKind int

const (
	failureNotice noticeKind = iota
	doubleBounce             // a bounce could not be delivered
	delayNotice
	successNotice
)

// notice is a message to the sender of another one: its words, but for what
// they say of recipients.
type notice struct {
	settings bounceSettings
	kind     noticeKind
	sender   string // of the original message
	arrival  time.Time
	short    bool // only the header of the original message comes with it

	// Of a delay:
	attempts int // so far
	next     time.Time
	until    time.Time
}

// newBounce returns the notice of failures of a message from sender.
func newBounce(set bounceSettings, sender string) notice {
	n := notice{settings: set, sender: bounceSender(sender)}
	if sender == "" {
		n.kind = doubleBounce
	}
	return n
}

// newSuccess returns the notice of successes of a message from sender.
func newSuccess(set bounceSettings, sender string) notice {
	return notice{settings: set, kind: successNotice, sender: bounceSender(sender), short: true}
}

// envelope returns sender and recipient of the notice.
func (n notice) envelope() (sender, recipient string) {
	if n.kind == doubleBounce {
		return doubleBounceSender, n.settings.doubleTo + "@" + n.settings.doubleHost
	}
	return "", n.sender
}

// isBounce reports whether n tells of failures.
func (n notice) isBounce() bool { return n.kind == failureNotice || n.kind == doubleBounce }

// header returns the header, which says what follows boundary (RFC 6522). The
// field Auto-Submitted keeps other programs from answering (RFC 3834).
func (n notice) header(now time.Time, boundary string) string {
	_, to := n.envelope()
	subject := "failure notice"
	switch n.kind {
	case delayNotice:
		subject = "delay notice"
	case successNotice:
		subject = "success notice"
	}
	return "Date: " + maildate.Header(now) + "\n" +
		"From: " + address.Quote(n.settings.from) + "@" + n.settings.host + "\n" +
		"To: " + address.Quote(to) + "\n" +
		"Subject: " + subject + "\n" +
		"Auto-Submitted: auto-replied\n" +
		"MIME-Version: 1.0\n" +
		"Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"" + boundary + "\"\n" +
		"Content-Transfer-Encoding: 8bit\n\n"
}

// qsbmf is what programs read that know qmail's bounces (QSBMF, spec 2.6): the
// words before the failures. It stands where others see nothing, before the
// first part. Other notices have none: such programs would take them for a
// failure.
func (n notice) qsbmf() string {
	head := "Hi. This is the qmail-send program at " + n.settings.host + ".\n"
	if n.kind == doubleBounce {
		return head + "I tried to deliver a bounce message to this address, but the bounce bounced!\n\n"
	}
	return head + "I'm afraid I wasn't able to deliver your message to the following addresses.\n" +
		"This is a permanent error; I've given up. Sorry it didn't work out.\n\n"
}

// separator ends the failures of qsbmf.
func (n notice) separator() string {
	if n.kind == doubleBounce {
		return "--- Below this line is the original bounce.\n\n"
	}
	return "--- Below this line is a copy of the message.\n\n"
}

// words returns what a person reads before and behind what is said of the
// recipients.
func (n notice) words() (before, behind string) {
	before = "This is the mail server at " + n.settings.host + ".\n\n"
	what := "your message"
	switch n.kind {
	case doubleBounce:
		before += "A notice of failure from this address could not be delivered to its sender:\n\n"
		what = "that notice"
	case delayNotice:
		before += "Your message has not been delivered yet to the following addresses. You need\n" +
			"not send it again: the server goes on trying.\n\n"
		behind = n.schedule()
	case successNotice:
		before += "As you wished to know: your message was delivered to the following addresses,\n" +
			"or handed to a server that will not tell you more.\n\n"
	default:
		before += "Your message could not be delivered to the following addresses. The server\n" +
			"will not try again. What went wrong:\n\n"
	}
	if n.short {
		return before, behind + "The header of " + what + " comes with this notice.\n"
	}
	return before, behind + "A copy of " + what + " comes with this notice.\n"
}

// schedule says when a delayed message was and will be tried.
func (n notice) schedule() string {
	times := "once"
	if n.attempts != 1 {
		times = strconv.Itoa(n.attempts) + " times"
	}
	return "It came on " + maildate.Header(n.arrival) + " and was tried " + times + ".\n" +
		"The next attempt is on " + maildate.Header(n.next) + ", the last one on\n" +
		maildate.Header(n.until) + ". If that fails, too, you will be told.\n\n"
}

// returned is what stands before the original message.
func (n notice) returned() string { return "Return-Path: <" + address.Quote(n.sender) + ">\n" }

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
