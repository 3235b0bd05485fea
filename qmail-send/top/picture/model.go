package picture

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"postrider/internal/wire/manage"
	"postrider/qmail-send/top/ask"
	"postrider/qmail-send/top/logtail"
	"postrider/qmail-send/top/readings"
	"postrider/qmail-send/top/wording"
)

// Model is all that is known, without any word about how it looks.
type Model struct {
	host    string
	Now     time.Time
	history readings.History
	orders  ask.Orders
	Log     *logtail.Log
	// What is missing, and why: nil, if nothing is.
	FiguresErr, OrdersErr, logErr error
	// past is what has come in and gone out, a point a second.
	past []flow
	// restarts is when a process was last seen to have been started again.
	restarts     float64
	restarted    time.Time
	seenRestarts bool
}

// flow is how many messages come in, and for how many recipients mail is done
// with, in a second.
type flow struct{ in, out float64 }

// maxPast is how many seconds the picture of the past can show.
const maxPast = 600

// recent is how long something that happened is mentioned.
const recent = 10 * time.Minute

func New(host string, now time.Time) *Model {
	return &Model{host: host, Now: now, Log: logtail.NewLog(), FiguresErr: errStarting, OrdersErr: errStarting, logErr: errStarting}
}

// errStarting stands until there was a first answer.
var errStarting = errors.New("nothing was asked yet")

// Take takes up a reading of the figures.
func (m *Model) Take(r readings.Reading, err error) {
	if m.FiguresErr = err; err != nil {
		m.history = readings.History{} // rates across a gap would be wrong
		m.seenRestarts = false
		return
	}
	if restarts := r.Sum("process_restarts_total"); !m.seenRestarts || restarts < m.restarts {
		m.restarts, m.seenRestarts = restarts, true
	} else if restarts > m.restarts {
		m.restarts, m.restarted = restarts, r.At
	}
	m.history.Add(r)
	in, out, known := m.history.Latest()
	if !known {
		return
	}
	if m.past = append(m.past, flow{in, out}); len(m.past) > maxPast {
		m.past = m.past[1:]
	}
}

// TakeOrders takes up what qmail-send says.
func (m *Model) TakeOrders(o ask.Orders, err error) {
	if m.OrdersErr = err; err != nil {
		return // what it said last stays
	}
	if o.List == nil {
		o.List = m.orders.List
	}
	m.orders = o
}

// TakeLines takes up lines of the log, and whether there is one.
func (m *Model) TakeLines(lines []string, now time.Time, err error) {
	m.logErr = err
	for _, line := range lines {
		m.Log.Take(line, now)
	}
}

// phases are the states of messages as the figures call them, too.
var phases = map[manage.Phase]string{
	manage.Waiting: "new", manage.Deferred: "deferred", manage.InHand: "active", manage.HeldBack: "held",
	manage.Reporting: "bouncing", manage.Leaving: "leaving", manage.Aside: "damaged",
}

// amount is how many there are of something.
type amount struct {
	name string
	n    float64
}

// queue is the messages by state, and when that was so: from the figures, or from
// a list, which is older.
type queue struct {
	known  bool
	at     time.Time
	total  float64
	oldest float64 // seconds
	states []amount
}

func (m *Model) queue() queue {
	r, some := m.history.Last()
	if some && len(r.Values["queue_messages"]) > 0 {
		q := queue{known: true, at: r.At, total: r.Sum("queue_messages")}
		q.oldest, _ = r.Value("queue_oldest_seconds", "")
		for _, state := range r.Keys("queue_messages") {
			q.states = append(q.states, amount{state, r.Values["queue_messages"][state]})
		}
		return q
	}
	l := m.orders.List
	if l == nil {
		return queue{}
	}
	q := queue{known: true, at: l.At, total: float64(l.Total)}
	if !l.Oldest.IsZero() {
		q.oldest = max(0, m.Now.Sub(l.Oldest).Seconds())
	}
	for phase, n := range l.Phases {
		q.states = append(q.states, amount{phases[phase], float64(n)})
	}
	slices.SortFunc(q.states, func(a, b amount) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.name, b.name)) })
	return q
}

// channel is one of the two ways out.
type channel struct {
	name                      string
	running, limit            float64
	success, deferred, failed count
	p50, p99                  float64 // of the last minute; negative if nothing was delivered
}

// count is a counter and its rate, which is negative while it is not known.
type count struct {
	perSecond, total float64
	known            bool // there are figures
}

func (m *Model) count(name, key string) count {
	r, some := m.history.Last()
	perSecond, known := m.history.Rate(name, key)
	if !some || !known {
		perSecond = -1
	}
	total, _ := r.Value(name, key)
	return count{perSecond, total, some}
}

