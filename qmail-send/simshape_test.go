package qmailsend

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/internal/wire/spawn"
	"postrider/qmail-send/fair"
	"postrider/qmail-send/links"
)

// shaped is a simulation with hosts that take mail of several domains, have
// limits, refuse what is too much, and are down. What the scheduler may do is
// checked here once more, with other means.
type shaped struct {
	*simulation
	hosts []*simHosts
	of    map[string]*simHosts // by domain
	known map[string]bool      // domains of which the scheduler has heard whose they are
	last  int                  // the life that known is of
	waits []time.Duration      // of first attempts
}

// simHosts are the hosts of some domains.
type simHosts struct {
	name        string
	domains     []string
	connections int           // the limit in control/destinations; 0: none
	every       time.Duration // and that of the rate
	takes       time.Duration
	perMinute   int // messages; then it refuses for the rest of the minute
	outages     [][2]time.Time
	fail        spawn.Trouble // what ails it then
	noMX        bool          // qmail-remote cannot tell whose it is

	jobs, slots   int
	joint         int // jobs of domains of which it is known whose they are
	most          int // jobs at a time
	begun         time.Time
	minute        int64
	inMinute      int
	accepted      int
	refused       int
	asked         int // while it is down
	atOnce, heard int // jobs while it is down
}

const downText = "Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n"
const throttledText = "Connected to 192.0.2.1 but greeting failed.\nRemote host said: 421 4.7.0 too many connections\n"

func newShaped(t testing.TB, seed uint64, control map[string]string, hosts ...*simHosts) *shaped {
	t.Helper()
	lines := control["destinations"]
	files := map[string]string{"concurrencyremote": "20\n"}
	for _, h := range hosts {
		line := "mx:" + h.name
		if h.connections > 0 {
			line += fmt.Sprintf(" connections=%d", h.connections)
		}
		if h.every > 0 {
			line += fmt.Sprintf(" rate=%d/h", time.Hour/h.every)
		}
		if h.connections > 0 || h.every > 0 {
			lines += line + "\n"
		}
	}
	for name, text := range control {
		files[name] = text
	}
	files["destinations"] = lines
	set, err := readSettings(newHost(t, files).control)
	if err != nil {
		t.Fatal(err)
	}
	m := &shaped{simulation: newSimulation(t, seed, set), hosts: hosts, of: make(map[string]*simHosts), known: make(map[string]bool)}
	for _, h := range hosts {
		if h.fail == spawn.None {
			h.fail = spawn.Unreachable
		}
		for _, d := range h.domains {
			m.of[d] = h
		}
	}
	m.deliver, m.simulation.job = m.result, m.begin
	m.began = func(x *simMessage, d *delivery) {
		if !x.first[remote] {
			m.waits = append(m.waits, m.time.Sub(x.born))
		}
	}
	return m
}

func (h *simHosts) down(t time.Time) bool {
	return slices.ContainsFunc(h.outages, func(o [2]time.Time) bool { return !t.Before(o[0]) && t.Before(o[1]) })
}

// begin checks that a job may begin.
func (m *shaped) begin(j links.Job) func() {
	h := m.of[j.Host]
	if h == nil {
		return func() {}
	}
	if m.last != m.life {
		m.last = m.life
		clear(m.known)
		for _, h := range m.hosts {
			h.jobs, h.slots, h.joint, h.begun = 0, 0, 0, time.Time{}
		}
	}
	known := m.known[j.Host]
	if known {
		if h.joint++; h.connections > 0 && h.joint > h.connections {
			m.t.Errorf("%v: job %d to %s, which may have %d", m.time.Sub(testStart), h.joint, h.name, h.connections)
		}
		if d := m.time.Sub(h.begun); h.every > 0 && d < h.every {
			m.t.Errorf("%v: a job to %s after %v, at least %v it must be", m.time.Sub(testStart), h.name, d, h.every)
		}
	}
	n := len(j.Recipients)
	if most := shareOf(m.s.ways[remote].limit); known && h.slots+n > most {
		m.t.Errorf("%d deliveries to %s, at most %d may be", h.slots+n, h.name, most)
	}
	h.jobs++
	h.slots += n
	if known || h.domains[0] == j.Host && len(h.domains) == 1 {
		h.begun = m.time
	}
	h.most = max(h.most, h.jobs)
	if h.down(m.time) {
		h.asked++
		h.heard++
		h.atOnce = max(h.atOnce, h.heard)
	} else {
		h.heard = 0
	}
	life := m.life
	return func() {
		if life == m.life {
			h.jobs--
			h.slots -= n
			if known {
				h.joint--
			}
			h.heard = max(h.heard-1, 0)
			m.known[j.Host] = m.known[j.Host] || !h.noMX
		}
	}
}

