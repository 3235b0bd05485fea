package qmailsend

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
	"postrider/internal/wire/manage"
	"postrider/internal/wire/spawn"
	"postrider/qmail-send/progress"
)

// An old queue is read in the background: what is due is delivered, what is
// not waits, and new mail is served at once.
func TestRestartWithBigQueue(t *testing.T) {
	t.Parallel()
	const n = 20_000
	h, clock := newHost(t, nil), newManualClock()
	old := func(i int) testMessage {
		return testMessage{
			id:     queuedir.NewID(testStart.Add(-time.Hour+time.Duration(i)*time.Millisecond), 0, i),
			sender: "a@x.org", body: "x\n", recipients: []string{fmt.Sprintf("old%d@rem.org", i)},
		}
	}
	for i := range n {
		m := old(i)
		h.queue(t, m)
		if i%2 == 0 {
			continue // never attempted
		}
		if err := os.WriteFile(h.layout.Info(m.id), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		due := testStart.Add(-time.Minute)
		if i%4 == 1 {
			due = testStart.Add(10 * time.Minute)
		}
		if err := os.Chtimes(h.layout.Info(m.id), due, due); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, h, clock)
	var mu sync.Mutex
	given := map[string]int{}
	rank := 0
	verdict := func(_ spawn.Job, rc spawn.Recipient) (spawn.Class, string) {
		mu.Lock()
		defer mu.Unlock()
		given[rc.Address.String()]++
		if strings.HasPrefix(rc.Address.String(), "new") {
			rank = len(given)
		}
		return spawn.Success, "ok\n"
	}
	connectAgent(t, r.s, remote, 0, verdict)
	connectAgent(t, r.s, local, 0, verdict)
	begun := time.Now()
	r.connect()
	fresh := testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{"new@loc.example.org"}}
	r.spool.accept(fresh)
	r.spool.untilRemoved(fresh.id)
	mu.Lock()
	t.Logf("new mail was delivered as number %d after %v", rank, time.Since(begun))
	if rank > n/10 {
		t.Errorf("new mail was delivered as number %d", rank)
	}
	mu.Unlock()
	r.until(t, "all that is due", func() bool { return !r.s.scan.running && len(r.s.messages) == n/4 })
	t.Logf("%d old messages took %v", n*3/4, time.Since(begun))
	mu.Lock()
	soFar := maps.Clone(given)
	mu.Unlock()
	for i := range n {
		want := 1
		if i%4 == 1 {
			want = 0
		}
		if got := soFar[old(i).recipients[0]]; got != want {
			t.Fatalf("message %d was given out %d times, want %d", i, got, want)
		}
	}
	clock.advance(testStart.Add(10 * time.Minute))
	r.until(t, "the rest", func() bool { return len(r.s.messages) == 0 })
}

// A scan takes only what the spool calls committed, nothing twice, and removes
// progress files without a message.
func TestScanIsCareful(t *testing.T) {
	t.Parallel()
	h, clock := newHost(t, nil), newManualClock()
	r := newRig(t, h, clock)
	loc := connectAgent(t, r.s, local, 0, always(0, ""))
	known := testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{"known@loc.example.org"}}
	uncommitted := testMessage{id: id(2), sender: "a@x.org", body: "x\n", recipients: []string{"uncommitted@loc.example.org"}}
	orphan, spare := id(3), h.layout.InfoDir("04")+"/"+progress.SparePrefix+id(4).String()
	r.connect()
	r.until(t, "the end of the first scan", func() bool { return !r.s.scan.running })
	r.spool.accept(known)
	loc.untilKept(1)
	h.queue(t, uncommitted)
	r.spool.mu.Lock()
	r.spool.denied[uncommitted.id] = true
	r.spool.mu.Unlock()
	for _, name := range []string{h.layout.Info(orphan), spare, h.layout.NewDir("01") + "/not an entry", h.layout.NewDir("05") + "/" + id(6).String()} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.spool.packets.Send(entries.Append(nil, entries.Message{Kind: entries.Scan})); err != nil {
		t.Fatal(err)
	}
	r.spool.until("a query", func() bool { return r.spool.queried > 0 })
	r.until(t, "the end of the scan", func() bool {
		return !r.s.scan.running && len(r.s.asked) == 0 && gone(h.layout.Info(orphan)) && gone(spare)
	})
	r.until(t, "nothing but the known message", func() bool { return len(r.s.messages) == 1 })

	// What was not committed is taken when it is announced.
	r.spool.mu.Lock()
	delete(r.spool.denied, uncommitted.id)
	r.spool.mu.Unlock()
	r.spool.announce(uncommitted)
	loc.untilKept(2)
	loc.answer(2, spawn.Success, "ok\n")
	r.untilEmpty(t)
	if got := fmt.Sprint(loc.recipients()); got != "[known@loc.example.org uncommitted@loc.example.org]" {
		t.Errorf("deliveries are %s", got)
	}
}