// channels returns both, with what the log says if there are no figures.
func (m *Model) channels() []channel {
	var both []channel
	for _, name := range []string{"local", "remote"} {
		c := channel{name: name, running: -1, limit: -1, p50: -1, p99: -1}
		if r, some := m.history.Last(); some {
			c.running, _ = r.Value("deliveries_running", name)
			c.limit, _ = r.Value("deliveries_limit", name)
			minute, _ := m.history.Timing("delivery_seconds", name)
			if p50, measured := minute.Quantile(0.5); measured {
				c.p50 = p50
				c.p99, _ = minute.Quantile(0.99)
			}
		} else if status, known := m.Log.Running[name]; known {
			c.running, c.limit = float64(status[0]), float64(status[1])
		}
		c.success = m.count("deliveries_total", name+" success")
		c.deferred = m.count("deliveries_total", name+" deferral")
		c.failed = m.count("deliveries_total", name+" failure")
		both = append(both, c)
	}
	return both
}

// standings counts the destinations that are slowed or down.
func (m *Model) standings() (slowed, down int) {
	for _, d := range m.orders.Destinations {
		switch d.Standing {
		case manage.Slowed:
			slowed++
		case manage.Down:
			down++
		}
	}
	return slowed, down
}

// processes counts those that are up and those that are not.
func (m *Model) processes() (up, down int) {
	r, _ := m.history.Last()
	for _, v := range r.Values["process_up"] {
		if v > 0 {
			up++
		} else {
			down++
		}
	}
	return up, down
}

// uptime is how long the suite runs, if the figures say it.
func (m *Model) uptime() (time.Duration, bool) {
	r, _ := m.history.Last()
	started, known := r.Value("start_time_seconds", "")
	if !known || !(started > 0 && started < 1e11) {
		return 0, false
	}
	seconds, part := math.Modf(started)
	return m.Now.Sub(time.Unix(int64(seconds), int64(part*1e9))), true
}

// note is something that wants to be known first.
type note struct {
	s    Style
	text string
}

// switchOn says how figures come to be.
const switchOn = "no figures: make control/metricslisten and send qmail-start USR2"

// notes are what an operator should hear, the worst first.
func (m *Model) notes() []note {
	var all []note
	say := func(s Style, format string, args ...any) { all = append(all, note{s, fmt.Sprintf(format, args...)}) }
	switch {
	case errors.Is(m.OrdersErr, manage.ErrNotRunning):
		say(Alarming, "%v", manage.ErrNotRunning) // the socket's name says nothing more
	case m.OrdersErr != nil && m.OrdersErr != errStarting:
		say(Alarming, "%v", m.OrdersErr)
	}
	r, _ := m.history.Last()
	for _, program := range r.Keys("process_up") {
		if r.Values["process_up"][program] == 0 {
			say(Alarming, "%s does not run", program)
		}
	}
	if a := m.Log.Alert; a.Words != "" && m.isRecent(a.At) {
		say(Alarming, "%s", a.Words)
	}
	if m.isRecent(m.restarted) {
		say(Alarming, "a process was started again %s ago", wording.Brief(m.Now.Sub(m.restarted).Seconds()))
	}
	slowed, down := m.standings()
	if down > 0 {
		worst := m.sorted(byState)[0]
		say(Alarming, "%s down; for %s %s", verb(down, "destination is", "destinations are"),
			worst.Name, verb(int(worst.Waiting), "message waits", "messages wait"))
	}
	for _, c := range m.channels() {
		if c.limit > 0 && c.running >= c.limit {
			say(Alarming, "all %s %s deliveries are in use", wording.Full(c.limit), c.name)
		}
	}
	limit, _ := r.Value("smtp_sessions_limit", "")
	if now, _ := r.Value("smtp_sessions", ""); limit > 0 && now >= limit {
		say(Alarming, "all %s SMTP sessions are in use", wording.Full(limit))
	}
	switch {
	case errors.Is(m.FiguresErr, ask.ErrNoFigures):
		say(Plain, "%s", switchOn)
	case m.FiguresErr != nil && m.FiguresErr != errStarting:
		say(Alarming, "%v", m.FiguresErr)
	}
	if slowed > 0 {
		say(Plain, "%s slowed", verb(slowed, "destination is", "destinations are"))
	}
	if m.logErr != nil && m.logErr != errStarting {
		say(Plain, "no log: %v", m.logErr)
	}
	return all
}

func (m *Model) isRecent(at time.Time) bool {
	return !at.IsZero() && m.Now.Sub(at) < recent
}

func verb(n int, one, more string) string { return wording.Plural(float64(n), one, more) }
