package qmailsend

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
	"postrider/internal/wire/spawn"
	"postrider/qmail-send/progress"
)

// root and stranger are clients; messages of tests are those of uid 1000.
var (
	root     = progress.Client{UID: 0, Operator: true}
	stranger = progress.Client{UID: 1001}
	owner    = progress.Client{UID: 1000}
)

// give gives an order and returns what became of it, by message.
func (r *rig) give(t testing.TB, from progress.Client, o manage.Order) map[queuedir.ID]manage.Result {
	t.Helper()
	wanted := &progress.Order{Order: o, From: from, At: r.clock.Now(), Results: make(chan manage.Result, len(o.Targets))}
	r.inside(func() { r.s.Take(wanted) })
	got := make(map[queuedir.ID]manage.Result)
	timeout := time.After(patience)
	for range o.Targets {
		select {
		case res := <-wanted.Results:
			got[res.ID] = res
		case <-timeout:
			t.Fatalf("no answer to %q; log:\n%s", o.Kind, r.log.end())
		}
	}
	return got
}

// one gives an order for one message; some are recipients.
func (r *rig) one(t testing.TB, from progress.Client, kind manage.Kind, text string, id queuedir.ID, some ...int) manage.Result {
	t.Helper()
	return r.give(t, from, manage.Order{Kind: kind, Text: text, Targets: []manage.Target{{ID: id, Recipients: some}}})[id]
}

// mustDo is one that must be done.
func (r *rig) mustDo(t testing.TB, kind manage.Kind, text string, id queuedir.ID, some ...int) {
	t.Helper()
	if got := r.one(t, root, kind, text, id, some...); got.Outcome != manage.Done {
		t.Fatalf("%q of %s: %q %s; log:\n%s", kind, id, got.Outcome, got.Text, r.log.end())
	}
}

func (r *rig) phase(id queuedir.ID) (p manage.Phase) {
	r.inside(func() {
		if m := r.s.messages[id]; m != nil {
			p = m.phase()
		}
	})
	return p
}

// deferred returns a rig with a message all of whose recipients wait.
func deferredRig(t *testing.T, recipients ...string) (*rig, testMessage, *testAgent, *testAgent) {
	t.Helper()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	l := connectAgent(t, r.s, local, 0, byLocalPart)
	m := testMessage{id: id(1), sender: "s@x.org", body: "hello", recipients: recipients}
	re := connectAgent(t, r.s, remote, 0, byLocalPart)
	r.until(t, "the end of the scan", func() bool { return r.s.spool != nil && !r.s.scan.running })
	r.clock.advance(m.id.Time())
	r.spool.accept(m)
	r.until(t, "a deferral", func() bool { return r.s.messages[m.id] != nil && r.s.messages[m.id].is(attempted) })
	r.untilIdle(t)
	return r, m, l, re
}

func TestHoldAndRelease(t *testing.T) {
	t.Parallel()
	r, m, l, _ := deferredRig(t, "z@loc.example.org")
	r.mustDo(t, manage.Hold, "looks odd", m.id)
	if got := r.one(t, root, manage.Hold, "", m.id); got.Outcome != manage.Nothing {
		t.Errorf("held twice: %q %s", got.Outcome, got.Text)
	}
	if got := r.one(t, root, manage.TryNow, "", m.id); got.Outcome != manage.Refused {
		t.Errorf("tried while held: %q %s", got.Outcome, got.Text)
	}
	r.inside(r.s.flush)
	r.clock.advance(m.id.Time().Add(time.Hour))
	r.untilIdle(t)
	if n := len(l.recipients()); n != 1 || r.phase(m.id) != manage.HeldBack {
		t.Errorf("%d deliveries, phase %q", n, r.phase(m.id))
	}
	r.mustDo(t, manage.Release, "", m.id)
	l.until("another delivery", func() bool { return len(l.jobs) == 2 })
	r.untilIdle(t)
	if got := r.one(t, root, manage.Release, "", m.id); got.Outcome != manage.Nothing {
		t.Errorf("released twice: %q %s", got.Outcome, got.Text)
	}
}

