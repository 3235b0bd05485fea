package ledger

import (
	"slices"
	"strings"
	"testing"
)

// ordered is a message for x and y that waits, about which an order is given
// and, unless it is asked only, answered a second later.
func ordered(kind OrderKind, to string, answered bool, recipients ...string) (*run, string) {
	r := newRun()
	text := r.intend("m1", "x@b.example", "y@b.example")
	r.ack("m1")
	r.log(0.15, "new msg 77")
	r.attempt("77", "x@b.example", "deferral", 0.2, 0.3)
	r.attempt("77", "y@b.example", "deferral", 0.2, 0.3)
	if to == "" {
		to = "-"
	}
	r.ledger.record(r.at(10), append([]string{"ORDER", "m1", string(kind), "77", to}, recipients...))
	if answered {
		r.ledger.record(r.at(11), []string{"ORDERED", "m1"})
	}
	return r, text
}

func (r *run) release(seconds float64) {
	r.ledger.record(r.at(seconds), []string{"ORDER", "m1", "release", "77", "-"})
	r.ledger.record(r.at(seconds), []string{"ORDERED", "m1"})
}

// gets is an attempt that succeeds, and the copy.
func (r *run) gets(seconds float64, text, recipient string) *Delivery {
	r.attempt("77", recipient, "success", seconds, seconds+0.1)
	d := r.deliver(text, "77", recipient)
	d.When = r.at(seconds + 0.1)
	return d
}

func TestOrdersThatCount(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func() *run{
		"deleted":                     func() *run { r, _ := ordered(Delete, "", true); return r },
		"deleted, no answer was read": func() *run { r, _ := ordered(Delete, "", false); return r },
		"not deleted, no answer was read": func() *run {
			r, text := ordered(Delete, "", false)
			r.gets(20, text, "x@b.example")
			r.gets(20, text, "y@b.example")
			return r
		},
		"one deleted": func() *run {
			r, text := ordered(Delete, "", true, "x@b.example")
			r.gets(20, text, "y@b.example")
			return r
		},
		"held and released": func() *run {
			r, text := ordered(Hold, "", true)
			r.release(60)
			r.gets(60, text, "x@b.example")
			r.gets(61, text, "y@b.example")
			return r
		},
		"bounced": func() *run {
			r, text := ordered(BounceNow, "", true)
			r.bounce(text, "x@b.example")
			r.bounce(text, "y@b.example")
			return r
		},
		"another address": func() *run {
			r, text := ordered(Readdress, "z@b.example", true, "x@b.example")
			r.gets(20, text, "z@b.example")
			r.gets(20, text, "y@b.example")
			return r
		},
		"bounced by another address": func() *run {
			r, text := ordered(Readdress, "z@b.example", true, "x@b.example")
			r.bounce(text, "z@b.example")
			r.gets(20, text, "y@b.example")
			return r
		},
		"another host": func() *run {
			r, text := ordered(Reroute, "relay", true)
			r.gets(20, text, "x@b.example").Place = "relay"
			r.gets(20, text, "y@b.example").Place = "relay"
			return r
		},
	} {
		r := make()
		if found, summary := r.ledger.Check(r.evidence); len(found) > 0 || r.ledger.err != nil || summary.Orders == 0 {
			t.Errorf("%s: %v, %v (%v)", name, found, r.ledger.err, summary)
		}
	}
}

func TestOrdersThatDoNotCount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		rule Rule
		make func() *run
	}{
		{"held, and gone", "L1", func() *run { r, _ := ordered(Hold, "", true); return r }},
		{"one deleted, and another gone", "L1", func() *run { r, _ := ordered(Delete, "", true, "x@b.example"); return r }},
		{"deleted and delivered", "L11", func() *run {
			r, text := ordered(Delete, "", true)
			r.gets(20, text, "x@b.example")
			return r
		}},
		{"held and tried", "L11", func() *run {
			r, text := ordered(Hold, "", true)
			r.gets(20, text, "x@b.example")
			r.gets(20, text, "y@b.example")
			r.release(60)
			return r
		}},
		{"bounced and tried", "L11", func() *run {
			r, text := ordered(BounceNow, "", true)
			r.bounce(text, "x@b.example")
			r.bounce(text, "y@b.example")
			r.attempt("77", "x@b.example", "deferral", 20, 21)
			return r
		}},
		{"the old address", "L11", func() *run {
			r, text := ordered(Readdress, "z@b.example", true, "x@b.example")
			r.gets(20, text, "x@b.example")
			r.gets(20, text, "y@b.example")
			return r
		}},
		{"both addresses", "L4", func() *run {
			r, text := ordered(Readdress, "z@b.example", true, "x@b.example")
			r.gets(9, text, "x@b.example")
			r.gets(20, text, "z@b.example")
			r.gets(20, text, "y@b.example")
			return r
		}},
		{"an address that nobody gave", "L6", func() *run {
			r, text := ordered(Readdress, "z@b.example", true, "x@b.example")
			r.gets(20, text, "q@b.example")
			return r
		}},
		{"the old host", "L11", func() *run {
			r, text := ordered(Reroute, "relay", true)
			r.gets(20, text, "x@b.example").Place = "relay"
			r.gets(20, text, "y@b.example").Place = "sink"
			return r
		}},
	} {
		r := c.make()
		found, _ := r.ledger.Check(r.evidence)
		if !slices.ContainsFunc(found, func(v Violation) bool { return v.Rule == c.rule }) || r.ledger.err != nil {
			t.Errorf("%s: want %s, got %v (%v)", c.name, c.rule, found, r.ledger.err)
		}
	}
}

func TestOrdersAreReadBack(t *testing.T) {
	t.Parallel()
	const text = "1 INTENT a smtp h <s> r q\n2 ORDER a readdress 77 z@b r\n3 ORDERED a\n"
	l, err := Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	o := l.Entries()[0].Orders
	if len(o) != 1 || o[0].Kind != Readdress || o[0].QueueID != "77" || o[0].To != "z@b" || !o[0].covers("r") || o[0].covers("q") ||
		o[0].Asked.UnixNano() != 2 || o[0].Answered.UnixNano() != 3 {
		t.Errorf("got %+v", o)
	}
	for _, wrong := range []string{"2 ORDER a laugh 77 -", "2 ORDER a hold 77", "2 ORDER b hold 77 -", "2 ORDER a hold 77 - p", "2 ORDERED a", "2 ORDERED b"} {
		if _, err := Read(strings.NewReader("1 INTENT a smtp h <s> r\n" + wrong + "\n")); err == nil {
			t.Errorf("accepted: %q", wrong)
		}
	}
}
