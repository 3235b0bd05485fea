package qmailsend

import (
	"bytes"
	"os"
	"testing"
	"time"

	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
	"postrider/internal/wire/spawn"
	"postrider/qmail-send/links"
	"postrider/qmail-send/progress"
)

// simOrders is what the operator of a simulation has done with a message.
type simOrders struct {
	mayBeHeld bool   // a hold was given, and no release was answered since
	isHeld    bool   // a hold was answered, and no release given since
	excused   []bool // recipients that may have been deleted
	orders    int    // so far
	unsynced  bool   // something of a failed order is on disk that may not be durable
}

// excuses reports whether nobody needs to hear of recipient i.
func (x *simMessage) excuses(i int) bool { return x.operator.excused != nil && x.operator.excused[i] }

// Random courses of a few hours in which an operator holds, releases, tries,
// changes, bounces and deletes what is queued, on a disk that fails, and on which
// what has failed cannot always be taken back; with crashes. What was answered
// holds, also after a crash; no message that nobody has held is forgotten.
func TestRandomOrders(t *testing.T) {
	t.Parallel()
	seeds := 600
	if os.Getenv("FAULTS") == "long" {
		seeds = 50_000
	}
	dir := newHost(t, map[string]string{"concurrencyremote": "4\n", "queuelifetime": "20000\n", "delaywarn": "3000\n"}).control
	set, err := readSettings(dir)
	if err != nil {
		t.Fatal(err)
	}
	given := make(map[manage.Kind]map[manage.Outcome]int)
	for seed := range uint64(seeds) {
		if t.Failed() {
			t.Fatalf("with seed %d", seed-1)
		}
		randomOrders(oneOfMany(t, seed, set), seed%3 == 0, given)
	}
	for kind, outcomes := range given {
		t.Logf("%s: %v", orderNames[kind], outcomes)
		if outcomes[manage.Done] == 0 {
			t.Errorf("nothing was done of: %s", orderNames[kind])
		}
	}
}

func randomOrders(m *simulation, crashes bool, given map[manage.Kind]map[manage.Outcome]int) {
	defer func() { m.close() }()
	trouble := testStart.Add(3 * time.Hour) // until then
	m.disk = func() (time.Duration, error) {
		if m.time.Before(trouble) && m.random.IntN(8) == 0 {
			return 0, errDisk
		}
		return time.Duration(m.random.IntN(3)*m.random.IntN(2000)) * time.Millisecond, nil
	}
	m.deliver = func(_ *simMessage, _ links.Job, _ spawn.Recipient) (time.Duration, spawn.Class, string) {
		takes := time.Duration(m.random.IntN(20_000)) * time.Millisecond
		switch n := m.random.IntN(10); {
		case n == 0:
			return takes, spawn.Failure, "no\n"
		case n < 8 && m.time.Before(trouble):
			return takes, spawn.Deferral, []string{noConnectionText, "later\n"}[n%2]
		}
		return takes, spawn.Success, "ok\n"
	}
	var all []*simMessage
	for i := range 1 + m.random.IntN(12) {
		x := &simMessage{sender: i % 3}
		for range 1 + m.random.IntN(3) {
			x.recipients = append(x.recipients, []string{"u@h1.test", "u@h2.test", "u@loc.example.org"}[m.random.IntN(3)])
		}
		x.operator.excused = make([]bool, len(x.recipients))
		all = append(all, x)
		at := time.Duration(m.random.Int64N(int64(2 * time.Hour)))
		m.in(at, func() { m.arriveFrom(x) })
		for range m.random.IntN(8) {
			m.in(at+time.Duration(m.random.Int64N(int64(time.Hour))*m.random.Int64N(2))+time.Minute*time.Duration(m.random.IntN(3)), func() {
				o := m.someOrder(x)
				m.order(x, o, func(r manage.Result) { count(given, o.Kind, r.Outcome) })
			})
		}
		m.at(trouble.Add(time.Minute), func() { m.free(x) })
	}
	if m.random.IntN(2) == 0 {
		m.in(time.Duration(m.random.Int64N(int64(3*time.Hour))), func() { m.s.flush() })
	}
	if crashes {
		m.in(time.Duration(m.random.Int64N(int64(3*time.Hour))), m.crash)
	}
	m.began = func(x *simMessage, _ *delivery) {
		if x.operator.isHeld {
			m.t.Errorf("%s is held, and tried", x.id)
		}
	}
	m.run(testStart.Add(48*time.Hour), m.thorough)
	if len(m.queue) > 0 {
		m.t.Errorf("%d messages are left", len(m.queue))
	}
	if n := len(m.s.orders.pending) + len(m.s.orders.leaving); n > 0 {
		m.t.Errorf("orders for %d messages are left", n)
	}
}

func count(given map[manage.Kind]map[manage.Outcome]int, kind manage.Kind, o manage.Outcome) {
	if given[kind] == nil {
		given[kind] = make(map[manage.Outcome]int)
	}
	given[kind][o]++
}