// TestHoldSurvives: what an order said is on disk when it is answered.
// A release that is on disk though it was answered "later", since it could not be
// taken back, is done by the next one; and so is a hold.
func TestOrderThatCouldNotBeTakenBack(t *testing.T) {
	t.Parallel()
	r, m, l, _ := deferredRig(t, "z@loc.example.org")
	write := func(kind queuedir.RecordKind) {
		f, err := os.OpenFile(r.host.layout.Info(m.id), os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			_, err = f.Write(progress.Edit{Order: &progress.Order{}}.Record(kind, nil))
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r.mustDo(t, manage.Hold, "", m.id)
	write(queuedir.Released)
	r.mustDo(t, manage.Release, "", m.id)
	l.until("a second delivery", func() bool { return len(l.jobs) == 2 })
	r.untilIdle(t)
	write(queuedir.Held)
	r.mustDo(t, manage.Hold, "", m.id)
	r.clock.advance(m.id.Time().Add(24 * time.Hour))
	r.untilIdle(t)
	if n := len(l.recipients()); n != 2 {
		t.Errorf("held, and given out again: %d deliveries", n)
	}
}

func TestHoldSurvives(t *testing.T) {
	t.Parallel()
	r, m, _, _ := deferredRig(t, "z@loc.example.org", "z2@loc.example.org")
	r.mustDo(t, manage.Hold, "looks odd", m.id)
	r.mustDo(t, manage.Readdress, "k@loc.example.org", m.id, 1)
	r.stop() // as kill -9 would
	again := newRig(t, r.host, r.clock)
	l := connectAgent(t, again.s, local, 0, byLocalPart)
	again.connect()
	again.clock.advance(m.id.Time().Add(time.Hour))
	again.until(t, "the message, held", func() bool { return again.s.messages[m.id] != nil && again.s.messages[m.id].is(held) })
	again.untilIdle(t)
	if got := l.recipients(); len(got) != 0 {
		t.Errorf("held, and given out: %v", got)
	}
	again.mustDo(t, manage.Release, "", m.id)
	l.until("deliveries", func() bool { return len(l.jobs) == 2 })
	if got := l.recipients(); got[0] != "z@loc.example.org" || got[1] != "k@loc.example.org" {
		t.Errorf("given out: %v", got)
	}
}

// TestOrdersUnderWay: what is under way goes on, and is said.
func TestOrdersUnderWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	l := connectAgent(t, r.s, local, 0, byLocalPart)
	m := testMessage{id: id(1), sender: "s@x.org", body: "hello", recipients: []string{"w@loc.example.org", "w2@loc.example.org"}}
	r.clock.advance(m.id.Time())
	r.spool.accept(m)
	l.untilKept(2)
	for _, kind := range []manage.Kind{manage.Bounce, manage.Reroute} {
		if got := r.one(t, root, kind, "", m.id); got.Outcome != manage.Later || !strings.Contains(got.Text, "2 deliveries are under way") {
			t.Errorf("%q: %q %s", kind, got.Outcome, got.Text)
		}
	}
	if got := r.one(t, root, manage.Hold, "wait", m.id); got.Outcome != manage.Done || !strings.Contains(got.Text, "2 deliveries are under way") {
		t.Errorf("hold: %q %s", got.Outcome, got.Text)
	}
	if p := r.host.readInfo(t, m); !p.Held {
		t.Error("it is not on disk that it is held")
	}
	l.answer(1, spawn.Success, "ok\n")
	l.answer(1, spawn.Deferral, "later\n")
	r.until(t, "the end of the pass", func() bool { return r.s.messages[m.id].active == nil })
	r.clock.advance(m.id.Time().Add(2 * time.Hour))
	r.untilIdle(t)
	if n := len(l.recipients()); n != 2 {
		t.Errorf("held, and given out again: %d deliveries", n)
	}
	if p := r.host.readInfo(t, m); p.Delivered != 1 || !p.Held {
		t.Errorf("progress: %+v", p)
	}
}

func TestDeleteUnderWay(t *testing.T) {
	t.Parallel()
	for _, end := range []spawn.Class{spawn.Success, spawn.Deferral, spawn.Failure} {
		t.Run(string(rune(end)), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, newHost(t, nil), newManualClock())
			r.connect()
			l := connectAgent(t, r.s, local, 0, byLocalPart)
			m := testMessage{id: id(1), sender: "s@x.org", body: "hello", recipients: []string{"w@loc.example.org", "z@loc.example.org", "d@loc.example.org"}}
			r.clock.advance(m.id.Time())
			r.spool.accept(m)
			l.untilKept(1)
			r.until(t, "the failure of another recipient", func() bool {
				for a := range r.s.actives {
					return a.owed+a.progress.ToTell() == 1
				}
				return false
			})
			if got := r.one(t, root, manage.Delete, "", m.id); got.Outcome != manage.Done || !strings.Contains(got.Text, "is under way") {
				t.Errorf("%q %s", got.Outcome, got.Text)
			}
			if p := r.host.readInfo(t, m); p.Delivered != 2 || p.Failed != 1 || p.Unbounced != 0 {
				t.Errorf("it is not on disk that it is deleted: %+v", p)
			}
			l.answer(1, end, "text\n")
			r.untilEmpty(t)
			if seen := r.spool.seen(); len(seen.bounces) != 0 {
				t.Errorf("a deleted message made a bounce: %v", seen.bounces)
			}
		})
	}
}

