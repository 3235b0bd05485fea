package queuectl

import (
	"errors"
	"fmt"
	"slices"

	"postrider/internal/legible"
	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
)

var errNotRunning = errors.New("qmail-send does not run; the queue can be changed only while it does: start it")

// change returns the command that gives an order.
func change(kind manage.Kind) func(*run, []string) error {
	return func(r *run, operands []string) error {
		if err := r.choose(operands, true); err != nil {
			return err
		}
		return r.change(manage.Order{Kind: kind, Text: r.text})
	}
}

// forRecipients reports whether an order of that kind can be about some of the
// recipients.
func forRecipients(kind manage.Kind) bool {
	return kind == manage.Delete || kind == manage.Bounce || kind == manage.Readdress || kind == manage.Reroute
}

// change gives an order for all that is meant: its reading ends before the
// first change, so that what is changed is what was seen.
func (r *run) change(o manage.Order) error {
	client, err := manage.Dial(r.layout.Manage())
	if errors.Is(err, manage.ErrNotRunning) {
		return errNotRunning
	}
	if err != nil {
		return err
	}
	defer client.Close()
	some := forRecipients(o.Kind) && (r.choice.wantedByReceiver || r.choice.reason != "")
	var targets []manage.Target
	// What can be asked for by number alone needs no reading.
	if c := *r.choice; len(c.ids) > 0 && !some {
		c.ids = nil
		if c.wide() {
			for _, id := range r.choice.ids {
				targets = append(targets, manage.Target{ID: id})
			}
		}
	}
	if targets == nil && r.choice.wide() { // --all
		targets, err = r.everything()
	} else if targets == nil {
		err = r.chosen(reading{}, func(m *message, _ *queuedir.Entry) error {
			t := manage.Target{ID: m.id}
			if some {
				t.Recipients = r.choice.recipients(m)
			}
			for part := range slices.Chunk(t.Recipients, manage.MaxRecipients) {
				targets = append(targets, manage.Target{ID: m.id, Recipients: part})
			}
			if len(t.Recipients) == 0 {
				targets = append(targets, t)
			}
			return nil
		})
	}
	if err != nil {
		return err
	}
	if r.dry {
		for _, t := range targets {
			_, _ = fmt.Fprintln(r.out, t.ID)
		}
		return nil
	}
	return r.give(client, o, targets)
}

// everything is all messages, of which nothing needs to be read.
func (r *run) everything() (targets []manage.Target, err error) {
	s, err := newSource(r.layout, r.unread)
	if err != nil {
		return nil, err
	}
	defer s.close()
	ids, err := s.everything()
	for _, id := range ids {
		targets = append(targets, manage.Target{ID: id})
	}
	return targets, err
}

// give gives the order in as many packets as it takes, and tells what became of
// it.
func (r *run) give(client *manage.Client, o manage.Order, targets []manage.Target) error {
	done := 0
	for len(targets) > 0 {
		n, room := 0, manage.Room(o.Text)
		for n < len(targets) && n < manage.MaxTargets && room >= targets[n].Size() {
			room -= targets[n].Size()
			n++
		}
		o.Targets = targets[:n]
		targets = targets[n:]
		err := client.Change(o, func(results []manage.Result) error {
			for _, res := range results {
				if res.Outcome == manage.Done {
					done++
				}
				if err := r.result(res); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if r.json {
		return nil
	}
	_, err := fmt.Fprintf(r.out, "done: %d\n", done)
	return err
}

// outcomes are what became of a message, in words.
var outcomes = map[manage.Outcome]string{
	manage.Done: "done", manage.Nothing: "nothing to do", manage.Missing: "no such message, or not yours",
	manage.Refused: "refused", manage.Later: "not now",
}

// result tells what became of a message, unless it was simply done.
func (r *run) result(res manage.Result) error {
	if res.Outcome == manage.Missing && len(r.choice.ids) == 0 {
		return nil // it was delivered since it was chosen
	}
	if res.Outcome != manage.Done && res.Outcome != manage.Nothing {
		r.failed = true
	}
	if r.json {
		return r.object(struct {
			ID      string `json:"id"`
			Outcome string `json:"outcome"`
			Text    string `json:"text,omitempty"`
		}{res.ID.String(), outcomes[res.Outcome], res.Text})
	}
	if res.Outcome == manage.Done && res.Text == "" {
		return nil
	}
	text := outcomes[res.Outcome]
	if res.Text != "" {
		text += ": " + res.Text
	}
	_, err := fmt.Fprintf(r.out, "%s  %s\n", res.ID, legible.Text(text))
	return err
}
