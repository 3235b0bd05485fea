package lspawn

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/accounts"
	"postrider/internal/address"
	"postrider/internal/cdb"
	"postrider/internal/fdpass"
	"postrider/internal/logline"
	"postrider/internal/priv"
	"postrider/internal/queuedir"
	"postrider/internal/wire/localwork"
	"postrider/internal/wire/spawn"
)

// manualClock moves only when told, and then wakes everybody.
type manualClock struct {
	mu      sync.Mutex
	now     time.Time
	waiters []chan time.Time
}

func (c *manualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *manualClock) At(time.Time) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := make(chan time.Time, 1)
	c.waiters = append(c.waiters, w)
	return w, func() {}
}

func (c *manualClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for _, w := range c.waiters {
		w <- c.now
	}
	c.waiters = nil
}

// bench is a server whose users all exist: local@N is the local part of uid
// 1000+N. Its workers run as we do.
type bench struct {
	t     *testing.T
	s     *server
	clock *manualClock
	link  *fdpass.Packets
	next  uint64
	slots int
	ended chan struct{}
}

func newBench(t *testing.T) *bench {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cdb")
	err := cdb.Replace(path, path+".tmp", 0o644, func(w *cdb.Writer) error {
		for i := range 100 {
			record := fmt.Sprintf("u\x00%d\x00%d\x00/\x00\x00", 1000+i, 1000+i)
			if err := w.Add(fmt.Appendf(nil, "!%d-", i), []byte(record)); err != nil {
				return err
			}
		}
		return w.Add(nil, []byte("-"))
	})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, clock: &manualClock{now: time.Unix(1795000000, 0)}, slots: 10, ended: make(chan struct{})}
	log := logline.NewWriter(null)
	b.s = newServer(b.clock, log, &directory{nobodies: priv.Nobodies{Below: priv.MinimumUID}, resolver: accounts.Resolver{
		UsersDB: accounts.NewUsersDB(path), Passwd: accounts.NewPasswd(path + ".none"), Alias: "alias", Break: "-",
	}}, &launcher{path: self, private: true, null: null})
	b.s.setup = localwork.AppendSetup(nil, localwork.Setup{})
	go func() {
		b.s.run()
		close(b.ended)
	}()
	b.connect()
	t.Cleanup(func() {
		b.s.post(b.s.drain)
		b.link.Close()
		<-b.ended
		log.Close()
		null.Close()
	})
	return b
}

// connect gives the server a fresh link.
func (b *bench) connect() {
	b.t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		b.t.Fatal(err)
	}
	if b.link, err = fdpass.NewPackets(ours); err != nil {
		b.t.Fatal(err)
	}
	b.s.post(func() { b.s.replace(theirs) })
}

// give hands over a delivery for user n, whose worker does what local says.
func (b *bench) give(n int, local string) uint64 {
	b.t.Helper()
	b.next++
	to, err := address.New(fmt.Sprintf("%d-x@%s", n, local))
	if err != nil {
		b.t.Fatal(err)
	}
	job := spawn.Job{ID: queuedir.NewID(time.Now(), 1, 2), Recipients: []spawn.Recipient{{Delivery: b.next, Address: to}}}
	b.send([]spawn.Job{job})
	return b.next
}

// send sends one packet of jobs.
func (b *bench) send(jobs []spawn.Job, files ...*os.File) {
	b.t.Helper()
	if err := b.link.Send(spawn.AppendJobs(nil, b.slots, jobs), files...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) results(n int) map[uint64]string {
	b.t.Helper()
	got := make(map[uint64]string)
	buf := make([]byte, spawn.MaxPacket)
	if err := b.link.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		b.t.Fatal(err)
	}
	for len(got) < n {
		size, _, err := b.link.Receive(buf, 0)
		if err != nil {
			b.t.Fatalf("after %d of %d results: %v", len(got), n, err)
		}
		results, err := spawn.DecodeResults(buf[:size])
		if err != nil {
			b.t.Fatal(err)
		}
		for _, r := range results {
			if got[r.Delivery] != "" {
				b.t.Errorf("delivery %d was answered twice", r.Delivery)
			}
			got[r.Delivery] = string(r.Class) + r.Text
		}
	}
	return got
}