func TestDeleteAndOwners(t *testing.T) {
	t.Parallel()
	r, m, _, _ := deferredRig(t, "z@loc.example.org")
	if got := r.one(t, stranger, manage.Delete, "", m.id); got.Outcome != manage.Missing {
		t.Errorf("a stranger's: %q %s", got.Outcome, got.Text)
	}
	if got := r.one(t, root, manage.Delete, "", id(2)); got.Outcome != manage.Missing {
		t.Errorf("no such message: %q %s", got.Outcome, got.Text)
	}
	r.stop()
	again := newRig(t, r.host, r.clock) // which does not know yet whose it is
	again.connect()
	again.until(t, "the message", func() bool { return again.s.messages[m.id] != nil && !again.s.scan.running })
	if got := again.one(t, stranger, manage.Delete, "", m.id); got.Outcome != manage.Missing {
		t.Errorf("a stranger's, after a restart: %q %s", got.Outcome, got.Text)
	}
	if got := again.one(t, owner, manage.Delete, "", m.id); got.Outcome != manage.Done {
		t.Errorf("his own: %q %s", got.Outcome, got.Text)
	}
	again.spool.untilRemoved(m.id)
	again.until(t, "an empty table", func() bool { return len(again.s.messages) == 0 })
	again.until(t, "no progress file", func() bool { return again.s.atWork == 0 && gone(again.host.layout.Info(m.id)) })
}

func TestBounceOrder(t *testing.T) {
	t.Parallel()
	r, m, _, _ := deferredRig(t, "z@loc.example.org", "z2@loc.example.org", "z3@far.example.org")
	r.mustDo(t, manage.Hold, "", m.id)
	r.mustDo(t, manage.Delete, "", m.id, 0)
	if got := r.one(t, root, manage.Bounce, "", m.id, 0); got.Outcome != manage.Refused {
		t.Errorf("a recipient that is done: %q %s", got.Outcome, got.Text)
	}
	if got := r.one(t, root, manage.Bounce, "", m.id, 3); got.Outcome != manage.Refused {
		t.Errorf("a recipient that is not there: %q %s", got.Outcome, got.Text)
	}
	r.mustDo(t, manage.Bounce, "Sorry, not wanted here.", m.id)
	r.untilEmpty(t)
	seen := r.spool.seen()
	if len(seen.bounces) != 1 {
		t.Fatalf("%d bounces", len(seen.bounces))
	}
	b := seen.bounces[0]
	if b.recipient != "s@x.org" || strings.Contains(b.body, "<z@loc") || !strings.Contains(b.body, "<z2@loc.example.org>:\nSorry, not wanted here. (#5.7.0)\n") ||
		!strings.Contains(b.body, "<z3@far.example.org>:") {
		t.Errorf("to %s:\n%s", b.recipient, b.body)
	}
}

func TestReroute(t *testing.T) {
	t.Parallel()
	r, m, l, re := deferredRig(t, "z@loc.example.org", "z2@far.example.org", "z3@far.example.org")
	r.mustDo(t, manage.Reroute, "[192.0.2.9]:2525", m.id, 0, 1)
	re.until("deliveries", func() bool { return len(re.jobs) >= 3 })
	r.untilIdle(t)
	relays := make(map[string]string)
	for _, j := range re.seen().jobs[1:] {
		for _, to := range j.Recipients {
			relays[to.Address.String()] = j.Relay
		}
	}
	want := "map[z2@far.example.org:[192.0.2.9]:2525 z3@far.example.org: z@loc.example.org:[192.0.2.9]:2525]"
	if got := fmt.Sprint(relays); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r.mustDo(t, manage.Reroute, "", m.id, 0)
	l.until("a local delivery", func() bool { return len(l.jobs) == 2 })
}

