package top

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"postrider/internal/wire/manage"
)

// model is all that is known, without any word about how it looks.
type model struct {
	host    string
	now     time.Time
	history history
	orders  orders
	log     *log
	// What is missing, and why: nil, if nothing is.
	figuresErr, ordersErr, logErr error
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

func newModel(host string, now time.Time) *model {
	return &model{host: host, now: now, log: newLog(), figuresErr: errStarting, ordersErr: errStarting, logErr: errStarting}
}

// errStarting stands until there was a first answer.
var errStarting = errors.New("nothing was asked yet")

// take takes up a reading of the figures.
func (m *model) take(r reading, err error) {
	if m.figuresErr = err; err != nil {
		m.history = history{} // rates across a gap would be wrong
		m.seenRestarts = false
		return
	}
	if restarts := r.sum("process_restarts_total"); !m.seenRestarts || restarts < m.restarts {
		m.restarts, m.seenRestarts = restarts, true
	} else if restarts > m.restarts {
		m.restarts, m.restarted = restarts, r.at
	}
	m.history.add(r)
	n := len(m.history.all)
	if n < 2 {
		return
	}
	last := history{all: m.history.all[n-2:]}
	in, out, _ := last.flow()
	if m.past = append(m.past, flow{in, out}); len(m.past) > maxPast {
		m.past = m.past[1:]
	}
}

// takeOrders takes up what qmail-send says.
func (m *model) takeOrders(o orders, err error) {
	if m.ordersErr = err; err != nil {
		return // what it said last stays
	}
	if o.list == nil {
		o.list = m.orders.list
	}
	m.orders = o
}

// takeLines takes up lines of the log, and whether there is one.
func (m *model) takeLines(lines []string, now time.Time, err error) {
	m.logErr = err
	for _, line := range lines {
		m.log.take(line, now)
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

func (m *model) queue() queue {
	r, some := m.history.last()
	if some && len(r.values["queue_messages"]) > 0 {
		q := queue{known: true, at: r.at, total: r.sum("queue_messages")}
		q.oldest, _ = r.value("queue_oldest_seconds", "")
		for _, state := range r.keys("queue_messages") {
			q.states = append(q.states, amount{state, r.values["queue_messages"][state]})
		}
		return q
	}
	l := m.orders.list
	if l == nil {
		return queue{}
	}
	q := queue{known: true, at: l.at, total: float64(l.total)}
	if !l.oldest.IsZero() {
		q.oldest = max(0, m.now.Sub(l.oldest).Seconds())
	}
	for phase, n := range l.phases {
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

func (m *model) count(name, key string) count {
	r, some := m.history.last()
	perSecond, known := m.history.rate(name, key)
	if !some || !known {
		perSecond = -1
	}
	total, _ := r.value(name, key)
	return count{perSecond, total, some}
}

// channels returns both, with what the log says if there are no figures.
func (m *model) channels() []channel {
	var both []channel
	for _, name := range []string{"local", "remote"} {
		c := channel{name: name, running: -1, limit: -1, p50: -1, p99: -1}
		if r, some := m.history.last(); some {
			c.running, _ = r.value("deliveries_running", name)
			c.limit, _ = r.value("deliveries_limit", name)
			minute, _ := m.history.timing("delivery_seconds", name)
			if p50, measured := minute.Quantile(0.5); measured {
				c.p50 = p50
				c.p99, _ = minute.Quantile(0.99)
			}
		} else if status, known := m.log.running[name]; known {
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
func (m *model) standings() (slowed, down int) {
	for _, d := range m.orders.destinations {
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
func (m *model) processes() (up, down int) {
	r, _ := m.history.last()
	for _, v := range r.values["process_up"] {
		if v > 0 {
			up++
		} else {
			down++
		}
	}
	return up, down
}

// uptime is how long the suite runs, if the figures say it.
func (m *model) uptime() (time.Duration, bool) {
	r, _ := m.history.last()
	started, known := r.value("start_time_seconds", "")
	if !known || !(started > 0 && started < 1e11) {
		return 0, false
	}
	seconds, part := math.Modf(started)
	return m.now.Sub(time.Unix(int64(seconds), int64(part*1e9))), true
}

// note is something that wants to be known first.
type note struct {
	s    style
	text string
}

// switchOn says how figures come to be.
const switchOn = "no figures: make control/metricslisten and send qmail-start USR2"

// notes are what an operator should hear, the worst first.
func (m *model) notes() []note {
	var all []note
	say := func(s style, format string, args ...any) { all = append(all, note{s, fmt.Sprintf(format, args...)}) }
	switch {
	case errors.Is(m.ordersErr, manage.ErrNotRunning):
		say(alarming, "%v", manage.ErrNotRunning) // the socket's name says nothing more
	case m.ordersErr != nil && m.ordersErr != errStarting:
		say(alarming, "%v", m.ordersErr)
	}
	r, _ := m.history.last()
	for _, program := range r.keys("process_up") {
		if r.values["process_up"][program] == 0 {
			say(alarming, "%s does not run", program)
		}
	}
	if a := m.log.alert; a.words != "" && m.isRecent(a.at) {
		say(alarming, "%s", a.words)
	}
	if m.isRecent(m.restarted) {
		say(alarming, "a process was started again %s ago", brief(m.now.Sub(m.restarted).Seconds()))
	}
	slowed, down := m.standings()
	if down > 0 {
		worst := m.sorted(byState)[0]
		say(alarming, "%s down; for %s %s", verb(down, "destination is", "destinations are"),
			worst.Name, verb(int(worst.Waiting), "message waits", "messages wait"))
	}
	for _, c := range m.channels() {
		if c.limit > 0 && c.running >= c.limit {
			say(alarming, "all %s %s deliveries are in use", full(c.limit), c.name)
		}
	}
	limit, _ := r.value("smtp_sessions_limit", "")
	if now, _ := r.value("smtp_sessions", ""); limit > 0 && now >= limit {
		say(alarming, "all %s SMTP sessions are in use", full(limit))
	}
	switch {
	case errors.Is(m.figuresErr, errNoFigures):
		say(plain, "%s", switchOn)
	case m.figuresErr != nil && m.figuresErr != errStarting:
		say(alarming, "%v", m.figuresErr)
	}
	if slowed > 0 {
		say(plain, "%s slowed", verb(slowed, "destination is", "destinations are"))
	}
	if m.logErr != nil && m.logErr != errStarting {
		say(plain, "no log: %v", m.logErr)
	}
	return all
}

func (m *model) isRecent(at time.Time) bool {
	return !at.IsZero() && m.now.Sub(at) < recent
}

func verb(n int, one, more string) string { return plural(float64(n), one, more) }