// result is what becomes of a delivery.
func (m *shaped) result(x *simMessage, j links.Job, r spawn.Recipient) (time.Duration, spawn.Class, string) {
	h := m.of[j.Host]
	if h == nil {
		return time.Second, spawn.Success, "ok\n"
	}
	if !h.noMX {
		m.tells.Hosts = h.name
	}
	if h.down(m.time) {
		m.tells.Trouble = h.fail
		return time.Duration(1+m.random.IntN(10)) * time.Second, spawn.Deferral, downText
	}
	if now := m.time.Unix() / 60; now != h.minute {
		h.minute, h.inMinute = now, 0
	}
	if h.inMinute++; h.perMinute > 0 && h.inMinute > h.perMinute {
		h.refused++
		m.tells.Trouble = spawn.Throttled
		return 100 * time.Millisecond, spawn.Deferral, throttledText
	}
	h.accepted++
	takes := h.takes
	if takes == 0 {
		takes = time.Second
	}
	return takes, spawn.Success, "ok\n"
}

// mail lets n messages for the domains of h arrive, evenly in a span.
func (m *shaped) mail(h *simHosts, n int, span time.Duration) (all []*simMessage) {
	for i := range n {
		x := &simMessage{sender: i % 7, recipients: []string{"u@" + h.domains[i%len(h.domains)]}}
		all = append(all, x)
		m.in(span*time.Duration(i)/time.Duration(n), func() { m.arriveFrom(x) })
	}
	return all
}

func (m *shaped) empty() {
	m.t.Helper()
	m.thorough()
	if n := len(m.queue) + len(m.s.messages); n > 0 {
		m.t.Errorf("%d messages are left", n)
	}
}

// check holds the scheduler's own numbers to each other.
func (m *shaped) check() {
	m.cheap()
	jobs, slots := 0, 0
	for d := range m.s.destinations.all {
		jobs += d.jobs
		slots += d.slots
		if d.jobs < 0 || d.slots < 0 || d.claims < 0 || d.waits < 0 || d.window < 1 {
			m.t.Errorf("%s: %d jobs, %d deliveries, %d claims, %d wait, window %d", d.name, d.jobs, d.slots, d.claims, d.waits, d.window)
		}
		if at := d.readyAt(); d.waits > 0 && !d.isReady && d.place == nowhere && !d.underWay() && at != never {
			m.t.Errorf("%s: %d messages wait, and nobody looks after them", d.name, d.waits)
		}
	}
	var known int
	for _, d := range m.s.deliveries {
		if d.via != nil {
			known++
		}
	}
	if slots != known {
		m.t.Errorf("%d deliveries are counted, %d are under way", slots, known)
	}
	if w := m.s.ways[remote]; w.stalled < 0 || w.stalled > maxStalled {
		m.t.Errorf("%d passes wait in hand", w.stalled)
	}
}

func minutes(n int) time.Time { return testStart.Add(time.Duration(n) * time.Minute) }