func (b *bench) deliver(n int, local string) string {
	b.t.Helper()
	number := b.give(n, local)
	return b.results(1)[number]
}

// state runs f in the loop.
func (b *bench) state(f func()) {
	done := make(chan struct{})
	b.s.post(func() {
		f()
		close(done)
	})
	<-done
}

// until waits for a condition of the state. Each look is an event of its own,
// behind those that are under way.
func (b *bench) until(what string, condition func() bool) {
	b.t.Helper()
	for limit := time.Now().Add(20 * time.Second); ; {
		var met bool
		b.state(func() { met = condition() })
		if met {
			return
		}
		if time.Now().After(limit) {
			b.t.Fatalf("never: %s", what)
		}
	}
}

func TestWorkersAreNotBelieved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ local, want string }{
		{"good", "Kdid\n"},
		{"env", "K/dev/null,/dev/null,pipe,socket"}, // and not one variable
		{"nul", "Dbefore"},
		{"long", "Z" + strings.Repeat("x", maxReport) + reportIsCut},
		{"slot", "Kgranted\n"},
		{"garbage", "Zqmail-local crashed.\n"},
		{"class", "Zqmail-local crashed.\n"},
		{"foreign", "Zqmail-local crashed.\n"},
		{"slots", "Zqmail-local crashed.\n"},
		{"descriptor", "Zqmail-local crashed.\n"},
		{"close", "Zqmail-local crashed.\n"},
		{"exit", "Zqmail-local crashed.\n"},
		{"kill", "Zqmail-local crashed.\n"},
		{"flood", "Zqmail-local crashed.\n"},
		{"twice", "Kfirst\n"}, // the second is the break
	} {
		t.Run(c.local, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			other := b.give(2, "silent")
			if got := b.deliver(1, c.local); got != c.want {
				t.Errorf("got %.300q", got)
			}
			if got := b.deliver(2, "good"); got != "Kdid\n" {
				t.Errorf("another user: %q", got)
			}
			b.state(func() {
				for _, j := range b.s.jobs {
					if j.delivery != other {
						t.Errorf("delivery %d is left", j.delivery)
					}
				}
			})
			if got := b.deliver(1, "good"); got != "Kdid\n" {
				t.Errorf("the same user later: %q", got)
			}
		})
	}
}

