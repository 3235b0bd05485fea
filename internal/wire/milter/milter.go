// Package milter is the protocol by which qmail-smtpd has its transactions
// passed by the milters in control/milters: the only specification, both ends.
//
// Imported by qmail-smtpd, who asks, and qmail-filter, who speaks with milters.
// Neither trusts the other: qmail-filter may say of a message whatever a milter
// could.
//
// # Protocol
//
// The link is that of internal/wire/filter; who asks makes a stream and hands
// over one end, for one transaction. It sends frames as internal/wire/submit has
// them:
//
//	S strings  what is known of the session; the first frame, once
//	F strings  MAIL: the sender in the form of SMTP, without brackets, and
//	           the parameters
//	R strings  RCPT: a recipient in the same way
//	T          DATA
//	M bytes    a piece of the message, any number
//	C          this was the message
//
// Strings end with NUL each. Each of F, R, T and C gets an answer:
//
//	c          go on
//	y reply    it is refused: three digits, the enhanced code, NUL, lines that
//	           are separated by LF
//	d          the message is to be taken and forgotten; go on as if not
//
// Before the answer c to C come frames with what to change, in order, and then
// the message as it is now:
//
//	f strings  the sender, one string
//	+ strings  a further recipient
//	- strings  a recipient goes
//	= strings  this is the only recipient, whoever they were
//	M bytes    a piece of the message
//
// Who asks may end the connection at any time. A connection that ends before an
// answer means that there is none: the message is refused for now.
package milter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"postrider/internal/wire/submit"
)

// The kinds of frames.
const (
	Begin   = 'S'
	Mail    = 'F'
	Rcpt    = 'R'
	Data    = 'T'
	Message = submit.Message
	End     = submit.Commit

	Continue = 'c'
	Refuse   = 'y'
	Discard  = 'd'

	NewSender  = 'f'
	AddRcpt    = '+'
	DeleteRcpt = '-'
	OnlyRcpt   = '='
)

const (
	// MaxStrings is the most bytes of a frame that is no piece of a message.
	MaxStrings = 16 << 10
	// maxParameters is how many a command has.
	maxParameters = 64
	// MaxChanges is how many changes of the envelope an answer has.
	MaxChanges = 1000
	// maxLines is how many lines a reply has.
	maxLines = 20
	// AnswerTime is within what an answer comes; a peer that takes longer is
	// given up.
	AnswerTime = 70 * time.Minute
)

// ErrProtocol is in the chain of errors about what a peer has said.
var ErrProtocol = errors.New("milter link: the protocol is broken")

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrProtocol}, args...)...)
}

// Session is what is known of a client and its connection. What is not known is
// "".
type Session struct {
	Server     string // name of this host
	IP, Port   string // of the client
	Host       string // its name
	Helo       string
	LocalIP    string
	TLSVersion string
	TLSCipher  string
	AuthMethod string
	User       string // who has logged in
	ID         string // of the transaction, in logs
}

func (s *Session) fields() []*string {
	return []*string{&s.Server, &s.IP, &s.Port, &s.Host, &s.Helo, &s.LocalIP,
		&s.TLSVersion, &s.TLSCipher, &s.AuthMethod, &s.User, &s.ID}
}

// AppendSession appends a frame.
func AppendSession(b []byte, s Session) []byte {
	var list []string
	for _, field := range s.fields() {
		list = append(list, *field)
	}
	return appendStrings(b, Begin, list)
}

// ParseSession reads the payload of one.
func ParseSession(payload []byte) (s Session, err error) {
	list, err := parseStrings(payload)
	fields := s.fields()
	if err == nil && len(list) != len(fields) {
		err = broken("session of %d strings", len(list))
	}
	if err != nil {
		return Session{}, err
	}
	for i, field := range fields {
		*field = list[i]
	}
	return s, nil
}

// AppendPath appends a frame that has a path: a command, or a change.
func AppendPath(b []byte, kind byte, path string, parameters ...string) []byte {
	return appendStrings(b, kind, append([]string{path}, parameters...))
}

// ParsePath reads the payload of one.
func ParsePath(payload []byte) (path string, parameters []string, err error) {
	list, err := parseStrings(payload)
	if err == nil && (len(list) == 0 || len(list) > 1+maxParameters) {
		err = broken("path of %d strings", len(list))
	}
	if err != nil {
		return "", nil, err
	}
	return list[0], list[1:], nil
}

