// Package operator changes what waits in a queue, with qmail-queuectl, as the
// administrator of a host does, and tells a ledger of it.
//
// Who may import it: tests.
//
// Files: operator.go orders; course.go several of them, one after another.
package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

// Waiting begins the local parts of those whose mail waits.
const Waiting = "wait-"

// Closed is the script of a sink that takes no mail for them.
func Closed(verb, argument string) string {
	if verb == "RCPT" && strings.Contains(argument, Waiting) {
		return "450 4.2.0 this mailbox is closed"
	}
	return testhost.Default
}

// Operator gives orders on a host. He asks again until he is answered.
type Operator struct {
	Host *testhost.Host
	// Relay is the host to which mail is sent another way: HOST or [ADDRESS].
	Relay string
	// Asked is called before an order is given, each time; Done when it was
	// answered that it is done.
	Asked, Done func(ledger.Order)
}

// ForLedger has a ledger know of all orders.
func ForLedger(h *testhost.Host, relay string, book *ledger.Ledger) *Operator {
	return &Operator{Host: h, Relay: relay, Asked: book.Order, Done: func(o ledger.Order) { book.Ordered(o.ID) }}
}

const (
	// again is how long he waits before he asks again.
	again = 50 * time.Millisecond
	// soonest is how far away the next attempt is of what was tried.
	soonest = 5 * time.Second
)

// Find returns the number of the message that waits for a recipient, when there
// is one.
func (p *Operator) Find(ctx context.Context, to string) (entry string, err error) {
	for {
		r, err := p.queuectl(ctx, "list", "--json", "--to", to)
		var m struct{ ID string }
		if err == nil && r.Code == 0 && json.Unmarshal([]byte(r.Stdout), &m) == nil {
			return m.ID, nil
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return "", fmt.Errorf("qmail-queuectl has no message for %s: %v, exit %d: %s", to, err, r.Code, r.Stderr)
		}
	}
}

// FindAll returns the numbers of the messages that wait for these recipients, in
// their order, when there is one for each, and no delivery of any is under way or
// about to be: what is due has been tried, and waits for its next time.
func (p *Operator) FindAll(ctx context.Context, to []string) (entries []string, err error) {
	var said string // the last list that is whole
	for {
		r, err := p.queuectl(ctx, "list", "--json")
		if err == nil {
			said = r.Stdout + r.Stderr
		}
		found := waitingFor(r.Stdout)
		entries = entries[:0]
		for _, address := range to {
			if entry := found[address]; entry != "" {
				entries = append(entries, entry)
			}
		}
		if len(entries) == len(to) {
			return entries, nil
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return nil, fmt.Errorf("%d messages do not all come to wait: %v, exit %d; the last list:\n%s", len(to), err, r.Code, said)
		}
	}
}

// waitingFor returns the messages of a list that wait, by recipient.
func waitingFor(list string) map[string]string {
	found := make(map[string]string)
	for line := range strings.Lines(list) {
		var m struct {
			ID, State  string
			Next       time.Time `json:"next_attempt"`
			Recipients []struct{ Address string }
		}
		if json.Unmarshal([]byte(line), &m) != nil {
			continue
		}
		if m.State == "held" || m.State == "deferred" && time.Until(m.Next) > soonest {
			for _, recipient := range m.Recipients {
				found[recipient.Address] = m.ID
			}
		}
	}
	return found
}

// Give gives an order until it is answered: it is done, there is nothing to do,
// or the message is not there any more.
func (p *Operator) Give(ctx context.Context, o ledger.Order) (there bool, err error) {
	args := p.arguments(o)
	for {
		p.Asked(o)
		r, err := p.queuectl(ctx, args...)
		switch outcome := outcomeOf(r.Stdout); {
		case err != nil || r.Code < 0: // killed
		case outcome == "done":
			p.Done(o)
			return o.Kind != ledger.Delete || len(o.Recipients) > 0, nil
		case outcome == "nothing to do":
			return true, nil
		case r.Code == 0 && r.Stdout == "" && len(o.Recipients) > 0:
			// None of these waits any more: it was done, and the answer lost.
			return true, nil
		case outcome == "no such message, or not yours", r.Code == 0 && r.Stdout == "", strings.Contains(r.Stderr, "no such message"):
			return false, nil
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return false, fmt.Errorf("nobody does it: %+v: %v, exit %d: %s%s", o, err, r.Code, r.Stdout, r.Stderr)
		}
	}
}

// GiveAll gives an order about many whole messages with one command, until it is
// done with all, or there is nothing to do. The orders differ in their messages
// only.
func (p *Operator) GiveAll(ctx context.Context, orders []ledger.Order) error {
	left := make(map[string]ledger.Order)
	for _, o := range orders {
		left[o.QueueID] = o
	}
	for {
		args := p.arguments(orders[0])
		args = slices.DeleteFunc(args, func(a string) bool { return a == orders[0].QueueID })
		for _, o := range orders {
			if _, wanted := left[o.QueueID]; wanted {
				p.Asked(o)
				args = append(args, o.QueueID)
			}
		}
		r, err := p.queuectl(ctx, args...)
		for line := range strings.Lines(r.Stdout) {
			var result struct{ ID, Outcome string }
			if json.Unmarshal([]byte(line), &result) != nil {
				continue
			}
			o, wanted := left[result.ID]
			switch {
			case !wanted:
			case result.Outcome == "done":
				p.Done(o)
				delete(left, result.ID)
			case result.Outcome == "nothing to do":
				delete(left, result.ID)
			}
		}
		if len(left) == 0 {
			return nil
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return fmt.Errorf("%d of %d orders are not done: %+v: %v, exit %d: %s", len(left), len(orders), orders[0], err, r.Code, r.Stderr)
		}
	}
}

func (p *Operator) arguments(o ledger.Order) []string {
	args := []string{string(o.Kind), "--json", o.QueueID}
	switch o.Kind {
	case ledger.Hold, ledger.BounceNow:
		args = append(args, "--why", "the operator wants it")
	case ledger.Readdress:
		args = append(args, "--address", o.To)
	case ledger.Reroute:
		args = append(args, "--via", p.Relay)
	}
	for _, to := range o.Recipients {
		args = append(args, "--to", to)
	}
	return args
}

// outcomeOf is what the first line says became of the message.
func outcomeOf(out string) string {
	line, _, _ := strings.Cut(out, "\n")
	var result struct{ Outcome string }
	if json.Unmarshal([]byte(line), &result) != nil {
		return ""
	}
	return result.Outcome
}

func (p *Operator) queuectl(ctx context.Context, args ...string) (testhost.Result, error) {
	return p.Host.Run(ctx, testhost.Command{Argv: append([]string{"/var/qmail/bin/qmail-queuectl"}, args...)})
}