func TestRepliesWithoutAWorker(t *testing.T) {
	t.Parallel()
	d := &directory{nobodies: priv.Nobodies{Below: 11, UIDs: []uint32{500}, GIDs: []uint32{0, 6}}}
	for _, c := range []struct {
		name string
		uid  uint32
		gid  uint32
		own  uint32 // owner of a private installation
		want *reply
	}{
		{"root", 0, 100, 0, &asRoot},
		{"below the minimum", 10, 100, 0, &asSystem},
		{"the minimum", 11, 100, 0, nil},
		{"the suite's own", 500, 100, 0, &asSystem},
		{"root's group", 1000, 0, 0, &asSystem},
		{"the disks' group", 1000, 6, 0, &asSystem},
		{"private: the owner", 5, 0, 5, nil},
		{"private: another", 1000, 100, 5, &asSystem},
		{"private: root", 0, 100, 5, &asRoot},
	} {
		d.resolver.Private = nil
		if c.own != 0 {
			d.resolver.Private = &accounts.Account{UID: c.own}
		}
		if got := d.refuse(c.uid, c.gid); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
	if sendable(localwork.Job{User: strings.Repeat("u", 1000)}) {
		t.Error("a user that the worker refuses would be sent")
	}
}

func TestSilentWorkerIsKilled(t *testing.T) {
	t.Parallel()
	for _, local := range []string{"silent", "stop"} {
		b := newBench(t)
		number := b.give(1, local)
		b.until("the job is in a worker", func() bool {
			return b.s.pool.users[identity{1001, 1001}] != nil && b.s.pool.users[identity{1001, 1001}].running == 1
		})
		b.clock.advance(jobLimit + time.Second)
		if got := b.results(1)[number]; got != tooLong.text && got != "Z"+tooLong.text {
			t.Errorf("%s: %q", local, got)
		}
		if got := b.deliver(1, "good"); got != "Kdid\n" {
			t.Errorf("%s, later: %q", local, got)
		}
	}
}

// Mutation: with the state "T" not looked for, this waits for jobLimit.
func TestStoppedWorkerIsKilledSoon(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	number := b.give(1, "stop")
	b.until("the worker is stopped", func() bool {
		for w := range b.s.pool.workers {
			if w.process != nil && w.process.stopped() {
				return true
			}
		}
		return false
	})
	b.state(b.s.checkDeadlines) // sees it
	b.clock.advance(stopLimit)
	if got := b.results(1)[number]; got != "Z"+tooLong.text {
		t.Errorf("got %q", got)
	}
	if got := b.deliver(1, "good"); got != "Kdid\n" {
		t.Errorf("later: %q", got)
	}
}

func TestOneUserLeavesRoom(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range minJobs {
		b.give(1, "silent")
	}
	b.until("all have arrived", func() bool {
		u := b.s.pool.users[identity{1001, 1001}]
		return u != nil && u.running+len(u.waiting) == minJobs
	})
	b.state(func() {
		u := b.s.pool.users[identity{1001, 1001}]
		if u.running != share(minJobs) || len(u.workers) > workersPerUser {
			t.Errorf("%d running in %d workers", u.running, len(u.workers))
		}
	})
	if got := b.deliver(2, "good"); got != "Kdid\n" {
		t.Errorf("another user: %q", got)
	}
	b.clock.advance(waitLimit + time.Second)
	for number, got := range b.results(minJobs - share(minJobs)) {
		if got != "Z"+tooMany.text {
			t.Errorf("%d: %q", number, got)
		}
	}
}

func TestPoolIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for n := range maxWorkers + 6 {
		if got := b.deliver(n, "good"); got != "Kdid\n" {
			t.Fatalf("user %d: %q", n, got)
		}
		b.clock.advance(time.Millisecond)
	}
	b.state(func() {
		if n := len(b.s.pool.workers); n != maxWorkers {
			t.Errorf("%d workers", n)
		}
		if b.s.pool.users[identity{1000, 1000}] != nil {
			t.Error("the one used longest ago is kept")
		}
	})
	b.clock.advance(idleLimit)
	b.until("idle workers are dismissed", func() bool { return len(b.s.pool.workers) == 0 && len(b.s.pool.users) == 0 })
}

// Users whose programs wait for slots leave room for those with Maildirs.
func TestWaitingForSlotsTakesNoWorker(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.slots = 0
	for n := range maxWorkers + 6 {
		b.give(n, "slot")
	}
	b.until("all wait for a slot", func() bool { return len(b.s.slots.waiting) == maxWorkers+6 })
	if got := b.deliver(80, "good"); got != "Kdid\n" {
		t.Errorf("one who needs no slot: %q", got)
	}
}