// The limits of control/destinations are kept for all domains of the same hosts
// together, with very many messages, and others do not wait for them.
func TestLimitsOfHosts(t *testing.T) {
	t.Parallel()
	few := &simHosts{name: "mx.few.test", domains: []string{"a.test", "b.test", "c.test"}, connections: 3, takes: 2 * time.Second}
	paced := &simHosts{name: "mx.paced.test", domains: []string{"d.test", "e.test"}, every: 4 * time.Second}
	free := &simHosts{name: "mx.free.test", domains: []string{"f.test"}}
	m := newShaped(t, 1, nil, few, paced, free)
	m.mail(few, 2000, time.Second)
	m.mail(paced, 300, time.Second)
	var quick []*simMessage
	for i := range 100 {
		m.in(time.Duration(i)*6*time.Second, func() { quick = append(quick, m.mail(free, 1, 0)...) })
	}
	late := time.Duration(0)
	m.done = func(x *simMessage) {
		if slices.Contains(quick, x) {
			late = max(late, m.time.Sub(x.born))
		}
	}
	m.run(minutes(40), m.check)
	m.empty()
	if few.most > 3+len(few.domains)-1 || few.accepted != 2000 || paced.accepted != 300 {
		t.Errorf("%d at a time, %d and %d delivered", few.most, few.accepted, paced.accepted)
	}
	if late > 2500*time.Millisecond {
		t.Errorf("mail to others took %v", late)
	}
}

// Recipients of one message at hosts with a limit of them go in so many jobs.
func TestRecipientsAtATime(t *testing.T) {
	t.Parallel()
	m := newShaped(t, 1, map[string]string{"destinations": "a.test recipients=2\n"}, &simHosts{name: "mx.test", domains: []string{"a.test"}})
	x := &simMessage{}
	for i := range 7 {
		x.recipients = append(x.recipients, fmt.Sprintf("u%d@a.test", i))
	}
	m.arriveFrom(x)
	m.run(minutes(5), m.check)
	m.empty()
	if x.tries != 4 {
		t.Errorf("7 recipients in %d jobs", x.tries)
	}
}

// Hosts that refuse what is too much have few refusals and all mail in the end,
// and the messages that wait keep their attempts.
func TestThrottlingHosts(t *testing.T) {
	t.Parallel()
	h := &simHosts{name: "mx.test", domains: []string{"a.test", "b.test"}, perMinute: 30, takes: 300 * time.Millisecond}
	free := &simHosts{name: "mx.free.test", domains: []string{"f.test"}}
	m := newShaped(t, 1, nil, h, free)
	all := m.mail(h, 1500, 10*time.Second)
	m.mail(free, 300, 10*time.Minute)
	m.run(testStart.Add(3*time.Hour), m.check)
	m.empty()
	twice := 0
	for _, x := range all {
		if x.tries > 1 {
			twice++
		}
	}
	t.Logf("%d accepted, %d refused, %d tried more than once, done after %v", h.accepted, h.refused, twice, m.time.Sub(testStart))
	if h.accepted != 1500 || h.refused > 100 || twice > 100 || free.accepted != 300 {
		t.Errorf("%d accepted, %d refused, %d tried more than once; %d others", h.accepted, h.refused, twice, free.accepted)
	}
	for d := range m.s.destinations.all {
		if strings.Contains(d.name, "free") && d.standing != well {
			t.Errorf("%s stands at %d", d.name, d.standing)
		}
	}
}

