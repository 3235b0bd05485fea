//go:build linux && amd64

package failing

import (
	"context"
	"regexp"
	"testing"
	"time"

	"postrider/internal/faultcall"
)

// TestDelivery lets calls of every program behind the acceptance fail while
// messages go into a Maildir and an mbox, and bounce. Nothing is started again:
// what was deferred is delivered when the fault is gone. The scheduler runs on
// a clock that can be moved, since it looks again after two minutes.
func TestDelivery(t *testing.T) {
	r := newRig(t, "alice", "bob")
	r.host.InstallMovedClock()
	r.clock = time.Second
	r.host.WriteFile("/home/bob/.qmail", "./Mailbox\n", 0o644)
	r.host.Chown("/home/bob/.qmail", "bob")
	r.start()
	for _, program := range []string{"qmail-local", "qmail-send", "qmail-lspawn", "qmail-spool"} {
		r.run(sweep{
			name: "Maildir, mbox, bounce", program: program, classes: writePath, share: 12,
			do: r.underLocalDelivery, rest: r.drain,
		})
	}
	r.injected.log(t)
	r.rest()
	r.judge()
	r.report()
}

var ended = regexp.MustCompile(`^end msg `)

// TestRelay lets calls of qmail-remote and of the scheduler fail while messages
// go to the next host: to one recipient, to several, and in large ones. A host
// that could not be reached is not tried again for a while, on the same clock.
func TestRelay(t *testing.T) {
	r := newRig(t)
	far := r.net.Host("far.example")
	r.next = far.Sink(":25", nil)
	r.host.Control("rcpthosts", domain, far.Name)
	r.host.InstallMovedClock()
	r.clock = time.Second
	r.start()
	for _, program := range []string{"qmail-remote", "qmail-send"} {
		r.run(sweep{
			name: "relay", program: program, classes: writePath, share: 12, rest: r.drain,
			do: func(o faultcall.Order) bool {
				return r.underDelivery(o, [][]string{{"a@" + far.Name}, {"a@" + far.Name, "b@" + far.Name, "c@" + far.Name}}[r.sent%2])
			},
		})
	}
	r.injected.log(t)
	r.drain()
	r.judge()
	r.report()
}

// underLocalDelivery is underDelivery to a Maildir, an mbox, or both a Maildir
// and nobody.
func (r *rig) underLocalDelivery(o faultcall.Order) (fired bool) {
	r.t.Helper()
	return r.underDelivery(o, [][]string{{"alice"}, {"bob"}, {"alice", nobody}}[r.sent%3])
}

// underDelivery sends a message that is taken before the order holds, and waits
// until it fired or the message is done with.
func (r *rig) underDelivery(o faultcall.Order, to []string) (fired bool) {
	r.t.Helper()
	size := []int{600, 100_000}[r.sent/3%2]
	first := r.host.Log().Len()
	events, _ := r.calls.Events(0)
	r.book.Fault(o.Fault.String(), o.Program)
	r.arm(o)
	r.bySMTP(o, size, to...)
	r.await(len(events), first)
	return r.arm()[0] >= o.Nth
}

// await waits for an event after those that there were, or for the end of a
// message in the log from line first on. Where the clock can be moved it is
// when nothing comes: a bounce that was refused is tried again only then.
func (r *rig) await(events, first int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), answerWait)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, _, err := r.host.Log().Wait(ctx, first, ended)
		done <- err
	}()
	quiet := time.NewTicker(2 * time.Second)
	defer quiet.Stop()
	for {
		fresh, changed := r.calls.Events(events)
		if len(fresh) > 0 {
			return
		}
		select {
		case err := <-done:
			if err != nil {
				r.wrong("neither fault nor delivery: %v", err)
			}
			return
		case <-changed:
		case <-quiet.C:
			if r.clock > 0 {
				r.lookAgain()
			}
		}
	}
}
