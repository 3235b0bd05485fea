package spool

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/durable"
	"postrider/internal/durable/durabletest"
	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
	"postrider/internal/wire/submit"
)

// diskQueue is a server on a disk in memory.
type diskQueue struct {
	t      *testing.T
	store  *Store
	server *server

	mu        sync.Mutex
	announced []queuedir.ID
}

func newDiskQueue(t *testing.T, disk syncTree) *diskQueue {
	q := &diskQueue{t: t, store: diskStore(disk)}
	q.server = newServer(q.store, q.announce, func(string) {}, 10, func(uint32) string { return "by test" })
	return q
}

func (q *diskQueue) announce(m entries.Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.announced = append(q.announced, m.ID)
}

// client is a submitter that is served.
type client struct {
	t  *testing.T
	c  *os.File
	in *bufio.Reader
}

func (q *diskQueue) connect() *client {
	q.t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_STREAM)
	if err != nil {
		q.t.Fatal(err)
	}
	q.t.Cleanup(func() { theirs.Close() })
	q.server.start(&connection{server: q.server, f: ours, from: origin{uid: 1000, text: "by uid 1000"}, opened: time.Now()})
	c := &client{q.t, theirs, bufio.NewReader(theirs)}
	if err := theirs.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		q.t.Fatal(err)
	}
	if err := submit.ReadGreeting(c.in); err != nil {
		q.t.Fatal(err)
	}
	return c
}

// end waits until everybody has left.
func (q *diskQueue) end() {
	q.server.refuse()
	q.server.done.Wait()
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if _, err := c.c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) answer() submit.Answer {
	c.t.Helper()
	a, err := submit.ReadAnswer(c.in)
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

// Messages of a connection that are sent without waiting for answers are
// answered in their order, refused ones and large ones among them, and more
// of them than may be unanswered.
func TestPipelinedMessagesAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	q := startQueue(t)
	c := q.connect()
	large := strings.Repeat("0123456789abcde\n", ownSync/16+1)
	type submission struct {
		body, env string
		kind      byte
		nonce     queuedir.Nonce
	}
	var all []submission
	for i := range 3 * maxUnanswered {
		s := submission{fmt.Sprintf("message %d\n", i), goodEnvelope, submit.Accepted, newNonce()}
		switch i % 16 {
		case 3:
			s.env, s.kind = "Fa@b\nc\x00\x00", submit.Permanent
		case 5:
			s.env, s.kind = "rubbish", submit.Temporary
		case 7:
			s.body += large
		case 9:
			s.env = "Fa@example.org\x00" + strings.Repeat("Tb@example.net\x00", 5000) + "\x00"
		}
		all = append(all, s)
	}
	// The same again when its answer is known.
	all = append(all, submission{all[0].body, goodEnvelope, submit.Accepted, all[0].nonce})
	sent := make(chan error, 1)
	go func() {
		var err error
		for _, s := range all {
			if _, err = c.Write(frames(s.body, s.env, s.nonce)); err != nil {
				break
			}
		}
		sent <- err
	}()
	in := bufio.NewReader(c)
	var first queuedir.ID
	for i, s := range all {
		a, err := submit.ReadAnswer(in)
		if err != nil {
			t.Fatal(err)
		}
		if a.Kind != s.kind {
			t.Fatalf("message %d: answer %c %d %q, want %c", i, a.Kind, a.ExitCode, a.Text, s.kind)
		}
		if a.Kind != submit.Accepted {
			continue
		}
		m := q.read(accepted(t, a))
		if _, got, _ := strings.Cut(m.body, "\n"); got != s.body || len(m.recipients) != strings.Count(s.env, "T") {
			t.Fatalf("message %d: the answer names an entry with %.30q and %d recipients", i, got, len(m.recipients))
		}
		switch i {
		case 0:
			first = accepted(t, a)
		case len(all) - 1:
			if accepted(t, a) != first {
				t.Error("the same message became two")
			}
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if len(q.store.inflight) != 0 || q.store.memory.left.Load() != messageMemory {
		t.Errorf("%d in flight, %d bytes of memory not given back", len(q.store.inflight), messageMemory-q.store.memory.left.Load())
	}
}

// pipelined submits the sample count times at once over one connection and
// returns the answers.
func (m sample) pipelined(t *testing.T, d *durabletest.Disk, count int) (q *diskQueue, answers []submit.Answer) {
	t.Helper()
	q = newDiskQueue(t, d)
	c := q.connect()
	var all []byte
	for range count {
		all = append(all, frames(m.body, m.envelope(), newNonce())...)
	}
	go c.c.Write(all) // what fails is not answered
	for range count {
		answers = append(answers, c.answer())
	}
	c.c.Close()
	q.end()
	return q, answers
}

// Whichever operation fails while several messages of a connection are under
// way: each is answered, what is accepted is durable and announced, what is
// refused has left nothing, and the next message is accepted.
func TestPipelinedMessagesWhenOperationsFail(t *testing.T) {
	t.Parallel()
	const count = 4
	for _, m := range samples[:2] {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for i := 0; ; i++ {
				d := newDisk()
				d.FailAt(i, syscall.EIO)
				q, answers := m.pipelined(t, d, count)
				trace := d.Trace()
				d.FailAt(-1, nil)
				q.store.retryDoomed()
				what := "no operation"
				if i < len(trace) {
					what = trace[i]
				}
				checkAnswers(t, fmt.Sprintf("operation %d (%s)", i, what), m, d, q, answers)
				if len(q.store.inflight) != 0 {
					t.Fatalf("operation %d (%s): %d in flight", i, what, len(q.store.inflight))
				}
				out, err := m.put(q.store)
				if err == nil {
					err = m.check(d, out.ID)
				}
				if err != nil {
					t.Fatalf("after operation %d (%s): %v", i, what, err)
				}
				if i >= len(trace) {
					return
				}
			}
		})
	}
}