// TestSlotsAreRefusedWhereOthersWait: deliveries that wait for slots for long go
// when they take the places of others, as many as that needs.
func TestSlotsAreRefusedWhereOthersWait(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.slots = 0
	for i := range minJobs {
		b.give(i%2, "slot")
	}
	b.until("all wait for a slot", func() bool { return len(b.s.slots.waiting) == minJobs })
	b.clock.advance(slotWait + time.Second)
	gone := minJobs - share(minJobs) + 1
	for number, got := range b.results(gone) {
		if got != "Zrefused\n" {
			t.Errorf("%d: %q", number, got)
		}
	}
	b.state(func() {
		if len(b.s.jobs) != minJobs-gone || len(b.s.slots.waiting) != minJobs-gone || b.s.refused != 0 {
			t.Errorf("%d deliveries are left, %d wait, %d have no answer", len(b.s.jobs), len(b.s.slots.waiting), b.s.refused)
		}
	})
	b.slots = 10
	good := b.give(80, "good") // tells of the slots
	for number, got := range b.results(1 + minJobs - gone) {
		if got != "Kgranted\n" && number != good {
			t.Errorf("%d: %q", number, got)
		}
	}
}

func TestTooManyUsers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for n := range maxWorkers {
		b.give(n, "silent")
	}
	b.until("all are in workers", func() bool { return len(b.s.pool.workers) == maxWorkers })
	number := b.give(80, "good")
	b.until("it waits", func() bool { return b.s.pool.users[identity{1080, 1080}] != nil })
	b.clock.advance(waitLimit + time.Second)
	if got := b.results(1)[number]; got != "Z"+noWorker.text {
		t.Errorf("%q", got)
	}
}

func TestReplacedLink(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.give(1, "silent")
	b.until("it is under way", func() bool { return len(b.s.pool.workers) == 1 })
	old := b.link
	b.connect()
	b.next = 0 // a new qmail-send counts anew
	if got := b.deliver(1, "good"); got != "Kdid\n" {
		t.Errorf("got %q", got)
	}
	if _, _, err := old.Receive(make([]byte, 10), 0); err == nil {
		t.Error("the old link was used")
	}
	old.Close()
}

