package qmailsend

import (
	"bytes"
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"
	"time"

	"postrider/internal/address"
	"postrider/internal/logline"
	"postrider/internal/queuedir"
	"postrider/internal/route"
	"postrider/internal/wire/entries"
	"postrider/internal/wire/spawn"
	"postrider/qmail-send/bounce"
	"postrider/qmail-send/links"
	"postrider/qmail-send/mailbox"
	"postrider/qmail-send/progress"
	"postrider/qmail-send/reading"
)

// A simulation runs the scheduler itself, on a clock that it moves, with a
// queue in memory, and with destinations of its own making. Nothing in it waits
// and nothing runs at the same time: one seed is one course of events.
type simulation struct {
	close                       func() // the log of the scheduler
	t                           testing.TB
	random                      *rand.Rand
	s                           *scheduler
	time                        time.Time
	events                      happenings
	queue                       map[queuedir.ID]*simMessage
	deliver                     func(*simMessage, links.Job, spawn.Recipient) (after time.Duration, class spawn.Class, text string)
	tells                       spawn.Destination // with what deliver returned
	job                         func(j links.Job) (ended func())
	life                        int // which scheduler this is: events for one that is gone are void
	number                      int // of messages so far
	disk                        func() (delay time.Duration, err error)
	began                       func(*simMessage, *delivery) // an attempt
	done                        func(*simMessage)            // removed
	attempts, bounces, restarts int
}

// simMessage is a message of a simulation: the entry, the progress file, and
// what really happened.
type simMessage struct {
	id         queuedir.ID
	text       []byte // of the entry
	envelope   []byte
	sender     int
	bulk       bool
	bounce     bool
	born       time.Time
	recipients []string
	lines      []byte // of the progress file
	hasInfo    bool
	due        time.Time
	delivered  []int // how often
	failed     []bool
	told       []bool
	first      [channels]bool // a first attempt was made
	tries      int            // jobs
	ended      time.Time      // when its sender was told of a failure
	noticed    []time.Time    // of a delay
	operator   simOrders
}

// simClock is the time of a simulation.
type simClock struct{ m *simulation }

func (c simClock) Now() time.Time                          { return c.m.time }
func (c simClock) At(time.Time) (<-chan time.Time, func()) { panic("nobody waits in a simulation") }

// happening is something that happens at a time; those of one time in order.
type happening struct {
	at   time.Time
	n    int
	what func()
}

type happenings struct {
	heap []happening
	n    int
}

func (h *happenings) Len() int { return len(h.heap) }
func (h *happenings) Less(i, j int) bool {
	return cmp.Or(h.heap[i].at.Compare(h.heap[j].at), cmp.Compare(h.heap[i].n, h.heap[j].n)) < 0
}
func (h *happenings) Swap(i, j int) { h.heap[i], h.heap[j] = h.heap[j], h.heap[i] }
func (h *happenings) Push(x any)    { h.heap = append(h.heap, x.(happening)) }
func (h *happenings) Pop() any {
	last := h.heap[len(h.heap)-1]
	h.heap = h.heap[:len(h.heap)-1]
	return last
}

// at lets something happen.
func (m *simulation) at(t time.Time, what func()) {
	m.events.n++
	heap.Push(&m.events, happening{t, m.events.n, what})
}

func (m *simulation) in(d time.Duration, what func()) { m.at(m.time.Add(d), what) }

func newSimulation(t testing.TB, seed uint64, set settings) *simulation {
	t.Helper()
	m := oneOfMany(t, seed, set)
	t.Cleanup(func() { m.close() })
	return m
}

// oneOfMany is newSimulation for those who close it themselves.
func oneOfMany(t testing.TB, seed uint64, set settings) *simulation {
	t.Helper()
	m := &simulation{
		close: func() {},
		t:     t, random: rand.New(rand.NewPCG(seed, 1)), time: testStart, queue: make(map[queuedir.ID]*simMessage),
		disk:  func() (time.Duration, error) { return 0, nil },
		began: func(*simMessage, *delivery) {}, done: func(*simMessage) {}, job: func(links.Job) func() { return func() {} },
	}
	m.start(set)
	return m
}

// start begins with a fresh scheduler, as after a crash.
func (m *simulation) start(set settings) {
	m.close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	log := logline.NewWriter(null)
	m.close = func() {
		log.Close()
		null.Close()
	}
	m.life++
	m.s = schedulerOf(simClock{m}, log, m, set)
	m.s.spool = &links.Spool{Out: mailbox.New[entries.Message]()}
	m.s.agents.Attach(&links.Agent{Name: "local", Jobs: mailbox.New[links.Job]()}, local, 0)
	m.s.agents.Attach(&links.Agent{Name: "remote", Jobs: mailbox.New[links.Job]()}, remote, 0)
}