// checkAnswers tells whether the disk is as was answered.
func checkAnswers(t *testing.T, when string, m sample, d *durabletest.Disk, q *diskQueue, answers []submit.Answer) {
	t.Helper()
	good := make(map[queuedir.ID]bool)
	for _, a := range answers {
		switch a.Kind {
		case submit.Accepted:
			id := accepted(t, a)
			if err := m.check(d, id); err != nil {
				t.Fatalf("%s: accepted: %v", when, err)
			}
			good[id] = true
		case submit.Temporary:
		default:
			t.Fatalf("%s: answer %+v", when, a)
		}
	}
	for _, id := range visible(d) {
		if !good[id] {
			t.Fatalf("%s: %s was refused and is there", when, id)
		}
	}
	for name := range d.Files() {
		if strings.HasPrefix(name, "tmp/") {
			t.Fatalf("%s: left over: %s", when, name)
		}
	}
	if len(q.announced) != len(good) {
		t.Fatalf("%s: %d announced, %d accepted", when, len(q.announced), len(good))
	}
	for _, id := range q.announced {
		if !good[id] {
			t.Fatalf("%s: %s was announced and not accepted", when, id)
		}
	}
}

// The power fails while several messages of a connection are under way: those
// that were accepted are whole, and the others are whole, torn, or gone.
func TestPowerCutWhilePipelined(t *testing.T) {
	t.Parallel()
	const count = 3
	r := rand.New(rand.NewPCG(5, 6))
	remains := map[string]durabletest.Remains{
		"only synced": durabletest.OnlySynced, "everything": durabletest.Everything, "part": durabletest.Part(r),
	}
	for s, m := range samples[:2] {
		for what, remain := range remains {
			if s > 0 && what != "part" {
				continue // what is written differently is the same here
			}
			for i := 0; ; i++ {
				d := newDisk()
				d.CrashAt(i)
				_, answers := m.pipelined(t, d, count)
				finished := d.Operations() <= i+1
				var acked []queuedir.ID
				for _, a := range answers {
					if a.Kind == submit.Accepted {
						acked = append(acked, accepted(t, a))
					}
				}
				checkAfterCrash(t, fmt.Sprintf("%s, %s, crash after %d", m.name, what, i), d.AfterCrash(remain), m, acked...)
				if finished {
					if len(acked) != count {
						t.Errorf("%d of %d accepted without a crash", len(acked), count)
					}
					break
				}
			}
		}
	}
}

// A client that sends many messages and leaves without reading an answer: all
// of them become entries, durable and announced, and none twice.
func TestClientLeavesBeforeAnswers(t *testing.T) {
	t.Parallel()
	m := samples[0]
	d := newDisk()
	q := newDiskQueue(t, d)
	c := q.connect()
	const count = 2*maxUnanswered + 10
	for range count {
		c.write(frames(m.body, m.envelope(), newNonce()))
	}
	// One more that is not whole.
	c.write(submit.AppendFrame(nil, submit.Message, []byte("x")))
	c.c.Close()
	q.server.done.Wait()
	after := d.AfterCrash(durabletest.OnlySynced)
	ids := visible(after)
	for _, id := range ids {
		if err := m.check(after, id); err != nil {
			t.Error(err)
		}
	}
	if len(ids) != count || len(q.announced) != count || len(q.store.inflight) != 0 {
		t.Errorf("%d of %d durable, %d announced, %d in flight", len(ids), count, len(q.announced), len(q.store.inflight))
	}
}

// slowDisk is a disk whose directories are not synced before they may be.
type slowDisk struct {
	*durabletest.Disk
	began   chan struct{} // one for each directory
	release chan error
}

func newSlowDisk() *slowDisk {
	return &slowDisk{newDisk(), make(chan struct{}, 1000), make(chan error)}
}

func (s *slowDisk) Dir(name string) (durable.Dir, error) {
	dir, err := s.Disk.Dir(name)
	return &slowDir{dir, s}, err
}

type slowDir struct {
	durable.Dir
	disk *slowDisk
}