func TestTryNow(t *testing.T) {
	t.Parallel()
	r, m, l, re := deferredRig(t, "z@loc.example.org", "z2@far.example.org")
	r.mustDo(t, manage.TryNow, "", m.id)
	l.until("a local delivery", func() bool { return len(l.jobs) == 2 })
	re.until("a remote delivery", func() bool { return len(re.jobs) == 2 })
}

// TestManyOrders: thousands of messages in few syncs.
func TestManyOrders(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, map[string]string{"concurrencylocal": "0\n"}), newManualClock())
	r.connect()
	const n = 500
	var o manage.Order
	for i := range n {
		m := testMessage{id: id(i), sender: "s@x.org", body: "hello", recipients: []string{"z@loc.example.org"}}
		r.spool.accept(m)
		o.Targets = append(o.Targets, manage.Target{ID: m.id})
	}
	r.until(t, "all messages", func() bool { return len(r.s.messages) == n })
	o.Kind = manage.Hold
	for id, res := range r.give(t, root, o) {
		if res.Outcome != manage.Done {
			t.Fatalf("%s: %q %s", id, res.Outcome, res.Text)
		}
	}
	o.Kind = manage.Delete
	for id, res := range r.give(t, root, o) {
		if res.Outcome != manage.Done {
			t.Fatalf("%s: %q %s", id, res.Outcome, res.Text)
		}
	}
	r.until(t, "an empty table", func() bool { return len(r.s.messages) == 0 && r.s.atWork == 0 })
}