// arriveFrom lets a message of its sender arrive.
func (m *simulation) arriveFrom(x *simMessage) {
	from := fmt.Sprintf("s%d@client.test", x.sender)
	if x.bounce {
		from = ""
	}
	m.arriveAs(x, from)
}

func (m *simulation) arriveAs(x *simMessage, sender string) {
	head := headOf(m.t, "", "", uint32(10000+x.sender), x.bulk)
	var err error
	if head.Sender, err = address.New(sender); err != nil {
		m.t.Fatal(err)
	}
	m.arrive(x, head)
}

func headOf(t testing.TB, user, client string, uid uint32, bulk bool) queuedir.Head {
	t.Helper()
	head := queuedir.Head{UID: uid, Bulk: bulk}
	head.Facts.User = user
	if client != "" {
		var err error
		if head.Facts.Client, err = netip.ParseAddr(client); err != nil {
			t.Fatal(err)
		}
	}
	return head
}

// arrive queues and announces a message.
func (m *simulation) arrive(x *simMessage, head queuedir.Head) {
	x.id = queuedir.NewID(m.time, m.number/100%1000, m.number)
	m.number++
	x.born, x.bulk = x.id.Time(), head.Bulk
	head.Arrived = x.born
	x.envelope = queuedir.AppendHead(nil, head)
	for _, to := range x.recipients {
		a, err := address.New(to)
		if err != nil {
			m.t.Fatal(err)
		}
		x.envelope = queuedir.AppendRecipient(x.envelope, a)
	}
	x.text = append([]byte("x\n"), x.envelope...)
	x.text = queuedir.AppendFooter(x.text, queuedir.Footer{
		Inline: true, BodySize: 2, EnvelopeSize: int64(len(x.envelope)), BodyCRC: queuedir.Checksum(0, []byte("x\n")),
	}, queuedir.Checksum(0, x.envelope))
	x.delivered, x.failed, x.told = make([]int, len(x.recipients)), make([]bool, len(x.recipients)), make([]bool, len(x.recipients))
	m.queue[x.id] = x
	m.s.answers(m.s.spool, []entries.Message{{Kind: entries.Announced, ID: x.id, UID: head.UID, Size: 2, Envelope: x.envelope}})
}

// crash ends the scheduler; the next one finds what the queue holds.
func (m *simulation) crash() {
	m.restarts++
	m.start(m.s.settings)
	var names []found
	for _, x := range m.queue {
		names = append(names, found{id: x.id, hasInfo: x.hasInfo, due: x.due})
	}
	m.s.scanned(names)
}

// run lets happen what happens until a time, or until nothing does.
func (m *simulation) run(until time.Time, check func()) {
	m.t.Helper()
	for !m.t.Failed() {
		m.turn()
		check()
		at := until.Add(1)
		if due := m.s.next(); due != never {
			at = m.s.line.ToWall(due, m.time)
		}
		if m.events.Len() > 0 && m.events.heap[0].at.Before(at) {
			at = m.events.heap[0].at
		}
		if at.After(until) {
			return
		}
		if at.After(m.time) {
			m.time = at
		}
		for m.events.Len() > 0 && !m.events.heap[0].at.After(m.time) {
			heap.Pop(&m.events).(happening).what()
		}
	}
}

// turn lets the scheduler do what is due, and starts what it wants done.
func (m *simulation) turn() {
	for {
		m.s.do(m.s.now())
		if !m.work() {
			return
		}
	}
}

// work starts what the scheduler has put into its mailboxes.
func (m *simulation) work() (some bool) {
	for _, box := range []*mailbox.Box[func()]{m.s.readers, m.s.recorders, m.s.editors, m.s.notices} {
		for _, f := range box.Discard() {
			some = true
			if delay, _ := m.disk(); delay > 0 {
				m.inThisLife(delay, func() { m.call(f) })
			} else {
				m.call(f)
			}
		}
	}
	for _, ag := range []*links.Agent{m.s.agents.Current(local, 0), m.s.agents.Current(remote, 0)} {
		for _, j := range ag.Jobs.Discard() {
			m.attempt(ag, j)
		}
	}
	for _, e := range m.s.spool.Out.Discard() {
		m.inThisLife(time.Millisecond, func() { m.spoolDoes(e) })
	}
	return some
}

// call runs what a worker would, and then the events that it posted.
func (m *simulation) call(f func()) {
	f()
	m.s.drainEvents()
}

func (m *simulation) inThisLife(d time.Duration, what func()) {
	life := m.life
	m.in(d, func() {
		if life == m.life {
			what()
		}
	})
}

