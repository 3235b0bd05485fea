package bounce

import (
	"strconv"
	"time"

	"postrider/internal/address"
	"postrider/internal/maildate"
)

// DoubleSender is the envelope sender of a bounce of a bounce; a message
// from it is never bounced (spec 2.6).
const DoubleSender = "#@[]"

// Paragraph is what a bounce says of one failed recipient: no empty line
// within, one behind (spec 2.6). An empty report adds no line.
func Paragraph(recipient, report string) string {
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

// Kind is what a notice tells.
type Kind int

// What notices tell.
const (
	Failure Kind = iota
	Double       // a bounce could not be delivered
	Delay
	Success
)

// Notice is a message to the sender of another one: its words, but for what
// they say of recipients.
type Notice struct {
	Settings Settings
	Kind     Kind
	Sender   string // of the original message
	Arrival  time.Time
	Short    bool // only the header of the original message comes with it

	// Of a delay:
	Attempts int // so far
	Next     time.Time
	Until    time.Time
}

// New returns the notice of failures of a message from sender.
func New(set Settings, sender string) Notice {
	n := Notice{Settings: set, Sender: ReturnTo(sender)}
	if sender == "" {
		n.Kind = Double
	}
	return n
}

// NewSuccess returns the notice of successes of a message from sender.
func NewSuccess(set Settings, sender string) Notice {
	return Notice{Settings: set, Kind: Success, Sender: ReturnTo(sender), Short: true}
}

// envelope returns sender and recipient of the notice.
func (n Notice) envelope() (sender, recipient string) {
	if n.Kind == Double {
		return DoubleSender, n.Settings.DoubleTo + "@" + n.Settings.DoubleHost
	}
	return "", n.Sender
}

// isBounce reports whether n tells of failures.
func (n Notice) isBounce() bool { return n.Kind == Failure || n.Kind == Double }

// header returns the header, which says what follows boundary (RFC 6522). The
// field Auto-Submitted keeps other programs from answering (RFC 3834).
func (n Notice) header(now time.Time, boundary string) string {
	_, to := n.envelope()
	subject := "failure notice"
	switch n.Kind {
	case Delay:
		subject = "delay notice"
	case Success:
		subject = "success notice"
	}
	return "Date: " + maildate.Header(now) + "\n" +
		"From: " + address.Quote(n.Settings.From) + "@" + n.Settings.Host + "\n" +
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
func (n Notice) qsbmf() string {
	head := "Hi. This is the qmail-send program at " + n.Settings.Host + ".\n"
	if n.Kind == Double {
		return head + "I tried to deliver a bounce message to this address, but the bounce bounced!\n\n"
	}
	return head + "I'm afraid I wasn't able to deliver your message to the following addresses.\n" +
		"This is a permanent error; I've given up. Sorry it didn't work out.\n\n"
}

// separator ends the failures of qsbmf.
func (n Notice) separator() string {
	if n.Kind == Double {
		return "--- Below this line is the original bounce.\n\n"
	}
	return "--- Below this line is a copy of the message.\n\n"
}

// words returns what a person reads before and behind what is said of the
// recipients.
func (n Notice) words() (before, behind string) {
	before = "This is the mail server at " + n.Settings.Host + ".\n\n"
	what := "your message"
	switch n.Kind {
	case Double:
		before += "A notice of failure from this address could not be delivered to its sender:\n\n"
		what = "that notice"
	case Delay:
		before += "Your message has not been delivered yet to the following addresses. You need\n" +
			"not send it again: the server goes on trying.\n\n"
		behind = n.schedule()
	case Success:
		before += "As you wished to know: your message was delivered to the following addresses,\n" +
			"or handed to a server that will not tell you more.\n\n"
	default:
		before += "Your message could not be delivered to the following addresses. The server\n" +
			"will not try again. What went wrong:\n\n"
	}
	if n.Short {
		return before, behind + "The header of " + what + " comes with this notice.\n"
	}
	return before, behind + "A copy of " + what + " comes with this notice.\n"
}

// schedule says when a delayed message was and will be tried.
func (n Notice) schedule() string {
	times := "once"
	if n.Attempts != 1 {
		times = strconv.Itoa(n.Attempts) + " times"
	}
	return "It came on " + maildate.Header(n.Arrival) + " and was tried " + times + ".\n" +
		"The next attempt is on " + maildate.Header(n.Next) + ", the last one on\n" +
		maildate.Header(n.Until) + ". If that fails, too, you will be told.\n\n"
}

// returned is what stands before the original message.
func (n Notice) returned() string { return "Return-Path: <" + address.Quote(n.Sender) + ">\n" }

// Settings are what bounces say and where double bounces go.
type Settings struct {
	From, Host string // bouncefrom, bouncehost
	// doublebounceto, doublebouncehost; an empty first line of doublebounceto
	// discards double bounces.
	DoubleTo, DoubleHost string
}
