package operator

import (
	"context"
	"math/rand/v2"
	"time"

	"postrider/internal/ledger"
)

// Step is an order, or a pause.
type Step struct {
	Kind  ledger.OrderKind
	Some  bool // about the recipient who waits, and about no other
	Pause bool
}

// Courses are what is done with a message, one step after another. None leaves
// a message held.
func Courses() [][]Step {
	pause := Step{Pause: true}
	hold, release := Step{Kind: ledger.Hold}, Step{Kind: ledger.Release}
	some := func(kind ledger.OrderKind) Step { return Step{Kind: kind, Some: true} }
	return [][]Step{
		{hold, pause, release},
		{hold, release, pause, {Kind: ledger.Delete}},
		{{Kind: ledger.Delete}},
		{some(ledger.Delete)},
		{{Kind: ledger.BounceNow}},
		{some(ledger.BounceNow)},
		{some(ledger.Readdress)},
		{some(ledger.Reroute)},
		{hold, some(ledger.Readdress), pause, release},
		{hold, some(ledger.Reroute), release},
		{hold, some(ledger.Delete), release},
		{hold, pause, {Kind: ledger.Delete}},
	}
}

// Case is a message about which orders are given.
type Case struct {
	ID      string // of the ledger
	To      string // the recipient who waits
	Address string // his new one
	Place   string // where the mail that goes to Relay is found
}

// Follow does a course with a message that is queued. A random pause comes
// before half of the steps: they meet a message that is read, under way, and
// waiting.
func (p *Operator) Follow(ctx context.Context, course []Step, c Case, r *rand.Rand) error {
	entry, err := p.Find(ctx, c.To)
	if err != nil {
		return err
	}
	for _, s := range course {
		if s.Pause || r.IntN(2) == 0 {
			select {
			case <-time.After(time.Duration(r.IntN(600)) * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if s.Pause {
			continue
		}
		if there, err := p.Give(ctx, c.order(s, entry)); err != nil || !there {
			return err
		}
	}
	return nil
}

func (c Case) order(s Step, entry string) ledger.Order {
	o := ledger.Order{ID: c.ID, Kind: s.Kind, QueueID: entry}
	switch s.Kind {
	case ledger.Readdress:
		o.To = c.Address
	case ledger.Reroute:
		o.To = c.Place
	}
	if s.Some {
		o.Recipients = []string{c.To}
	}
	return o
}