func (d *slowDir) Sync() error {
	d.disk.began <- struct{}{}
	if err := <-d.disk.release; err != nil {
		return err
	}
	return d.Dir.Sync()
}

// The spool stops while messages wait for their sync: the connection stays
// until they are answered, and then it ends.
func TestDrainAnswersWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	m := samples[0]
	d := newSlowDisk()
	q := newDiskQueue(t, d)
	resting, c := q.connect(), q.connect()
	c.write(frames(m.body, m.envelope(), newNonce()))
	<-d.began
	// Two more join the next sync.
	c.write(append(frames(m.body, m.envelope(), newNonce()), frames(m.body, m.envelope(), newNonce())...))
	q.untilInflight(3)
	q.server.refuse()
	if _, err := resting.in.ReadByte(); err == nil {
		t.Error("a connection at rest goes on")
	}
	close(d.release)
	var ids []queuedir.ID
	for range 3 {
		ids = append(ids, accepted(t, c.answer()))
	}
	if b, err := c.in.ReadByte(); err == nil {
		t.Errorf("%q after the last answer", b)
	}
	q.server.done.Wait()
	after := d.AfterCrash(durabletest.OnlySynced)
	for _, id := range ids {
		if err := m.check(after, id); err != nil {
			t.Error(err)
		}
	}
}

// untilInflight waits until so many messages are between first byte and answer.
func (q *diskQueue) untilInflight(n int) {
	q.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); q.inflight() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			q.t.Fatalf("%d in flight, not %d", q.inflight(), n)
		}
	}
}

func (q *diskQueue) inflight() int {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	return len(q.store.inflight)
}

// No more of a connection is read while too much of it is unanswered, and then
// it goes on.
func TestUnansweredMessagesAreBounded(t *testing.T) {
	t.Parallel()
	m := samples[0]
	d := newSlowDisk()
	q := newDiskQueue(t, d)
	c := q.connect()
	const count = 2 * maxUnanswered
	go func() {
		for range count {
			if _, err := c.c.Write(frames(m.body, m.envelope(), newNonce())); err != nil {
				t.Error(err)
			}
		}
	}()
	q.untilInflight(maxUnanswered + 1) // and one that was read and waits for its place
	for range 100 {
		if n := q.inflight(); n > maxUnanswered+1 {
			t.Fatalf("%d in flight", n)
		}
		time.Sleep(time.Millisecond)
	}
	close(d.release)
	for range count {
		accepted(t, c.answer())
	}
	c.c.Close()
	q.end()
	if len(q.announced) != count {
		t.Errorf("%d announced", len(q.announced))
	}
}

// A sync fails with messages of several connections: all of them are refused,
// nothing of them stays, and those after are accepted.
func TestFailedSyncRefusesAllItServed(t *testing.T) {
	t.Parallel()
	m := samples[0]
	d := newSlowDisk()
	q := newDiskQueue(t, d)
	first, a, b := q.connect(), q.connect(), q.connect()
	first.write(frames(m.body, m.envelope(), newNonce()))
	<-d.began
	for range 2 {
		a.write(frames(m.body, m.envelope(), newNonce()))
		b.write(frames(m.body, m.envelope(), newNonce()))
	}
	q.untilInflight(5)
	untilWritten(t, d, 5)
	d.release <- nil
	good := accepted(t, first.answer())
	d.release <- syscall.EIO
	close(d.release)
	for _, c := range []*client{a, b} {
		for range 2 {
			if got := c.answer(); got.Kind != submit.Temporary {
				t.Errorf("answer %+v", got)
			}
		}
	}
	if ids := visible(d.Disk); len(ids) != 1 || ids[0] != good {
		t.Errorf("there is %v, want %v", ids, good)
	}
	a.write(frames(m.body, m.envelope(), newNonce()))
	accepted(t, a.answer())
	q.end()
}

// untilWritten waits until n entries have their names.
func untilWritten(t *testing.T, d *slowDisk, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); len(visible(d.Disk)) != n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d entries, not %d", len(visible(d.Disk)), n)
		}
	}
}

// Messages in a row share a bucket, so that a group has one directory to sync;
// a backlog goes into all.
func TestNamesOfMessages(t *testing.T) {
	t.Parallel()
	n := newNames(1)
	now := time.Unix(1795000000, 0)
	seen := make(map[queuedir.ID]bool)
	used := make(map[string]int)
	changes, last := 0, ""
	for i := range namesInRow * queuedir.Buckets {
		id := n.next(now.Add(time.Duration(i) * time.Microsecond))
		if seen[id] {
			t.Fatalf("%s twice", id)
		}
		seen[id] = true
		used[id.Bucket()]++
		if id.Bucket() != last {
			changes++
			last = id.Bucket()
		}
	}
	if len(used) != queuedir.Buckets || changes != queuedir.Buckets {
		t.Errorf("%d buckets, %d changes", len(used), changes)
	}
	for bucket, times := range used {
		if times != namesInRow {
			t.Errorf("bucket %s has %d", bucket, times)
		}
	}
}
