package powercut

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"postrider/internal/ledger"
	"postrider/internal/operator"
	"postrider/internal/testhost"
)

// workload is something the suite does, recorded as one trace.
type workload struct {
	name       string
	deliveries int // at a time
	work       func(*recording)
}

// sizes lie around the limits of the queue: 16 KiB, up to which a message
// travels in the packet of its job, and 64 KiB, up to which it is in its entry.
// Above 256 KiB a body is synced by itself.
var sizes = []int{0, 1, 600, 4096, 16_000, 16_800, 65_000, 66_500, large, 1 << 20}

const large = 300_000

// workloads are those of the bounded form, or with each size and number of
// recipients by itself.
func workloads() []workload {
	list := []workload{
		{"concurrent enqueues", 0, concurrentEnqueues},
		{"deliver to a Maildir", 20, func(r *recording) { r.through(r.compose(600, "alice")) }},
		{"deliver a large one", 20, func(r *recording) { r.through(r.compose(70_000, "alice")) }},
		{"deliver to many", 20, func(r *recording) { r.through(r.compose(900, names("alice", 50)...)) }},
		{"deliver to an mbox", 20, func(r *recording) { r.through(r.compose(600, "carol"), r.compose(700, "carol")) }},
		{"deliver at once", 20, deliverAtOnce},
		{"forward", 20, func(r *recording) { r.through(r.compose(600, "dave"), r.compose(66_500, "dave", "alice")) }},
		{"relay", 20, func(r *recording) {
			r.through(r.compose(600, "x@"+far), r.compose(66_500, "x@"+far, "y@"+far, "alice"))
		}},
		{"temporary failure", 20, temporaryFailure},
		{"bounce", 20, func(r *recording) { r.through(r.compose(600, "nobody"), r.compose(700, "alice", "no-one", "x@"+far)) }},
		{"drop", 20, drop},
		{"orders", 20, orders},
		{"orders for many", 20, ordersForMany},
		{"enqueue a large one", 0, func(r *recording) { r.traced(func() { r.must(r.fresh(large, 2)) }) }},
		{"restart", 20, restart},
	}
	for _, recipients := range []int{1, 2, 50} {
		list = append(list, workload{fmt.Sprintf("enqueue for %d", recipients), 0, func(r *recording) {
			r.traced(func() {
				for _, size := range sizes {
					if size < large {
						r.must(r.fresh(size, recipients))
					}
				}
			})
		}})
	}
	if !testhost.Long() {
		return list
	}
	for _, recipients := range []int{1, 2, 50} {
		for _, size := range sizes {
			list = append(list, workload{fmt.Sprintf("enqueue %d bytes for %d", size, recipients), 0, func(r *recording) {
				r.traced(func() { r.must(r.fresh(size, recipients)) })
			}})
		}
	}
	return list
}

// fresh is a message to recipients that nothing else is sent to.
func (r *recording) fresh(size, recipients int) Message {
	return r.compose(size, names(fmt.Sprintf("alice-%d", r.sequence), recipients)...)
}

// through sends messages and waits until they are gone.
func (r *recording) through(messages ...Message) {
	r.traced(func() {
		r.must(messages...)
		r.empty()
	})
}

func concurrentEnqueues(r *recording) {
	var lists [][]Message
	for client := range 4 {
		var list []Message
		for n := range 3 {
			list = append(list, r.compose(sizes[2+(client+2*n)%6], names(fmt.Sprintf("alice-%d", client), 1+client)...))
		}
		lists = append(lists, list)
	}
	r.traced(func() { r.many(lists...) })
}

func deliverAtOnce(r *recording) {
	var lists [][]Message
	for range 3 {
		lists = append(lists, []Message{r.compose(600, "alice", "load"), r.compose(17_000, "load", "dave"), r.compose(900, "alice", "carol")})
	}
	r.traced(func() {
		r.many(lists...)
		r.empty()
	})
}

// temporaryFailure has a progress file with what is done and what is not.
func temporaryFailure(r *recording) {
	m := r.compose(600, "alice", "erin", "nobody")
	r.traced(func() {
		first := r.host.Log().Len()
		r.must(m)
		r.host.WaitForLog(first, `^delivery \d+: deferral: `)
		r.host.WaitForLog(first, `^bounce msg `)
		r.host.Must("touch", "/tmp/open")
		r.empty()
	})
}

