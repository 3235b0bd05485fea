//go:build linux && amd64

package failing

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"postrider/internal/faultcall"
	"postrider/internal/operator"
	"postrider/internal/queuedir"
	"postrider/internal/testhost"
)

// orderPath are the calls that an order is made of.
var orderPath = []faultcall.Class{
	faultcall.Sync, faultcall.Write, faultcall.Open, faultcall.Times, faultcall.Read, faultcall.Stat, faultcall.Truncate, faultcall.Close,
}

// TestOrders lets calls of the scheduler fail while an operator holds and releases
// many messages with one command, of which those share a sync. What was answered
// "done" is on disk, what was answered "not now" is as it was, and nothing that a
// failed sync was for is done.
func TestOrders(t *testing.T) {
	r := newRig(t)
	far := r.net.Host("far.example")
	r.next = far.Sink(":25", nil)
	r.next.SetScript(operator.Closed)
	r.host.Control("rcpthosts", domain, far.Name)
	r.start()
	b := &bulk{rig: r, held: make(map[string]bool)}
	for n := range 40 {
		b.to = append(b.to, fmt.Sprintf("%s%d@%s", operator.Waiting, n, far.Name))
		if r.bySMTP(noFault, 600, b.to[n]) != taken {
			t.Fatal("not taken")
		}
	}
	b.await()
	r.run(sweep{name: "orders about many", program: "qmail-send", classes: orderPath, share: 4, most: 5, do: b.underFault, rest: b.settle})
	r.injected.log(t)
	b.settle()
	r.next.SetScript(nil)
	r.drain()
	r.judge()
	r.report()
}

// bulk is messages that are held and released together.
type bulk struct {
	*rig
	to   []string
	ids  []string
	held map[string]bool // as was answered
}

// await waits until no delivery is under way: of what is in no hand, many orders
// share a sync.
func (b *bulk) await() {
	b.t.Helper()
	var err error
	if b.ids, err = (&operator.Operator{Host: b.host}).FindAll(testhost.Within(b.t, patient), b.to); err != nil {
		b.t.Fatal(err)
	}
}

// underFault gives an order under a fault, and another one of its kind without.
func (b *bulk) underFault(o faultcall.Order) (fired bool) {
	b.t.Helper()
	b.await()
	events, _ := b.calls.Events(0)
	hold := !b.held[b.ids[0]]
	b.book.Fault(o.Fault.String(), o.Program)
	b.arm(o)
	done := b.give(hold)
	fired = b.arm()[0] >= o.Nth
	b.onDisk(describe(o))
	after, _ := b.calls.Events(len(events))
	for _, e := range after {
		if o.Class == faultcall.Sync && e.Fault.Errno != 0 && strings.HasPrefix(e.Target, "/var/qmail/queue/info") && done > 0 {
			b.wrong("%s: and yet %d orders are done", describe(o), done)
		}
	}
	if b.give(hold); len(b.unlike(hold)) > 0 {
		b.wrong("%s: %d orders cannot be done afterwards", describe(o), len(b.unlike(hold)))
	}
	return fired
}

// settle releases all.
func (b *bulk) settle() {
	b.t.Helper()
	b.await()
	b.give(false)
	b.onDisk("no fault")
	if left := b.unlike(false); len(left) > 0 {
		b.t.Fatalf("%d messages are not released", len(left))
	}
}

func (b *bulk) unlike(hold bool) (ids []string) {
	for _, id := range b.ids {
		if b.held[id] != hold {
			ids = append(ids, id)
		}
	}
	return ids
}

// give gives an order about those for which it was not given, and counts how many
// were answered "done".
func (b *bulk) give(hold bool) (done int) {
	b.t.Helper()
	ids := b.unlike(hold)
	if len(ids) == 0 {
		return 0
	}
	word := map[bool]string{true: "hold", false: "release"}[hold]
	for _, line := range b.queuectl(append([]string{word, "--json"}, ids...)...) {
		var result struct{ ID, Outcome string }
		if json.Unmarshal([]byte(line), &result) == nil && result.Outcome == "done" {
			b.held[result.ID] = hold
			done++
		}
	}
	return done
}

// onDisk sees that the progress files say what was answered.
func (b *bulk) onDisk(when string) {
	b.t.Helper()
	for _, id := range b.ids {
		text, err := os.ReadFile(b.host.Path("/var/qmail/queue/info/" + id[18:] + "/" + id))
		if err != nil {
			b.t.Fatal(err)
		}
		p, err := queuedir.ReadProgress(bytes.NewReader(text), 1)
		if err != nil || p.Held != b.held[id] {
			b.wrong("%s: %s: held on disk: %v, and answered: %v; %v", when, id, p.Held, b.held[id], err)
		}
	}
}

func (r *rig) queuectl(args ...string) []string {
	r.t.Helper()
	result, err := r.host.Run(testhost.Within(r.t, patient), testhost.Command{Argv: append([]string{"/var/qmail/bin/qmail-queuectl"}, args...)})
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(result.Stdout), "\n")
}