func TestBrokenLinkIsDropped(t *testing.T) {
	t.Parallel()
	to, err := address.New("1-x@good")
	if err != nil {
		t.Fatal(err)
	}
	job := spawn.Job{ID: queuedir.NewID(time.Now(), 1, 2), Recipients: []spawn.Recipient{{Delivery: 1, Address: to}}}
	byFile := job
	byFile.Message.ByFile = true
	for name, send := range map[string]func(b *bench){
		"garbage": func(b *bench) {
			if err := b.link.Send([]byte("garbage")); err != nil {
				t.Fatal(err)
			}
		},
		"a descriptor too few":  func(b *bench) { b.send([]spawn.Job{job, byFile, byFile}, os.Stdin) },
		"a descriptor too many": func(b *bench) { b.send([]spawn.Job{job, byFile}, os.Stdin, os.Stdin) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			send(b)
			if _, _, err := b.link.Receive(make([]byte, 10), 0); err == nil {
				t.Error("answered")
			}
			b.link.Close()
			b.connect()
			if got := b.deliver(1, "good"); got != "Kdid\n" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// A packet with messages of both forms: each worker gets those of its user's
// deliveries, in the form in which they came.
func TestMessagesReachTheWorkers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var jobs []spawn.Job
	var files []*os.File
	want := make(map[uint64]string)
	for i := range 20 {
		text := fmt.Sprintf("message %d", i)
		number := uint64(i)
		to, err := address.New(fmt.Sprintf("%d-x@message", i%3))
		if err != nil {
			t.Fatal(err)
		}
		job := spawn.Job{ID: queuedir.NewID(time.Now(), 1, 2), Recipients: []spawn.Recipient{{Delivery: number, Address: to}}}
		if i%4 == 1 {
			f, err := queuedir.Memfd([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			job.Message.ByFile = true
			files = append(files, f)
			text += " by descriptor"
		} else {
			job.Message.Bytes = []byte(text)
		}
		want[number] = "K" + text
		jobs = append(jobs, job)
	}
	b.send(jobs, files...)
	fdpass.CloseAll(files)
	if got := b.results(len(jobs)); !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

// A message whose delivery comes to nothing is closed.
func TestMessagesAreClosed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ to, want string }{
		"unknown user": {"nobody@good", "Z"},
		"crash":        {"1-x@exit", "Z"},
	} {
		b := newBench(t)
		to, err := address.New(c.to)
		if err != nil {
			t.Fatal(err)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		job := spawn.Job{ID: queuedir.NewID(time.Now(), 1, 2), Recipients: []spawn.Recipient{{Delivery: 1, Address: to}}}
		job.Message.ByFile = true
		b.send([]spawn.Job{job}, w)
		w.Close()
		if got := b.results(1)[1]; !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
		if err := r.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s: somebody holds the message: %v", name, err)
		}
		r.Close()
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.slots = 0
	first := b.give(1, "slot") // 0 slots hold all
	b.until("it waits", func() bool { return len(b.s.slots.waiting) == 1 })
	b.s.post(b.s.drain)
	b.slots = 1
	late := b.give(2, "good")
	got := b.results(2)
	if got[late] != "Z"+stopping.text || got[first] != "Kgranted\n" {
		t.Errorf("got %v", got)
	}
	<-b.ended
}

// TestResultsThatNobodyReads: a qmail-send that gives out jobs and reads no results
// is no more read from; once it reads, every job is answered.
func TestResultsThatNobodyReads(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const count = 3 * maxUnread / spawn.MaxJobs
	sent := make(chan error, 1)
	go func() {
		for i := range count {
			var jobs []spawn.Job
			for n := range spawn.MaxJobs {
				j := spawn.Job{ID: queuedir.NewID(time.Now(), 1, 2)}
				j.Recipients = []spawn.Recipient{{Delivery: uint64(i*spawn.MaxJobs + n + 1)}} // to nobody
				jobs = append(jobs, j)
			}
			if err := b.link.Send(spawn.AppendJobs(nil, b.slots, jobs)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	unread := func() int {
		var l *link
		b.state(func() { l = b.s.link })
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.results)
	}
	for limit := time.Now().Add(20 * time.Second); unread() < maxUnread; {
		if time.Now().After(limit) {
			t.Fatalf("only %d results wait", unread())
		}
	}
	// What would be taken nonetheless is answered at once.
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
		if got, most := unread(), maxUnread+spawn.MaxJobs+events*spawn.MaxJobs; got > most {
			t.Fatalf("%d results wait to be read, want at most %d", got, most)
		}
	}
	if got := len(b.results(count * spawn.MaxJobs)); got != count*spawn.MaxJobs {
		t.Errorf("%d results", got)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// TestMessagesThatWait: how much may wait for workers is bounded; the bytes are
// counted off in every way in which a job can end.
func TestMessagesThatWait(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	text := make([]byte, spawn.MaxInline)
	give := func(n int, local string) {
		to, err := address.New(fmt.Sprintf("%d-x@%s", n, local))
		if err != nil {
			t.Fatal(err)
		}
		b.next++
		b.send([]spawn.Job{{
			ID: queuedir.NewID(time.Now(), 1, 2), Recipients: []spawn.Recipient{{Delivery: b.next, Address: to}}, Message: spawn.Message{Bytes: text},
		}})
	}
	const most = maxWaiting / spawn.MaxInline
	for range 2 * most {
		give(1, "silent") // its worker never answers
	}
	held := make(chan int, 1)
	b.until("what is too much was answered", func() bool {
		if len(b.s.jobs) < most || b.s.numbers < 2*most {
			return false
		}
		held <- b.s.waiting
		return true
	})
	if got := <-held; got > maxWaiting {
		t.Errorf("%d bytes wait, want at most %d", got, maxWaiting)
	}
	give(2, "good") // does not fit, either
	first := b.results(1)
	for number, got := range first {
		if got[0] != 'Z' {
			t.Errorf("delivery %d: %q", number, got)
		}
	}
	b.link.Close()
	b.until("nothing waits", func() bool { return b.s.waiting == 0 })
}