// attempt is what a delivery agent does.
func (m *simulation) attempt(ag *links.Agent, j links.Job) {
	x := m.queue[j.ID]
	x.tries++
	ended, left := m.job(j), len(j.Recipients)
	for _, r := range j.Recipients {
		d := m.s.deliveries[r.Delivery]
		m.attempts++
		m.began(x, d)
		x.first[d.pass.way.id] = true
		m.tells = spawn.Destination{}
		after, class, text := m.deliver(x, j, r)
		tells := m.tells
		life, index, scheduler := m.life, d.index, m.s
		m.in(after, func() {
			if left--; left == 0 {
				ended()
			}
			if class == spawn.Success {
				x.delivered[index]++ // also if nobody hears of it
			}
			if life == m.life {
				if class == spawn.Failure || class == spawn.Deferral && d.pass.dying {
					x.failed[index] = true
				}
				scheduler.results(ag, []spawn.Result{{Delivery: r.Delivery, Class: class, Text: text, Destination: tells}})
			}
		})
	}
}

// spoolDoes is what qmail-spool does.
func (m *simulation) spoolDoes(e entries.Message) {
	answer := entries.Message{ID: e.ID}
	switch e.Kind {
	case entries.Query:
		answer.Kind = entries.Committed
	case entries.Remove:
		answer.Kind = entries.Removed
		if x := m.queue[e.ID]; x != nil {
			m.finished(x)
			delete(m.queue, e.ID)
		}
	default:
		m.t.Fatalf("the spool is told %c of %s", e.Kind, e.ID)
	}
	m.s.answers(m.s.spool, []entries.Message{answer})
}

// finished checks a message that is removed: every recipient has it, or its
// sender was told, where there is one.
func (m *simulation) finished(x *simMessage) {
	for i, to := range x.recipients {
		tooOld := m.time.Sub(x.born) > m.s.settings.lifetimes.bounce
		if x.excuses(i) {
			continue
		}
		if x.delivered[i] == 0 && !x.told[i] && !(x.bounce && (x.failed[i] || tooOld)) {
			m.t.Fatalf("%s is removed, and %s neither has it nor was the sender told", x.id, to)
		}
	}
	m.done(x)
}

// The simulation is the scheduler's store.

var errDisk = errors.New("disk trouble")

func (m *simulation) load(id queuedir.ID, hasInfo, check bool, routes *route.Table) (*reading.Message, error) {
	x := m.queue[id]
	if x == nil {
		return nil, fs.ErrNotExist
	}
	if _, err := m.disk(); err != nil {
		return nil, err
	}
	entry, err := queuedir.EntryOf(id, x.text)
	if err != nil {
		return nil, err
	}
	progress := func(n int) (queuedir.Progress, error) { return m.progress(id, n) }
	if !hasInfo {
		progress = nil
	}
	return reading.LoadEntry(entry, progress, check, routes)
}

func (m *simulation) progress(id queuedir.ID, recipients int) (queuedir.Progress, error) {
	return queuedir.ReadProgress(bytes.NewReader(m.queue[id].lines), recipients)
}

func (m *simulation) Write(r progress.Record) (noDue bool, err error) {
	x := m.queue[r.ID]
	if x == nil {
		return false, fmt.Errorf("progress of %s, which is removed", r.ID)
	}
	if _, err := m.disk(); err != nil {
		return false, err
	}
	if int64(len(x.lines)) < r.Size {
		m.t.Fatalf("%s: progress is written at %d of %d", r.ID, r.Size, len(x.lines))
	}
	x.lines = append(append(x.lines[:r.Size], r.Lines...), r.Tried...)
	x.hasInfo, x.due = true, r.Due
	x.operator.unsynced = x.operator.unsynced && len(r.Lines) == 0
	return false, nil
}

func (m *simulation) Touch(id queuedir.ID, due time.Time) error { m.queue[id].due = due; return nil }
func (m *simulation) Unlink(queuedir.ID) error                  { return nil }
func (m *simulation) UnlinkAll(queuedir.ID) error               { return nil }
func (m *simulation) Keep(id queuedir.ID) error                 { return fmt.Errorf("%s is set aside", id) }

// submit takes notices: a bounce is a message to its sender.
func (m *simulation) submit(entry *queuedir.Entry, reports []bounce.Report) (done []bounce.Submitted, err error) {
	for _, r := range reports {
		x := m.queue[entry.ID]
		some := false
		_, err := queuedir.ReadRecords(bytes.NewReader(x.lines[r.From:r.To]), func(rec queuedir.Record, _ int64) error {
			for _, kind := range r.Tells {
				if rec.Kind == kind && rec.Text != "" {
					some = true
					if kind == queuedir.Failed {
						x.told[rec.Indexes[0]] = true
						x.ended = m.time
					} else {
						x.noticed = append(x.noticed, m.time)
					}
				}
			}
			return nil
		})
		if err != nil {
			return done, err
		}
		if some {
			m.bounces++
			done = append(done, bounce.Submitted{Kind: r.Notice.Kind, ID: queuedir.NewID(m.time, 999, m.bounces)})
		}
	}
	return done, nil
}