// someOrder is one of those that there are.
func (m *simulation) someOrder(x *simMessage) manage.Order {
	o := manage.Order{Kind: []manage.Kind{
		manage.Hold, manage.Hold, manage.Hold, manage.Release, manage.Release, manage.TryNow, manage.Readdress, manage.Reroute,
		manage.Bounce, manage.Delete,
	}[m.random.IntN(10)]}
	var some []int
	if m.random.IntN(2) == 0 {
		some = []int{m.random.IntN(len(x.recipients))}
	}
	switch o.Kind {
	case manage.Readdress:
		o.Text = []string{"v@h3.test", "v@loc.example.org"}[m.random.IntN(2)]
		some = []int{m.random.IntN(len(x.recipients))}
	case manage.Reroute:
		o.Text = []string{"", "[192.0.2.9]:2525"}[m.random.IntN(2)]
	case manage.Hold, manage.Release, manage.TryNow:
		some = nil
	}
	o.Targets = []manage.Target{{ID: x.id, Recipients: some}}
	return o
}

// free gives a release until it is answered.
func (m *simulation) free(x *simMessage) {
	m.order(x, manage.Order{Kind: manage.Release, Targets: []manage.Target{{ID: x.id}}}, func(r manage.Result) {
		if r.Outcome == manage.Later {
			m.in(time.Minute, func() { m.free(x) })
		}
	})
}

// order gives an order and tells answered what becomes of it, unless the scheduler
// ends before. One that was lost that way is given again.
func (m *simulation) order(x *simMessage, o manage.Order, answered func(manage.Result)) {
	m.t.Helper()
	id, all := o.Targets[0].ID, len(o.Targets[0].Recipients) == 0
	if m.queue[id] == nil {
		return
	}
	at := &x.operator
	switch o.Kind {
	case manage.Hold:
		at.mayBeHeld = true
	case manage.Release:
		at.isHeld = false
	case manage.Delete:
		for i := range at.excused {
			at.excused[i] = at.excused[i] || all
		}
		for _, i := range o.Targets[0].Recipients {
			at.excused[i] = true
		}
	}
	at.orders++
	nth := at.orders
	wanted := &progress.Order{Order: o, From: root, At: m.time, Results: make(chan manage.Result, 1)}
	m.s.Take(wanted)
	life := m.life
	var look func()
	look = func() {
		select {
		case r := <-wanted.Results:
			w := m.s.messages[id]
			if nth == at.orders && w != nil && !w.is(removing) {
				m.promised(x, o.Kind, r.Outcome)
			}
			answered(r)
		default:
			if life != m.life {
				m.order(x, o, answered)
				return
			}
			m.in(time.Second, look)
		}
	}
	look()
}

// promised notes the answer to the latest order, which is on disk.
func (m *simulation) promised(x *simMessage, kind manage.Kind, o manage.Outcome) {
	if o != manage.Done && o != manage.Nothing || kind != manage.Hold && kind != manage.Release {
		return
	}
	if m.queue[x.id] != nil {
		p, err := m.progress(x.id, len(x.recipients))
		if err != nil || p.Held != (kind == manage.Hold) && p.Delivered+p.Failed < len(x.recipients) {
			m.t.Errorf("%s of %s was answered %q, and held on disk is %v: %v", orderNames[kind], x.id, o, p.Held, err)
		}
	}
	if m.queue[x.id] != nil && x.operator.unsynced {
		m.t.Errorf("%s of %s was answered %q, and may not be durable", orderNames[kind], x.id, o)
	}
	if kind == manage.Hold {
		x.operator.isHeld = true
	} else {
		x.operator.mayBeHeld = false
	}
}

// Change does what the editors do, with a disk that also fails after it has
// written, and from which what was written cannot always be taken back.
func (m *simulation) Change(batch []progress.Edit, due time.Time) (done []*progress.Edited) {
	for _, e := range batch {
		d := &progress.Edited{Edit: e}
		done = append(done, d)
		x := m.queue[e.ID]
		if x == nil {
			d.Outcome = manage.Missing
			continue
		}
		if e.Kind == manage.Delete && len(e.Recipients) == 0 {
			continue
		}
		if err := m.change(x, d, due); err != nil {
			d.Outcome, d.Why = manage.Later, err.Error()
		}
	}
	return done
}

func (m *simulation) change(x *simMessage, d *progress.Edited, due time.Time) error {
	if _, err := m.disk(); err != nil {
		return err
	}
	d.Total = len(x.recipients)
	envelope, err := queuedir.NewEnvelopeReader(bytes.NewReader(x.envelope))
	if err != nil {
		return err
	}
	d.UID = envelope.Head.UID
	p, err := m.progress(x.id, d.Total)
	if err != nil {
		m.t.Fatal(err)
	}
	lines, err := d.Decide(envelope, p)
	if err != nil {
		m.t.Fatal(err)
	}
	if len(lines) == 0 {
		return nil
	}
	d.Wrote = true
	if !x.hasInfo {
		x.hasInfo, x.due = true, due
	}
	_, err = m.disk()
	d.Kept = err != nil && m.random.IntN(4) == 0
	if err == nil || d.Kept {
		x.lines = append(x.lines, p.Mend(lines)...)
		x.operator.unsynced = d.Kept
	}
	return err
}
