package spawn

import (
	"fmt"

	"postrider/internal/esmtp"
	"postrider/internal/wire/codec"
)

// The facts of a message are one byte, the sum of 1 if it needs SMTPUTF8 and 2
// if it needs REQUIRETLS, one byte for RET, F, H or 0, and ENVID; those of a recipient are one byte for NOTIFY,
// as esmtp.Notify has the bits, and ORCPT.

// RecipientSize returns the bytes that a recipient takes in a packet.
func RecipientSize(r Recipient) int {
	return 8 + codec.StringSize(r.Address.String()) + 1 + codec.StringSize(r.Facts.Original)
}

// What a message needs of the next host.
const (
	needsUTF8 = 1 << iota
	needsTLS
)

func messageFactsSize(m esmtp.Message) int { return 2 + codec.StringSize(m.EnvelopeID) }

func appendMessageFacts(b []byte, m esmtp.Message) []byte {
	needs := byte(0)
	if m.UTF8 {
		needs |= needsUTF8
	}
	if m.RequireTLS {
		needs |= needsTLS
	}
	return codec.AppendString(append(b, needs, byte(m.Return)), m.EnvelopeID)
}

// maxFact bounds a string of facts; esmtp has the limits.
const maxFact = 500

func decodeMessageFacts(r *codec.Reader) esmtp.Message {
	var m esmtp.Message
	needs, ret := r.Uint8(), esmtp.Return(r.Uint8())
	m.UTF8, m.RequireTLS = needs&needsUTF8 != 0, needs&needsTLS != 0
	m.Return = ret
	if needs > needsUTF8|needsTLS || ret != 0 && ret.String() == "" {
		r.Fail(fmt.Errorf("facts %d, %d of a message", needs, ret))
	}
	if id := r.String(maxFact); id != "" {
		if err := m.ParseEnvelopeID(id); err != nil {
			r.Fail(err)
		}
	}
	return m
}

func appendRecipientFacts(b []byte, f esmtp.Recipient) []byte {
	return codec.AppendString(append(b, byte(f.Notify)), f.Original)
}

func decodeRecipientFacts(r *codec.Reader) esmtp.Recipient {
	f := esmtp.Recipient{Notify: esmtp.Notify(r.Uint8())}
	if !f.Notify.Valid() {
		r.Fail(fmt.Errorf("NOTIFY %d of a recipient", f.Notify))
	}
	if original := r.String(maxFact); original != "" {
		if err := f.ParseOriginal(original); err != nil {
			r.Fail(err)
		}
	}
	return f
}
