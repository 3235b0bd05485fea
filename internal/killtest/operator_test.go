package killtest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

// Operators change what waits, by qmail-queuectl. What they order about has one
// recipient whom the next host takes no mail for while there is load, and some
// whose mail is delivered meanwhile.

const (
	operators = 2
	// waiting begins the local parts of those whose mail waits.
	waiting = "wait-"
	// relay is the place of mail that was given another next host.
	relay = "relay"
)

// untaken is what the next host says while there is load.
func untaken(verb, argument string) string {
	if verb == "RCPT" && strings.Contains(argument, waiting) {
		return "450 4.2.0 this mailbox is closed"
	}
	return testhost.Default
}

// step is an order, or a pause.
type step struct {
	kind  ledger.OrderKind
	some  bool // about the recipient who waits alone
	pause bool
}

// courses are what operators do with a message, one after another.
var courses = [][]step{
	{{kind: ledger.Hold}, {pause: true}, {kind: ledger.Release}},
	{{kind: ledger.Hold}, {kind: ledger.Release}, {pause: true}, {kind: ledger.Delete}},
	{{kind: ledger.Delete}},
	{{kind: ledger.Delete, some: true}},
	{{kind: ledger.BounceNow}},
	{{kind: ledger.BounceNow, some: true}},
	{{kind: ledger.Readdress, some: true}},
	{{kind: ledger.Reroute, some: true}},
	{{kind: ledger.Hold}, {kind: ledger.Readdress, some: true}, {pause: true}, {kind: ledger.Release}},
	{{kind: ledger.Hold}, {kind: ledger.Delete, some: true}, {kind: ledger.Release}},
	{{kind: ledger.Hold}, {pause: true}, {kind: ledger.Delete}},
}

// operate gives orders until the load ends; a course that was begun is finished.
func (l *load) operate() {
	r := rand.New(rand.NewPCG(l.seed, uint64(l.numbers.Add(1))))
	for l.ctx.Err() == nil {
		if l.queued.Load() > enough {
			pause(l.ctx, 20*time.Millisecond)
			continue
		}
		n := l.numbers.Add(1)
		to := []string{fmt.Sprintf("%s%s-%d@%s", waiting, l.name, n, far)}
		for i := range r.IntN(4) {
			to = append(to, fmt.Sprintf("%s-%s-%d-%d@%s", boxes[i%len(boxes)], l.name, n, i, here))
		}
		taken := ""
		l.one("operator", func(ctx context.Context, in ledger.Intent, text string) {
			if l.trySMTP(ctx, in, text, plainly) {
				taken = in.ID
			}
		}, to, r)
		if taken == "" { // the kill took the answer, if there was one
			pause(l.ctx, 50*time.Millisecond)
			continue
		}
		l.course(taken, to[0], n, r)
	}
}

// course does one course with a message that was taken.
func (l *load) course(id, to string, n int64, r *rand.Rand) {
	ctx, cancel := context.WithTimeout(l.t.Context(), soon)
	defer cancel()
	entry := l.find(ctx, to)
	if entry == "" {
		l.t.Errorf("%s was taken, and qmail-queuectl has no message for %s", id, to)
		return
	}
	for _, s := range courses[r.IntN(len(courses))] {
		if s.pause || r.IntN(2) == 0 { // between loading, under way and waiting
			pause(ctx, time.Duration(r.IntN(600))*time.Millisecond)
		}
		if s.pause {
			continue
		}
		o := ledger.Order{ID: id, Kind: s.kind, QueueID: entry}
		switch s.kind {
		case ledger.Readdress:
			o.To = fmt.Sprintf("%s-%s-%d-moved@%s", boxes[int(n)%len(boxes)], l.name, n, here)
		case ledger.Reroute:
			o.To = relay
		}
		if s.some {
			o.Recipients = []string{to}
		}
		if !l.order(ctx, o) {
			return
		}
	}
}

// find returns the number of the message that waits for a recipient.
func (l *load) find(ctx context.Context, to string) (entry string) {
	for ctx.Err() == nil {
		r, err := l.queuectl(ctx, "list", "--json", "--to", to)
		var m struct{ ID string }
		if err == nil && r.Code == 0 && json.Unmarshal([]byte(r.Stdout), &m) == nil {
			return m.ID
		}
		pause(ctx, 50*time.Millisecond)
	}
	return ""
}

// order gives an order until it is answered: that it is done, or that there is
// nothing to do. It reports whether the message is still there.
func (l *load) order(ctx context.Context, o ledger.Order) (there bool) {
	args := []string{string(o.Kind), "--json"}
	switch o.Kind {
	case ledger.Hold, ledger.BounceNow:
		args = append(args, "--why", "the operator wants it")
	case ledger.Readdress:
		args = append(args, "--address", o.To)
	case ledger.Reroute:
		args = append(args, "--via", "["+l.host.unknown.IP.String()+"]")
	}
	args = append(args, o.QueueID)
	for _, to := range o.Recipients {
		args = append(args, "--to", to)
	}
	for ctx.Err() == nil {
		l.book.Order(o)
		r, err := l.queuectl(ctx, args...)
		switch outcome := outcomeOf(r.Stdout); {
		case err != nil || r.Code < 0: // killed
		case outcome == "done":
			l.book.Ordered(o.ID)
			return o.Kind != ledger.Delete || len(o.Recipients) > 0
		case outcome == "nothing to do":
			return true
		case outcome == "no such message, or not yours", r.Code == 0 && r.Stdout == "",
			strings.Contains(r.Stderr, "no such message"):
			return false
		}
		pause(ctx, 50*time.Millisecond)
	}
	l.t.Errorf("nobody does it: %+v", o)
	return false
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

func (l *load) queuectl(ctx context.Context, args ...string) (testhost.Result, error) {
	return l.host.Run(ctx, testhost.Command{Argv: append([]string{"/var/qmail/bin/qmail-queuectl"}, args...)})
}