// A destination that is down is asked by one message at a time, and rarely; what
// waits has no attempts; when it is back all of it goes out at once.
func TestDeadHostsAreProbed(t *testing.T) {
	t.Parallel()
	for _, fail := range []spawn.Trouble{spawn.Unreachable, spawn.Broken} {
		back := testStart.Add(3 * time.Hour)
		h := &simHosts{name: "mx.test", domains: []string{"a.test", "b.test"}, outages: [][2]time.Time{{testStart, back}}, fail: fail}
		free := &simHosts{name: "mx.free.test", domains: []string{"f.test"}}
		m := newShaped(t, 1, nil, h, free)
		all := m.mail(h, 200, 10*time.Minute)
		m.mail(free, 300, 10*time.Minute)
		late := 0
		m.done = func(x *simMessage) {
			if m.time.After(back.Add(maxProbe + 3*time.Minute)) {
				late++
			}
		}
		m.run(testStart.Add(3*time.Hour-time.Second), m.check)
		tried := 0
		for _, x := range all {
			tried += x.tries
		}
		if h.asked > 40 || h.atOnce > 2 || tried > 40 || free.accepted != 300 {
			t.Errorf("asked %d times, %d at once, with %d tries; %d others", h.asked, h.atOnce, tried, free.accepted)
		}
		m.run(testStart.Add(5*time.Hour), m.check)
		m.empty()
		// Whoever could not be reached may be asked with the same message; one
		// that ends sessions may do so because of it, which then waits as long
		// as its age says.
		if h.accepted != 200 || fail == spawn.Unreachable && late > 0 || late > tried {
			t.Errorf("%q: %d delivered, %d of them long after the hosts were back", fail, h.accepted, late)
		}
	}
}

// What is known of destinations is gone with a restart, and little is lost with
// it: hosts that are down are asked by one message for each of their domains, and
// then as before; those that refuse what is too much refuse hardly more than
// without a restart; and mail to others goes on.
func TestRestartBeforeDeadHosts(t *testing.T) {
	t.Parallel()
	for _, domains := range []int{1, 40} {
		dead := &simHosts{name: "mx.dead.test", outages: [][2]time.Time{{testStart, testStart.Add(100 * time.Hour)}}}
		for i := range domains {
			dead.domains = append(dead.domains, fmt.Sprintf("d%d.test", i))
		}
		slow := &simHosts{name: "mx.slow.test", domains: []string{"s.test"}, perMinute: 30, takes: 300 * time.Millisecond}
		free := &simHosts{name: "mx.free.test", domains: []string{"f.test"}}
		m := newShaped(t, 1, nil, dead, slow, free)
		m.mail(dead, 10_000, 10*time.Minute)
		m.mail(slow, 5000, time.Minute)
		m.run(minutes(60), func() {})
		asked, refused := dead.asked, slow.refused
		m.run(minutes(90), func() {})
		usual, usualRefused := dead.asked-asked, slow.refused-refused
		m.crash()
		var quick []*simMessage
		late := time.Duration(0)
		m.done = func(x *simMessage) {
			if slices.Contains(quick, x) {
				late = max(late, m.time.Sub(x.born))
			}
		}
		quick = m.mail(free, 100, 10*time.Minute)
		asked, refused = dead.asked, slow.refused
		m.run(minutes(120), func() {})
		again, againRefused := dead.asked-asked, slow.refused-refused
		t.Logf("%d domains: asked %d times in half an hour, behind a restart %d; refused %d and %d; others waited %v at most",
			domains, usual, again, usualRefused, againRefused, late)
		if again < domains || again > usual+domains+10 || againRefused > usualRefused+10 || late > 20*time.Second || free.accepted != 100 {
			t.Errorf("%d domains: asked %d times behind a restart, %d before; refused %d and %d; %d others, which waited %v",
				domains, again, usual, againRefused, usualRefused, free.accepted, late)
		}
	}
}

// Who takes minutes for every answer holds a part of the slots at most, and
// fewer and fewer; the others do not notice.
func TestTarpit(t *testing.T) {
	t.Parallel()
	h := &simHosts{name: "mx.test", domains: []string{"a.test", "b.test"}, takes: time.Second}
	free := &simHosts{name: "mx.free.test", domains: []string{"f.test", "g.test"}}
	m := newShaped(t, 1, nil, h, free)
	m.mail(h, 2000, 10*time.Second)
	m.in(30*time.Second, func() { h.takes = 5 * time.Minute; h.most = 0 })
	late := time.Duration(0)
	m.done = func(x *simMessage) {
		if !strings.HasSuffix(x.recipients[0], "a.test") && !strings.HasSuffix(x.recipients[0], "b.test") {
			late = max(late, m.time.Sub(x.born))
		}
	}
	m.in(time.Minute, func() { m.mail(free, 1000, 20*time.Minute) })
	m.in(50*time.Minute, func() { h.most = h.jobs })
	m.run(testStart.Add(2*time.Hour), m.check)
	if free.accepted != 1000 || late > 3*time.Second {
		t.Errorf("%d others, the last one after %v", free.accepted, late)
	}
	if h.most > slowWindow+2 {
		t.Errorf("the tarpit has %d at a time in the end", h.most)
	}
}

