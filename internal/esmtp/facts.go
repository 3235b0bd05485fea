package esmtp

import (
	"errors"
	"net/netip"
)

// Message are the facts of a message.
type Message struct {
	UTF8       bool   // SMTPUTF8: addresses or header fields hold UTF-8
	RequireTLS bool   // REQUIRETLS: no host may have it that does not keep to that
	Return     Return // RET
	EnvelopeID string // ENVID in xtext; empty if not given
	User       string // who has logged in, in xtext; empty if nobody has
	Origin     Origin
	// Client is the address of the host that the message came from; the zero
	// one if it did not come by network.
	Client netip.Addr
}

// Recipient are the facts of a recipient.
type Recipient struct {
	Notify   Notify // NOTIFY
	Original string // ORCPT, type;address in xtext; empty if not given
}

// Return says how much of a message is to come back with a report of failure.
type Return byte

// The values of RET; zero is none given.
const (
	Full    Return = 'F'
	Headers Return = 'H'
)

func (r Return) String() string {
	switch r {
	case Full:
		return "FULL"
	case Headers:
		return "HDRS"
	}
	return ""
}

// Records of facts are a letter and a value. Those of the message:
const (
	RecordUTF8       = 'U' // no value
	RecordRequireTLS = 'R' // no value
	RecordReturn     = 'r' // FULL or HDRS
	RecordEnvelopeID = 'e' // as ENVID
	RecordUser       = 'l' // as Xtext writes it
	RecordClient     = 'c' // an IP address
)

// And those of the recipient whose record follows:
const (
	RecordNotify   = 'N' // as NOTIFY
	RecordOriginal = 'o' // as ORCPT
)

// The longest values of ENVID and ORCPT (RFC 3461 sections 4.4 and 4.2).
const (
	maxEnvelopeID = 100
	maxOriginal   = 500
	maxUser       = 3 * 255 // of a name of 255 octets
)

// What is wrong with a record or a parameter.
var (
	ErrUTF8     = errors.New("SMTPUTF8 takes no value")
	ErrNoValue  = errors.New("REQUIRETLS takes no value")
	ErrReturn   = errors.New("RET is FULL or HDRS")
	ErrEnvID    = errors.New("ENVID needs 1 to 100 characters of xtext")
	ErrNotify   = errors.New("NOTIFY is NEVER, or any of SUCCESS, FAILURE and DELAY")
	ErrOriginal = errors.New("ORCPT needs a type, a semicolon and an address in xtext, at most 500 characters")
	ErrUser     = errors.New("a user needs 1 to 765 characters of xtext")
	ErrClient   = errors.New("a client is an IP address without a zone")
	ErrTwice    = errors.New("given twice")
	errRecord   = errors.New("unknown record")
)

// Append appends the records of m: letter, value, NUL.
func (m Message) Append(b []byte) []byte {
	if m.UTF8 {
		b = append(b, RecordUTF8, 0)
	}
	if m.RequireTLS {
		b = append(b, RecordRequireTLS, 0)
	}
	if m.Return != 0 {
		b = appendRecord(b, RecordReturn, m.Return.String())
	}
	if m.EnvelopeID != "" {
		b = appendRecord(b, RecordEnvelopeID, m.EnvelopeID)
	}
	if m.User != "" {
		b = appendRecord(b, RecordUser, m.User)
	}
	if m.Origin != 0 {
		b = append(b, RecordOrigin, byte(m.Origin), 0)
	}
	if m.Client.IsValid() {
		b = append(b, RecordClient)
		b = append(m.Client.AppendTo(b), 0)
	}
	return b
}

// Append appends the records of r.
func (r Recipient) Append(b []byte) []byte {
	if r.Notify != 0 {
		b = appendRecord(b, RecordNotify, r.Notify.String())
	}
	if r.Original != "" {
		b = appendRecord(b, RecordOriginal, r.Original)
	}
	return b
}

func appendRecord(b []byte, letter byte, value string) []byte {
	return append(append(append(b, letter), value...), 0)
}

// IsMessageRecord reports whether letter is that of a fact of the message.
func IsMessageRecord(letter byte) bool {
	switch letter {
	case RecordUTF8, RecordRequireTLS, RecordReturn, RecordEnvelopeID:
		return true
	}
	return IsOurRecord(letter)
}

// IsOurRecord reports whether letter is that of a fact that our network daemons
// find out, and nobody else may claim.
func IsOurRecord(letter byte) bool {
	return letter == RecordUser || letter == RecordOrigin || letter == RecordClient
}

// IsRecipientRecord reports whether letter is that of a fact of a recipient.
func IsRecipientRecord(letter byte) bool { return letter == RecordNotify || letter == RecordOriginal }

// Take puts the value of a record of the message into m.
func (m *Message) Take(letter byte, value string) error {
	switch letter {
	case RecordUTF8:
		switch {
		case value != "":
			return ErrUTF8
		case m.UTF8:
			return ErrTwice
		}
		m.UTF8 = true
		return nil
	case RecordRequireTLS:
		switch {
		case value != "":
			return ErrNoValue
		case m.RequireTLS:
			return ErrTwice
		}
		m.RequireTLS = true
		return nil
	case RecordReturn:
		if m.Return != 0 {
			return ErrTwice
		}
		return m.ParseReturn(value)
	case RecordEnvelopeID:
		if m.EnvelopeID != "" {
			return ErrTwice
		}
		return m.ParseEnvelopeID(value)
	case RecordUser:
		switch {
		case m.User != "":
			return ErrTwice
		case value == "" || len(value) > maxUser || !isXtext(value):
			return ErrUser
		}
		m.User = value
		return nil
	case RecordOrigin:
		return m.takeOrigin(value)
	case RecordClient:
		if m.Client.IsValid() {
			return ErrTwice
		}
		return m.parseClient(value)
	}
	return errRecord
}

func (m *Message) parseClient(value string) error {
	a, err := netip.ParseAddr(value)
	if err != nil || a.Zone() != "" {
		return ErrClient
	}
	m.Client = a.Unmap()
	return nil
}

// Take puts the value of a record of a recipient into r.
func (r *Recipient) Take(letter byte, value string) error {
	switch letter {
	case RecordNotify:
		if r.Notify != 0 {
			return ErrTwice
		}
		return r.ParseNotify(value)
	case RecordOriginal:
		if r.Original != "" {
			return ErrTwice
		}
		return r.ParseOriginal(value)
	}
	return errRecord
}

// ParseReturn takes the value of RET.
func (m *Message) ParseReturn(value string) error {
	switch upper(value) {
	case "FULL":
		m.Return = Full
	case "HDRS":
		m.Return = Headers
	default:
		return ErrReturn
	}
	return nil
}

// ParseEnvelopeID takes the value of ENVID.
func (m *Message) ParseEnvelopeID(value string) error {
	if value == "" || len(value) > maxEnvelopeID || !isXtext(value) {
		return ErrEnvID
	}
	m.EnvelopeID = value
	return nil
}

// upper changes ASCII letters only.
func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}
