package milter

import (
	"cmp"
	"errors"
	"time"

	"postrider/internal/milterwire"
	"postrider/internal/scratch"
)

// maxChanges bounds the changes to the envelope by all milters together.
const maxChanges = 1000 // as internal/wire/milter has it

// maxGrowth is how much longer than twice the old one a new body may be.
const maxGrowth = 16 << 20

// errManyChanges is returned for an envelope that is changed too often.
var errManyChanges = errors.New("too many changes of the envelope")

// Outcome is what becomes of a message.
type Outcome struct {
	milterwire.Action                     // Continue: the message goes on
	Envelope          []milterwire.Change // in order
	Changes           int                 // of the message and its envelope
	Quarantine        string              // why a milter wants it there; "": none does
}

// End passes the message by all milters. New bodies are kept in files that
// create makes, until release is called.
func (t *Transaction) End(message *Message, create func() (*scratch.File, error)) (o Outcome, release func()) {
	var kept []*newBody
	release = func() {
		for _, b := range kept {
			b.close()
		}
	}
	o.Action = t.each(func(m *asked) (milterwire.Action, error) {
		next := &newBody{create: create, most: 2*message.body.size + maxGrowth}
		kept = append(kept, next)
		m.conn.Until(time.Now().Add(endTime))
		a, changes, err := m.pass(t.client.Macros, message, next)
		if err != nil || a.Verdict != milterwire.Continue && a.Verdict != milterwire.Accept {
			return a, err
		}
		a, err = o.apply(m, message, changes, next)
		if a.Verdict == milterwire.Continue {
			a.Verdict = milterwire.Accept // it has nothing more to say
		}
		return a, err
	})
	return o, release
}

// pass has one milter read the message. The verdict comes at its end, or
// before; then it changes nothing.
func (m *asked) pass(macros milterwire.Macros, message *Message, next *newBody) (a milterwire.Action, changes []milterwire.Change, err error) {
	for _, f := range message.fields {
		if a, err = m.conn.Header(f.name, f.value()); err != nil || a.Verdict != milterwire.Continue {
			return a, nil, err
		}
	}
	if a, err = m.conn.EndOfHeader(macros); err != nil || a.Verdict != milterwire.Continue {
		return a, nil, err
	}
	err = message.body.tell(milterwire.MaxBody, func(piece []byte) (bool, error) {
		if !m.conn.WantsBody() {
			return false, nil
		}
		a, err = m.conn.Body(piece)
		return a.Verdict == milterwire.Continue, err
	})
	if err != nil || a.Verdict != milterwire.Continue {
		return a, nil, err
	}
	changes, next.given, a, err = m.conn.End(macros, next)
	if err == nil {
		err = next.end()
	}
	return a, changes, err
}

// apply makes the changes of a milter.
func (o *Outcome) apply(m *asked, message *Message, changes []milterwire.Change, next *newBody) (milterwire.Action, error) {
	fields := message.fields
	message.fields = append([]field(nil), fields...) // a milter's changes count together
	undo := func(err error) (milterwire.Action, error) {
		message.fields = fields
		return proceed, err
	}
	envelope, quarantine := o.Envelope, o.Quarantine
	for _, c := range changes {
		switch c.Kind {
		case milterwire.Quarantine:
			quarantine = cmp.Or(c.Value, "no reason given")
		case milterwire.AddRcpt, milterwire.DeleteRcpt, milterwire.ChangeFrom:
			if envelope = append(envelope, c); len(envelope) > maxChanges {
				return undo(errManyChanges)
			}
		default:
			if err := message.change(c, m.conn.LeadingSpace()); err != nil {
				return undo(err)
			}
		}
	}
	if err := message.settle(); err != nil {
		return undo(err)
	}
	o.Envelope, o.Quarantine = envelope, quarantine
	o.Changes += len(changes)
	if next.given {
		message.body = body{next.file, 0, next.size}
	}
	return proceed, nil
}