// TestOrderForDamaged: trouble with one message is its own.
func TestOrderForDamaged(t *testing.T) {
	t.Parallel()
	r, m, _, _ := deferredRig(t, "z@loc.example.org")
	if err := os.WriteFile(r.host.layout.Entry(m.id), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := r.one(t, root, manage.Hold, "", m.id); got.Outcome != manage.Later {
		t.Errorf("%q %s", got.Outcome, got.Text)
	}
	if err := os.Remove(r.host.layout.Entry(m.id)); err != nil {
		t.Fatal(err)
	}
	if got := r.one(t, root, manage.Hold, "", m.id); got.Outcome != manage.Missing {
		t.Errorf("%q %s", got.Outcome, got.Text)
	}
}

// TestOrdersForStuck: nobody waits until results that could not be written are
// tried again by themselves.
func TestOrdersForStuck(t *testing.T) {
	t.Parallel()
	for _, o := range []struct {
		kind manage.Kind
		text string
		some []int
	}{
		{kind: manage.Hold}, {kind: manage.Delete, some: []int{1}}, {kind: manage.Bounce}, {kind: manage.Readdress, text: "k@loc.example.org", some: []int{1}},
	} {
		t.Run(string(rune(o.kind)), func(t *testing.T) {
			t.Parallel()
			r, m, l := stuckRig(t, "z@loc.example.org")
			for range 2 {
				if got := r.one(t, root, o.kind, o.text, m.id, o.some...); got.Outcome != manage.Later || !strings.Contains(got.Text, "cannot be written down") {
					t.Errorf("%q %s", got.Outcome, got.Text)
				}
			}
			r.host.blockProgress(t, false)
			r.mustDo(t, o.kind, o.text, m.id, o.some...)
			r.inside(r.s.flush)
			if o.kind == manage.Hold {
				if p := r.host.readInfo(t, m); p.Delivered != 1 || !p.Held {
					t.Errorf("progress: %+v", p)
				}
				return
			}
			r.untilEmpty(t)
			if got := l.recipients()[0]; got != "k@loc.example.org" || len(l.recipients()) > 3 {
				t.Errorf("given out: %v", l.recipients())
			}
		})
	}
}

// TestDeleteStuck: where there is no room, what is in the way can be deleted.
func TestDeleteStuck(t *testing.T) {
	t.Parallel()
	r, m, _ := stuckRig(t, "z@loc.example.org")
	r.mustDo(t, manage.Delete, "", m.id)
	r.untilEmpty(t)
	if n := len(r.s.stuck); n != 0 {
		t.Errorf("%d are stuck still", n)
	}
}

func TestOrdersForStuckUnderWay(t *testing.T) {
	t.Parallel()
	r, m, l := stuckRig(t, "w@loc.example.org")
	for range 2 { // nor is the second answered "nothing to do", which is a promise
		if got := r.one(t, root, manage.Hold, "", m.id); got.Outcome != manage.Later || !strings.Contains(got.Text, "it is done, but cannot be written down") {
			t.Errorf("%q %s", got.Outcome, got.Text)
		}
	}
	r.host.blockProgress(t, false)
	r.mustDo(t, manage.Hold, "", m.id)
	if p := r.host.readInfo(t, m); !p.Held {
		t.Errorf("progress: %+v", p)
	}
	if got := r.one(t, root, manage.Hold, "", m.id); got.Outcome != manage.Nothing {
		t.Errorf("held twice: %q %s", got.Outcome, got.Text)
	}
	r.mustDo(t, manage.Release, "", m.id)
	r.mustDo(t, manage.Hold, "", m.id)
	if p := r.host.readInfo(t, m); p.Delivered != 1 || !p.Held {
		t.Errorf("progress: %+v", p)
	}
	l.answer(1, spawn.Success, "ok\n")
	r.spool.untilRemoved(m.id)
}

// stuckRig returns a rig with a message that was delivered to one recipient,
// which cannot be written down; there is another one.
func stuckRig(t *testing.T, other string) (*rig, testMessage, *testAgent) {
	t.Helper()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	l := connectAgent(t, r.s, local, 0, byLocalPart)
	r.until(t, "the end of the scan", func() bool { return r.s.spool != nil && !r.s.scan.running })
	r.host.blockProgress(t, true)
	m := testMessage{id: id(1), sender: "s@x.org", body: "hello", recipients: []string{"k@loc.example.org", other}}
	r.clock.advance(m.id.Time())
	r.spool.accept(m)
	r.until(t, "both deliveries", func() bool { return len(l.recipients()) == 2 })
	if other[0] == 'w' {
		r.until(t, "a result to write", func() bool { return len(r.s.flushes) == 1 })
		r.clock.advance(m.id.Time().Add(flushDelay))
	}
	r.until(t, "it to be stuck", func() bool { return len(r.s.stuck) == 1 && r.s.atWork == 0 })
	return r, m, l
}

// TestReasonsAreKept: the progress file says why each recipient waits.
func TestReasonsAreKept(t *testing.T) {
	t.Parallel()
	r, m, _, _ := deferredRig(t, "z@loc.example.org", "k@loc.example.org", "z2@far.example.org")
	f, err := os.Open(r.host.layout.Info(m.id))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	reasons := make(map[int]string)
	if _, err := queuedir.ReadRecords(f, func(rec queuedir.Record, _ int64) error {
		if rec.Kind == queuedir.Tried {
			for _, i := range rec.Indexes {
				reasons[i] = rec.Text
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(reasons); got != "map[0:not now 2:not now]" {
		t.Errorf("reasons: %s", got)
	}
}

// Whoever asks about a message that has not been found yet, after a start, is
// not told that there is none.
func TestOrdersBeforeTheScan(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	if got := r.one(t, root, manage.Delete, "", id(7)); got.Outcome != manage.Later {
		t.Errorf("qmail-spool is away: %q %s", got.Outcome, got.Text)
	}
	r.connect()
	r.until(t, "the end of the scan", func() bool { return !r.s.scan.running })
	if got := r.one(t, root, manage.Delete, "", id(7)); got.Outcome != manage.Missing {
		t.Errorf("after the scan: %q %s", got.Outcome, got.Text)
	}
	r.inside(func() {
		r.s.scan = scanState{running: true, bucket: id(7).BucketIndex()}
		defer func() { r.s.scan = scanState{} }()
		if !r.s.mayBeFound(id(7)) {
			t.Error("its bucket is being read")
		}
		r.s.scan.bucket++
		if r.s.mayBeFound(id(7)) {
			t.Error("its bucket has been read")
		}
		if r.s.scan.again = true; !r.s.mayBeFound(id(7)) {
			t.Error("its bucket will be read again")
		}
	})
}