func drop(r *recording) {
	r.sendmail(r.compose(600, "alice", "load"))
	r.sendmail(r.compose(70_000, "alice", "x@"+far))
	r.traced(func() {
		r.empty()
		r.host.Maildir("alice").Wait(testhost.Within(r.t, soon), 2)
		r.empty()
	})
}

// restart finds a queue of an earlier run.
func restart(r *recording) {
	r.concurrency(0)
	r.traced(func() {
		r.must(r.compose(600, "alice"), r.compose(700, "alice", "carol"), r.compose(66_500, "alice", "nobody"), r.compose(800, "x@"+far))
	})
	r.concurrency(20)
	r.traced(r.empty)
}

// orders has messages wait, and an operator do each of his courses with one of
// them.
func orders(r *recording) {
	r.sink.SetScript(operator.Closed)
	var messages []Message
	for n := range operator.Courses() {
		messages = append(messages, r.compose(600, fmt.Sprintf("%s%d@%s", operator.Waiting, n, far), "alice"))
	}
	r.traced(func() {
		r.must(messages...)
		random := rand.New(rand.NewPCG(1, 1))
		for n, course := range operator.Courses() {
			m := messages[n]
			c := operator.Case{ID: m.ID, To: m.Recipients[0], Address: fmt.Sprintf("alice-moved-%d@%s", n, domain), Place: "relay"}
			r.c.Places[c.Address] = placeOf(c.Address)
			if err := r.operator().Follow(testhost.Within(r.t, soon), course, c, random); err != nil {
				r.t.Fatal(err)
			}
		}
		r.sink.SetScript(nil)
		r.empty()
	})
}

// many is how many messages an order must be about that their progress files are
// made durable together.
const many = 40

// ordersForMany has an operator hold many messages with one command, and release
// them with another.
func ordersForMany(r *recording) {
	r.sink.SetScript(operator.Closed)
	var messages []Message
	for n := range many {
		messages = append(messages, r.compose(600, fmt.Sprintf("%s%d@%s", operator.Waiting, n, far)))
	}
	r.traced(func() {
		r.must(messages...)
		ctx := testhost.Within(r.t, soon)
		for _, kind := range []ledger.OrderKind{ledger.Hold, ledger.Release} {
			if err := r.giveAll(ctx, r.operator(), messages, kind); err != nil {
				r.t.Fatal(err)
			}
		}
		r.sink.SetScript(nil)
		r.empty()
	})
}

// giveAll gives an order about messages when all of them wait and none is under
// way.
func (r *recording) giveAll(ctx context.Context, op *operator.Operator, messages []Message, kind ledger.OrderKind) error {
	var to []string
	for _, m := range messages {
		to = append(to, m.Recipients[0])
	}
	entries, err := op.FindAll(ctx, to)
	if err != nil {
		return err
	}
	var orders []ledger.Order
	for n, m := range messages {
		orders = append(orders, ledger.Order{ID: m.ID, Kind: kind, QueueID: entries[n]})
	}
	return op.GiveAll(ctx, orders)
}

// operator gives orders that are part of the case. What he sends another way
// goes to the same host.
func (r *recording) operator() *operator.Operator {
	asked := func(o ledger.Order) {
		if before := r.c.about(o.QueueID); len(before) > 0 && before[len(before)-1].Kind == o.Kind {
			return // it was "not now"
		}
		r.c.Orders = append(r.c.Orders, o)
		if o.Kind == ledger.Readdress {
			if r.c.Moved == nil {
				r.c.Moved = make(map[Pair]string)
			}
			r.c.Moved[Pair{o.ID, o.Recipients[0]}] = o.To
		}
	}
	return &operator.Operator{Host: r.host, Relay: far, Asked: asked, Done: func(ledger.Order) {}}
}

// release has messages tried again that are held. An entry that the power cut
// has torn is one that qmail-queuectl warns of until the spool has put it away.
func (r *recording) release() {
	r.t.Helper()
	ctx := testhost.Within(r.t, soon)
	for {
		result, err := r.host.Run(ctx, testhost.Command{Argv: []string{"/var/qmail/bin/qmail-queuectl", "release", "--state", "held"}})
		switch {
		case err != nil:
			r.t.Fatal(err)
		case result.Code == 0:
			return
		case ctx.Err() != nil || !strings.Contains(result.Stderr, "entry is torn"):
			r.t.Fatal(result)
		}
	}
}
