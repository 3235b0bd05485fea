// Package dsn writes the machine's part of a report about a message:
// message/delivery-status (RFC 3464), with what RFC 3461 wants said of the
// sender's words, and with addresses of RFC 6533.
//
// qmail-send imports it. Reports of delivery agents, addresses and what clients
// said of a message are hostile: whatever they hold, each becomes one line of
// printable ASCII.
//
// Files:
//
//	dsn.go     the fields
//	report.go  status and reply in the report of a delivery agent
package dsn

import (
	"strings"
	"time"
	"unicode/utf8"

	"postrider/internal/address"
	"postrider/internal/maildate"
)

// maxValue bounds the value of a field, so that no line has over 998 octets.
const maxValue = 900

// Message is what is said of the message (RFC 3464 section 2.2).
type Message struct {
	Reporter   string // the name of this host
	EnvelopeID string // ENVID as the client gave it, in xtext; "": none
	Arrival    time.Time
}

// The actions (RFC 3464 section 2.3.3).
const (
	Failed    = "failed"
	Delayed   = "delayed"
	Delivered = "delivered"
	Relayed   = "relayed" // to a server that does not report
)

// Recipient is what is said of a recipient (RFC 3464 section 2.3).
type Recipient struct {
	Original string // ORCPT as the client gave it: a type and xtext; "": none
	Final    string // the address
	Action   string
	Reply
	Attempt time.Time // the last
	Until   time.Time // of tries; zero: there will be none
}

// Append appends the fields and the empty line behind them.
func (m Message) Append(b []byte) []byte {
	b = field(b, "Reporting-MTA", "dns; "+m.Reporter)
	if m.EnvelopeID != "" {
		b = field(b, "Original-Envelope-Id", fromXtext(m.EnvelopeID))
	}
	b = field(b, "Arrival-Date", maildate.Header(m.Arrival))
	return append(b, '\n')
}

// Append appends the fields and the empty line behind them.
func (r Recipient) Append(b []byte) []byte {
	if kind, original, found := strings.Cut(r.Original, ";"); found {
		b = field(b, "Original-Recipient", kind+"; "+fromXtext(original))
	}
	b = field(b, "Final-Recipient", typed(r.Final))
	b = field(b, "Action", r.Action)
	b = field(b, "Status", r.Status)
	if r.Host != "" {
		b = field(b, "Remote-MTA", "dns; ["+r.Host+"]")
	}
	if r.Text != "" {
		kind := "x-postrider; "
		if r.SMTP {
			kind = "smtp; "
		}
		b = field(b, "Diagnostic-Code", kind+r.Text)
	}
	b = field(b, "Last-Attempt-Date", maildate.Header(r.Attempt))
	if !r.Until.IsZero() {
		b = field(b, "Will-Retry-Until", maildate.Header(r.Until))
	}
	return append(b, '\n')
}

// typed puts the type before an address, which gets the quotation marks that a
// header needs. One that is not ASCII is written in ASCII all the same
// (utf-8-addr-xtext, RFC 6533 section 3).
func typed(recipient string) string {
	for i := range len(recipient) {
		if recipient[i] >= utf8.RuneSelf {
			return "utf-8; " + inASCII(recipient)
		}
	}
	return "rfc822; " + address.Quote(recipient)
}

func inASCII(address string) string {
	var b strings.Builder
	for _, r := range address {
		switch {
		case r >= utf8.RuneSelf:
			b.WriteString(`\x{`)
			b.WriteString(strings.ToUpper(hex(r)))
			b.WriteByte('}')
		case r <= ' ', r == '\\', r == '+', r == '=', r == 0x7f:
			b.WriteString(`\x{` + strings.ToUpper(hex(r)) + `}`)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hex spells r with at least two digits.
func hex(r rune) string {
	const digits = "0123456789abcdef"
	s := ""
	for ; r > 0 || len(s) < 2; r >>= 4 {
		s = string(digits[r&15]) + s
	}
	return s
}

// fromXtext decodes xtext (RFC 3461 section 4). What does not stand for
// printable ASCII stays as it is.
func fromXtext(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '+' {
			b.WriteByte(s[i])
			continue
		}
		hi, lo := nibble(s, i+1), nibble(s, i+2)
		c := hi<<4 | lo
		if hi < 0 || lo < 0 || c < ' ' || c > '~' {
			return s
		}
		b.WriteByte(byte(c))
		i += 2
	}
	return b.String()
}

func nibble(s string, i int) int {
	if i >= len(s) {
		return -1
	}
	return strings.IndexByte("0123456789ABCDEF", s[i])
}

// field appends a field, its value made one line of printable ASCII.
func field(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	value = strings.TrimRight(value, "\n ")
	for i := range min(len(value), maxValue) {
		switch c := value[i]; {
		case c == '\n' || c == '\t':
			b = append(b, ' ')
		case c < ' ' || c > '~':
			b = append(b, '?')
		default:
			b = append(b, c)
		}
	}
	return append(b, '\n')
}