func appendStrings(b []byte, kind byte, list []string) []byte {
	var payload []byte
	for _, s := range list {
		s, _, _ = strings.Cut(s, "\x00") // there is none
		payload = append(append(payload, s...), 0)
	}
	return submit.AppendFrame(b, kind, payload)
}

// parseStrings takes no control bytes: strings end up in commands, macros and
// log lines.
func parseStrings(payload []byte) ([]string, error) {
	if len(payload) > MaxStrings || len(payload) > 0 && payload[len(payload)-1] != 0 {
		return nil, broken("strings of %d bytes", len(payload))
	}
	var list []string
	for len(payload) > 0 {
		s, rest, _ := bytes.Cut(payload, []byte{0})
		if bytes.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, broken("control bytes in %q", s)
		}
		list = append(list, string(s))
		payload = rest
	}
	return list, nil
}

// Answer is one.
type Answer struct {
	Kind     byte // Continue, Refuse or Discard
	Code     int  // Refuse: 400 to 599
	Enhanced string
	Text     string // printable lines, separated by LF
}

// AppendAnswer appends a frame.
func AppendAnswer(b []byte, a Answer) []byte {
	if a.Kind != Refuse {
		return submit.AppendHeader(b, a.Kind, 0)
	}
	return submit.AppendFrame(b, a.Kind, []byte(strconv.Itoa(a.Code)+a.Enhanced+"\x00"+a.Text))
}

func parseAnswer(kind byte, payload []byte) (Answer, error) {
	a := Answer{Kind: kind}
	switch kind {
	case Continue, Discard:
		if len(payload) > 0 {
			return a, broken("answer %q with %d bytes", kind, len(payload))
		}
		return a, nil
	case Refuse:
		return parseReply(payload)
	}
	return a, broken("unexpected answer %q", kind)
}

func parseReply(payload []byte) (Answer, error) {
	a := Answer{Kind: Refuse}
	before, text, found := strings.Cut(string(payload), "\x00")
	if !found || len(before) < 3 || before[0] != '4' && before[0] != '5' {
		return a, broken("reply %q", payload)
	}
	code, err := strconv.Atoi(before[:3])
	a.Code, a.Enhanced, a.Text = code, before[3:], text
	if err != nil || !isEnhanced(a.Enhanced, before[0]) || strings.Count(text, "\n") >= maxLines {
		return a, broken("reply %q", payload)
	}
	for i := range len(text) {
		if c := text[i]; c != '\n' && (c < ' ' || c > '~') {
			return a, broken("reply %q", payload)
		}
	}
	return a, nil
}

// isEnhanced reports whether s is an enhanced code of a class (RFC 3463).
func isEnhanced(s string, class byte) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || parts[0] != string(class) {
		return false
	}
	for _, part := range parts[1:] {
		if _, err := strconv.ParseUint(part, 10, 16); err != nil || len(part) > 3 {
			return false
		}
	}
	return true
}

// Change is a change of the envelope.
type Change struct {
	Kind byte   // NewSender, AddRcpt, DeleteRcpt or OnlyRcpt
	Path string // in the form of SMTP, without brackets; not checked
}

// ReadAnswer reads the answer to a command, of which nothing changes.
func ReadAnswer(r io.Reader) (Answer, error) {
	return ReadOutcome(r, nil, func([]byte) error { return broken("a message comes too early") })
}

// ReadOutcome reads the answer to the end of a message. What is to be changed is
// added to changes, unless that is nil; pieces of the message are passed on.
func ReadOutcome(r io.Reader, changes *[]Change, piece func([]byte) error) (Answer, error) {
	for {
		kind, n, err := submit.ReadHeader(r)
		if err != nil {
			return Answer{}, err
		}
		if kind != Message && n > MaxStrings {
			return Answer{}, broken("frame %q of %d bytes", kind, n)
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(r, payload); err != nil {
			return Answer{}, err
		}
		switch {
		case kind == Message:
			if err := piece(payload); err != nil {
				return Answer{}, err
			}
		case changes != nil && isChange(kind):
			path, _, err := ParsePath(payload)
			if err != nil {
				return Answer{}, err
			}
			if len(*changes) == MaxChanges {
				return Answer{}, broken("more than %d changes", MaxChanges)
			}
			*changes = append(*changes, Change{kind, path})
		default:
			return parseAnswer(kind, payload)
		}
	}
}

func isChange(kind byte) bool {
	return kind == NewSender || kind == AddRcpt || kind == DeleteRcpt || kind == OnlyRcpt
}