// Lifetime and delay notices do not depend on whether a destination is asked:
// they come with the attempt that would be due.
func TestSendersHearInTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		h    *simHosts
	}{
		{"down", &simHosts{outages: [][2]time.Time{{testStart, testStart.Add(1000 * time.Hour)}}}},
		{"paced", &simHosts{every: time.Hour}},
		{"refusing", &simHosts{perMinute: -1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.h.name, c.h.domains = "mx.test", []string{"a.test"}
			m := newShaped(t, 1, map[string]string{"queuelifetime": "100000\n", "delaywarn": "5000\n30000\n"}, c.h)
			if c.h.perMinute < 0 {
				m.deliver = func(*simMessage, links.Job, spawn.Recipient) (time.Duration, spawn.Class, string) {
					m.tells = spawn.Destination{Hosts: "mx.test", Trouble: spawn.Throttled}
					return time.Second, spawn.Deferral, throttledText
				}
			}
			all := m.mail(c.h, 100, time.Minute)
			m.run(testStart.Add(100*time.Hour), m.check)
			m.empty()
			told := 0
			for _, x := range all {
				if x.delivered[0] > 0 {
					continue
				}
				told++
				age := x.ended.Sub(x.born)
				if most := square(316 + 20); age <= 100000*time.Second || age > most {
					t.Errorf("%s bounced at age %v, at most %v", x.id, age, most)
				}
				if len(x.noticed) != 2 {
					t.Fatalf("%s: %d notices of a delay", x.id, len(x.noticed))
				}
				for i, at := range []int64{5000, 30000} {
					if age := x.noticed[i].Sub(x.born); age < time.Duration(at)*time.Second || age > square(int64(math.Sqrt(float64(at)))+20)+time.Minute {
						t.Errorf("%s: notice %d at age %v", x.id, i, age)
					}
				}
			}
			if told < 50 {
				t.Errorf("%d of 100 were told", told)
			}
		})
	}
}

func square(n int64) time.Duration { return time.Duration(n*n) * time.Second }

// Random hosts, with crashes: limits and rates are kept at every step, nobody is
// forgotten, and everything is delivered in the end.
func TestRandomDestinations(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		if t.Failed() {
			t.Fatalf("with seed %d", seed-1)
		}
		randomDestinations(t, seed)
	}
}

