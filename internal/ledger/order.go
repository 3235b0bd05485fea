package ledger

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// OrderKind is what an operator wants of a message that is queued.
type OrderKind string

// The kinds of orders.
const (
	Hold      OrderKind = "hold"
	Release   OrderKind = "release"
	Delete    OrderKind = "delete"
	BounceNow OrderKind = "bounce"
	Readdress OrderKind = "readdress"
	Reroute   OrderKind = "reroute"
)

// Order is one that was given.
type Order struct {
	ID         string // of the message
	Kind       OrderKind
	QueueID    string   // its entry of the queue
	To         string   // of Readdress the new address, of Reroute the Place of the next host
	Recipients []string // none: all
	Asked      time.Time
	Answered   time.Time // when it was read that it is done; zero: never
}

// covers reports whether o is about a recipient.
func (o Order) covers(recipient string) bool {
	return len(o.Recipients) == 0 || slices.Contains(o.Recipients, recipient)
}

// Order is to be called before an order is given. It is about all recipients
// if it names none.
func (l *Ledger) Order(o Order) {
	to := o.To
	if to == "" {
		to = "-"
	}
	l.record(time.Now(), append([]string{"ORDER", o.ID, string(o.Kind), o.QueueID, to}, o.Recipients...))
}

// Ordered says that the last order about a message was answered: it is done.
func (l *Ledger) Ordered(id string) { l.record(time.Now(), []string{"ORDERED", id}) }

// applyOrder reads the fields of an ORDER that follow its id.
func (l *Ledger) applyOrder(when time.Time, id string, rest []string) error {
	e := l.entries[id]
	if e == nil || len(rest) < 3 {
		return fmt.Errorf("no order about a message: %s %q", id, rest)
	}
	o := Order{ID: id, Kind: OrderKind(rest[0]), QueueID: rest[1], To: strings.TrimPrefix(rest[2], "-"), Recipients: rest[3:], Asked: when}
	switch o.Kind {
	case Hold, Release, Delete, BounceNow, Readdress, Reroute:
	default:
		return fmt.Errorf("unknown order %q", o.Kind)
	}
	for _, r := range o.Recipients {
		if !slices.Contains(e.Recipients, r) {
			return fmt.Errorf("an order about %s, which %s was not sent to", r, id)
		}
	}
	e.Orders = append(e.Orders, o)
	return nil
}

func (l *Ledger) applyOrdered(when time.Time, id string) error {
	e := l.entries[id]
	if e == nil || len(e.Orders) == 0 {
		return fmt.Errorf("%s was not ordered about", id)
	}
	e.Orders[len(e.Orders)-1].Answered = when
	return nil
}

// mayBeGone reports whether an operator wanted a recipient to have nothing.
func (e Entry) mayBeGone(recipient string) bool {
	return slices.ContainsFunc(e.Orders, func(o Order) bool { return o.Kind == Delete && o.covers(recipient) })
}

// readdressed returns the recipient who was to have another address.
func (e Entry) readdressed(address string) (recipient string, found bool) {
	for _, o := range e.Orders {
		if o.Kind == Readdress && o.To == address && len(o.Recipients) == 1 {
			return o.Recipients[0], true
		}
	}
	return "", false
}

// obeyed checks that an order which was answered counts: nothing is begun
// against it any more (L11), whatever was killed since. What was under way goes
// on.
func (c *checker) obeyed(e Entry) {
	for i, o := range e.Orders {
		c.summary.Orders++
		if o.Answered.IsZero() {
			continue
		}
		c.summary.Obeyed++
		until := time.Time{}
		if o.Kind == Hold {
			until = released(e.Orders[i+1:])
		}
		for _, r := range e.Recipients {
			if o.covers(r) {
				c.obeyedFor(e, o, r, until)
			}
		}
	}
}

// released is when a message that was held was to be tried again; never, if
// that is zero.
func released(later []Order) time.Time {
	for _, o := range later {
		if o.Kind != Hold {
			return o.Asked
		}
	}
	return time.Time{}
}

func (c *checker) obeyedFor(e Entry, o Order, recipient string, until time.Time) {
	switch o.Kind {
	case Hold, Delete, BounceNow, Readdress:
		for _, a := range c.history.attempts[key(o.QueueID, recipient)] {
			if a.start.After(o.Answered.Add(slack)) && (until.IsZero() || a.start.Before(until.Add(-slack))) {
				c.violated("L11", e.ID, recipient, "tried %v after the answer to: %s", a.start.Sub(o.Answered), o.Kind)
			}
		}
	case Reroute:
		for _, d := range c.accounts[key(e.ID, recipient)].delivered {
			if d.Place != o.To && d.When.After(o.Answered.Add(slack)) {
				c.violated("L11", e.ID, recipient, "is in %s, %v after the answer to: %s to %s", d.Place, d.When.Sub(o.Answered), o.Kind, o.To)
			}
		}
	}
	if o.Kind == Readdress {
		c.onlyOnce(e, o, recipient)
	}
}

// onlyOnce checks that a recipient with another address has the message there
// or at the old one (L4). A fault may have hidden that it was there already.
func (c *checker) onlyOnce(e Entry, o Order, recipient string) {
	old := 0
	delivered := c.accounts[key(e.ID, recipient)].delivered
	for _, d := range delivered {
		if d.Recipient == recipient {
			old++
		}
	}
	if old > 0 && old < len(delivered) && !hitBetween(c.faults, e.Begun, o.Answered, true) {
		c.violated("L4", e.ID, recipient, "is at the old address and at %s", o.To)
	}
}