// An announcement that comes while the spool is being asked is the answer.
func TestAnnouncedWhileAsked(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	m := testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{"a@loc.example.org"}}
	h.queue(t, m)
	r := newRig(t, h, newManualClock())
	loc := connectAgent(t, r.s, local, 0, always(spawn.Success, "ok\n"))
	r.spool.set(func() { r.spool.silent = true })
	r.connect()
	r.until(t, "a query", func() bool { return len(r.s.asked) == 1 })
	r.spool.announce(m)
	r.spool.untilRemoved(m.id)
	if n := len(loc.recipients()); n != 1 || r.log.count("new msg") > 1 {
		t.Errorf("%d deliveries", n)
	}
}

// A due time, or a birth, from a clock that was wrong does not keep a message
// waiting for ever (R15).
func TestTimesFromTheFuture(t *testing.T) {
	t.Parallel()
	h, clock := newHost(t, nil), newManualClock()
	future := testStart.Add(30 * 24 * time.Hour)
	m := testMessage{id: queuedir.NewID(future, 1, 1), sender: "a@x.org", body: "x\n", recipients: []string{"a@loc.example.org"}}
	h.queue(t, m)
	if err := os.WriteFile(h.layout.Info(m.id), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(h.layout.Info(m.id), future, future); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, h, clock)
	r.connect()
	connectAgent(t, r.s, local, 0, always(spawn.Success, "ok\n"))
	due := testStart.Add(100 * time.Second)
	clock.awaitWait(t, due)
	clock.advance(due)
	r.spool.untilRemoved(m.id)
}

// ledger is what became of every recipient, by the agents' own account.
type ledger struct {
	mu        sync.Mutex
	rng       *rand.Rand
	delivered map[string]int
	failed    map[string]int
	bounced   map[string]bool // "sender recipient"
}

// verdict defers at random; recipients whose name begins with d fail in the
// end, the others are delivered to.
func (l *ledger) verdict(_ spawn.Job, rc spawn.Recipient) (spawn.Class, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name, chance := rc.Address.String(), l.rng.IntN(4)
	switch {
	case name[0] == 'k' && chance != 0:
		l.delivered[name]++
		return spawn.Success, "ok\n"
	case name[0] == 'd' && chance == 0:
		l.failed[name]++
		return spawn.Failure, "no\n"
	}
	return spawn.Deferral, "later\n"
}

func (l *ledger) takeBounces(bounces []bounced) {
	for _, b := range bounces {
		for line := range strings.SplitSeq(b.body, "\n") {
			if name, found := strings.CutPrefix(line, "<"); found {
				l.bounced[b.recipient+" "+strings.TrimSuffix(name, ">:")] = true
			}
		}
	}
}

// judge reports every recipient that was lost.
func (l *ledger) judge(t *testing.T, all []testMessage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	twice := 0
	for _, m := range all {
		for _, to := range m.recipients {
			switch {
			case to[0] == 'k' && l.delivered[to] == 0:
				t.Errorf("%s was lost", to)
			case to[0] == 'd' && !l.bounced[m.sender+" "+to]:
				t.Errorf("%s failed %d times and was not bounced", to, l.failed[to])
			case l.delivered[to]+l.failed[to] > 1:
				twice++
			}
		}
	}
	t.Logf("%d recipients had more than one final result", twice)
}

// Whatever crashes, and whenever, each recipient is delivered to or bounced.
func TestLedger(t *testing.T) {
	t.Parallel()
	const n = 300
	rng := rand.New(rand.NewPCG(1, 2))
	h, clock := newHost(t, map[string]string{"concurrencyremote": "50\n", "queuelifetime": "99999999\n"}), newManualClock()
	l := &ledger{
		rng:       rand.New(rand.NewPCG(3, 4)),
		delivered: make(map[string]int), failed: make(map[string]int), bounced: make(map[string]bool),
	}
	var all []testMessage
	for i := range n {
		m := testMessage{id: id(i), sender: fmt.Sprintf("s%d@x.org", i), body: "x\n"}
		for k := range 1 + rng.IntN(6) {
			domain := []string{"loc.example.org", "a.org", "b.org"}[rng.IntN(3)]
			m.recipients = append(m.recipients, fmt.Sprintf("%c%d-%d@%s", "kkd"[rng.IntN(3)], i, k, domain))
		}
		all = append(all, m)
	}
	rest := all
	for round := 0; len(rest) > 0 || !h.empty(t); round++ {
		if round > 200 {
			t.Fatal("the queue does not become empty")
		}
		r := newRig(t, h, clock)
		r.connect()
		rest = l.live(t, r, rng, rest)
		if round > 5 {
			r.until(t, "the end of the scan", func() bool { return !r.s.scan.running })
			r.inside(r.s.flush)
			r.untilIdle(t)
		}
		r.stop()
		l.takeBounces(r.spool.seen().bounces)
	}
	l.judge(t, all)
}