func randomDestinations(t *testing.T, seed uint64) {
	source := newSimulation(t, seed, settings{senders: &fair.Senders{}}).random
	var hosts []*simHosts
	for i := range 2 + source.IntN(6) {
		h := &simHosts{name: fmt.Sprintf("mx%d.test", i), takes: time.Duration(1+source.IntN(3000)) * time.Millisecond, noMX: source.IntN(6) == 0}
		for d := range 1 + source.IntN(4) {
			h.domains = append(h.domains, fmt.Sprintf("d%d.s%d.test", d, i))
		}
		switch source.IntN(5) {
		case 0:
			h.connections = 1 + source.IntN(4)
		case 1:
			h.every = time.Hour / time.Duration(200+source.IntN(3000))
		case 2:
			h.perMinute = 10 + source.IntN(50)
		case 3:
			for range 1 + source.IntN(2) {
				from := testStart.Add(time.Duration(source.IntN(7200)) * time.Second)
				h.outages = append(h.outages, [2]time.Time{from, from.Add(time.Duration(source.IntN(7200)) * time.Second)})
			}
			h.fail = []spawn.Trouble{spawn.Unreachable, spawn.Broken}[source.IntN(2)]
		case 4:
			h.takes = time.Duration(1+source.IntN(300)) * time.Second
		}
		if h.noMX {
			h.connections, h.every = 0, 0
		}
		hosts = append(hosts, h)
	}
	m := newShaped(t, seed, map[string]string{"queuelifetime": "604800\n"}, hosts...)
	total := 0
	for _, h := range hosts {
		n := source.IntN(60)
		total += n
		m.mail(h, n, time.Duration(1+source.IntN(3600))*time.Second)
	}
	for i := range 10 { // to several
		x := &simMessage{sender: i}
		for range 2 + source.IntN(5) {
			h := hosts[source.IntN(len(hosts))]
			x.recipients = append(x.recipients, fmt.Sprintf("u%d@%s", len(x.recipients), h.domains[source.IntN(len(h.domains))]))
		}
		total++
		m.in(time.Duration(source.IntN(3600))*time.Second, func() { m.arriveFrom(x) })
	}
	if seed%4 == 1 {
		m.in(time.Duration(source.IntN(7200))*time.Second, m.crash)
	}
	if seed%3 == 1 {
		m.in(time.Duration(source.IntN(7200))*time.Second, func() { m.s.flush() })
	}
	finished, step := 0, 0
	m.done = func(x *simMessage) {
		finished++
		for i, n := range x.delivered {
			if n == 0 || n > 1+m.restarts {
				t.Errorf("%s has %s %d times", x.recipients[i], x.id, n)
			}
		}
	}
	m.run(testStart.Add(48*time.Hour), func() {
		m.check()
		if step++; step%20 == 0 {
			m.thorough()
		}
	})
	m.empty()
	if finished != total {
		t.Errorf("%d of %d messages are done", finished, total)
	}
}

// What is kept of destinations does not grow with their number, whatever is said
// of them, and no message is forgotten with one.
func TestDestinationsAreBounded(t *testing.T) {
	set, err := readSettings(newHost(t, map[string]string{"concurrencyremote": "1000\n"}).control)
	if err != nil {
		t.Fatal(err)
	}
	m := newSimulation(t, 1, set)
	before := heapHeld()
	table := m.s.destinations
	for i := range 300_000 {
		now := m.s.now()
		domain := fmt.Sprintf("d%d.test", i)
		d := table.ofSpec(set.senders.Key(domain), domain, domain, now)
		if d == nil {
			t.Fatalf("no room for %s", domain)
		}
		d.begin(now, 1)
		if i%3 > 0 {
			d, _ = table.learn(d, set.senders.Key(domain), domain, fmt.Sprintf("mx%d.test", i/7*i%3), now)
		}
		d.unreachable(now, now+1, downText)
		d.jobs, d.slots = 0, 0
		if i%2 == 0 {
			w := newMessage(id(i), now, 0)
			w.lane = set.senders.Key(domain)
			m.s.messages[w.id] = w
			m.s.park(w, d, firsts, now, never)
		}
	}
	if len(table.all) > maxDestinations || len(table.byDomain) > maxDomains || len(table.timers) > maxDestinations || table.ready.Len() > 2*maxDestinations {
		t.Errorf("%d destinations, %d domains, %d timers, %d ready", len(table.all), len(table.byDomain), len(table.timers), table.ready.Len())
	}
	for _, w := range m.s.messages {
		if err := m.s.whereIs(w, false); err != nil {
			t.Errorf("%s: %v", w.id, err)
		}
	}
	m.s.messages = nil
	m.s.waiting[remote] = waitQueue{id: queueID(remote)}
	for d := range table.all {
		d.waiting, d.waits = [classes]*fair.Queue[*message]{}, 0
	}
	t.Logf("%d destinations and %d domains cost %d KiB", len(table.all), len(table.byDomain), (int64(heapHeld())-int64(before))>>10)
}
