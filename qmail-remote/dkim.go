package qmailremote

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"postrider/internal/dkim"
	"postrider/internal/dkimsign"
	"postrider/internal/esmtp"
	"postrider/internal/queuedir"
)

// signing is how a message is signed, in whatever form a server takes it. A nil
// one leaves it as it is.
type signing struct {
	signer *signer
	id     queuedir.ID
	rules  []dkimsign.Rule
	keys   []dkim.Key // of the rules, in their order
}

// signing returns how a message is to be signed: if it is of this host's own
// users, and control/dkimsign has a line for the domain of its author. The report
// says why it must wait. The classic form has nobody to ask for a signature.
func (c *client) signing(ctx context.Context, set *settings, m mail) (*signing, *report) {
	if c.signer == nil || set.dkim.Empty() || m.facts.Origin == 0 {
		return nil, nil
	}
	h, err := c.header(ctx, m.body)
	switch {
	case err != nil && err != dkim.ErrLongHeader:
		return nil, unreadable()
	case m.facts.Origin == esmtp.FromHere && h.Travelled():
		return nil, nil // the beginning of a long header tells that, too
	case err != nil:
		// Who wrote it cannot be told, and so it may have to be signed.
		return nil, unsignable(err)
	}
	rules, _ := set.dkim.Rules(h.Author())
	if len(rules) == 0 {
		return nil, nil
	}
	s := &signing{signer: c.signer, id: m.id, rules: rules}
	if s.keys, err = c.signer.keysFor(ctx, rules); err != nil {
		return nil, notSigned(rules, err)
	}
	return s, nil
}

// apply returns the message in the form b with its signatures; form says which
// one that is.
func (s *signing) apply(ctx context.Context, b *body, form form) (*body, *report) {
	if s == nil {
		return b, nil
	}
	fields, err := s.signer.fields(ctx, s, b, form)
	switch {
	case err == nil:
		return b.below(fields), nil
	case errors.Is(err, errUnreadable):
		return nil, unreadable()
	case errors.Is(err, dkim.ErrLongHeader), errors.Is(err, dkim.ErrManyFields):
		return nil, unsignable(err)
	}
	return nil, notSigned(s.rules, err)
}

// note adds to the report on a message that was accepted how it was signed.
func (s *signing) note(o *outcome) {
	if s == nil || o.message.class != accepted {
		return
	}
	for _, rule := range s.rules {
		o.message.text += fmt.Sprintf("DKIM d=%s; s=%s.\n", rule.Domain, rule.Selector)
	}
}

// notSigned tells that a message waits for its signature: without one it would be
// taken for a forgery.
func notSigned(rules []dkimsign.Rule, err error) *report {
	domain := rules[0].Domain
	return &report{class: deferred, text: "Unable to sign message for " + domain + ", for which control/dkimsign has a line: " + printable(err.Error()) + ". (#4.7.0)\n"}
}

func unsignable(err error) *report {
	return &report{class: failed, text: "Unable to sign message: " + err.Error() + ". (#5.6.0)\n"}
}

// dkim says what would sign mail of an author, taken for one of this
// host's users.
func (e *explanation) dkim(set *settings, domain string) {
	rules, listed := set.dkim.Rules(domain)
	switch {
	case set.dkim.Empty():
	case !listed:
		e.say("dkim: not signed, control/dkimsign has no line for %s", orNone(domain))
	case len(rules) == 0:
		e.say("dkim: not signed, as control/dkimsign says")
	}
	for _, rule := range rules {
		e.say("dkim: signed by %s, selector %s, with control/%s/%s", rule.Domain, rule.Selector, dkimsign.KeyDir, rule.Key)
	}
}

// form is how a message looks to a server.
type form byte

const (
	asStored form = iota
	inSevenBit
)

// below returns the message with fields in front of it.
func (b *body) below(fields []byte) *body {
	lines := int64(bytes.Count(fields, []byte{'\n'}))
	signed := &body{
		size: b.size + int64(len(fields)), wireSize: b.wireSize + int64(len(fields)) + lines,
		eightBit: b.eightBit, cr: b.cr, eightBitHeader: b.eightBitHeader, head: head{long: true},
	}
	if b.text != nil {
		signed.text = append(append(make([]byte, 0, len(fields)+len(b.text)), fields...), b.text...)
		signed.r = bytes.NewReader(signed.text)
	} else {
		signed.r = &stacked{top: fields, rest: b}
	}
	return signed
}