// live lets r live for a while, with messages coming in, time passing, and
// agents and spool dying. It returns the messages that are still to come.
func (l *ledger) live(t *testing.T, r *rig, rng *rand.Rand, rest []testMessage) []testMessage {
	loc := connectAgent(t, r.s, local, 0, l.verdict)
	connectAgent(t, r.s, remote, 0, l.verdict)
	connectAgent(t, r.s, remote, 1, l.verdict)
	for range 60 {
		if len(rest) > 0 {
			r.spool.accept(rest[0])
			rest = rest[1:]
		}
		if rng.IntN(20) == 0 {
			loc.packets.Close()
			loc = connectAgent(t, r.s, local, 0, l.verdict)
		}
		if rng.IntN(20) == 0 {
			r.spool.connect(r.s)
		}
		r.clock.advance(r.clock.Now().Add(time.Duration(rng.IntN(200)) * time.Second))
		r.inside(func() {})
	}
	return rest
}

func (h host) empty(t *testing.T) bool {
	t.Helper()
	for i := range queuedir.Buckets {
		names, err := os.ReadDir(h.layout.NewDir(queuedir.BucketName(i)))
		if err != nil {
			t.Fatal(err)
		}
		if len(names) > 0 {
			return false
		}
	}
	return true
}

// Whatever stands in the place of a directory of the queue, the other directories
// are scanned, one line says what to do, and what was queued there goes out once
// the directory is back.
func TestScanOfWhatIsNoDirectory(t *testing.T) {
	t.Parallel()
	kinds := []func(string) error{
		func(name string) error { return os.WriteFile(name, nil, 0o600) },
		func(name string) error { return unix.Mkfifo(name, 0o666) },
		func(name string) error { return os.Symlink("/etc", name) },
		func(name string) error { return os.Symlink(name+".away", name) },
		func(string) error { return nil },
	}
	h := newHost(t, nil)
	var messages []testMessage
	var broken []string
	for i := range 2*len(kinds) + 1 {
		m := testMessage{
			id: queuedir.NewID(testStart.Add(-time.Minute), 0, i), sender: "s@x.org", body: "hello", recipients: []string{fmt.Sprintf("k%d@loc.example.org", i)},
		}
		h.queue(t, m)
		messages = append(messages, m)
		if i == 2*len(kinds) {
			break // of a sound one
		}
		dir := []string{h.layout.NewDir(m.id.Bucket()), h.layout.InfoDir(m.id.Bucket())}[i%2]
		if err := errors.Join(os.Rename(dir, dir+".away"), kinds[i/2](dir)); err != nil {
			t.Fatal(err)
		}
		broken = append(broken, dir)
	}
	r := newRig(t, h, newManualClock())
	l := connectAgent(t, r.s, local, 0, byLocalPart)
	r.connect()
	sound := messages[len(messages)-1]
	l.until("the delivery of what can be read", func() bool { return len(l.jobs) == 1 })
	r.until(t, "the end of the scan", func() bool { return !r.s.scan.running && len(r.s.scan.failed) == len(broken) })
	if got := l.recipients(); got[0] != sound.recipients[0] {
		t.Errorf("delivered to %v", got)
	}
	r.log.await(t, "alert: unable to scan the queue: open "+broken[0]+": not a directory; what is queued there waits: "+queuedir.DirAdvice+"; it is looked at again every 10m0s")
	r.log.await(t, fmt.Sprintf("alert: unable to scan the queue: %d more directories", len(broken)-maxScanAlerts))
	if got := r.one(t, root, manage.Hold, "", messages[0].id); got.Outcome != manage.Later {
		t.Errorf("an order about one that nobody can see: %q %s", got.Outcome, got.Text)
	}
	for _, dir := range broken {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err := os.Rename(dir+".away", dir); err != nil {
			t.Fatal(err)
		}
	}
	r.clock.advance(r.clock.Now().Add(scanAgain))
	l.until("the delivery of the others", func() bool { return len(l.jobs) == len(messages) })
	r.untilEmpty(t)
	r.until(t, "no directory that failed", func() bool { return len(r.s.scan.failed) == 0 })
}
