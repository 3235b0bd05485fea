package qmailsend

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/internal/destinations"
	"postrider/internal/wire/manage"
	"postrider/internal/wire/spawn"
	"postrider/qmail-send/links"
	"postrider/qmail-send/progress"
)

// deadHost is a simulation with one host that is down for three hours, and n
// messages for it, of which all but one wait.
func deadHost(t *testing.T, n int) (*shaped, *simHosts, []*simMessage) {
	t.Helper()
	h := &simHosts{name: "mx.test", domains: []string{"a.test"}, outages: [][2]time.Time{{testStart, testStart.Add(3 * time.Hour)}}}
	m := newShaped(t, 1, nil, h, &simHosts{name: "mx.free.test", domains: []string{"f.test"}})
	all := m.mail(h, n, time.Second)
	m.run(testStart.Add(30*time.Second), m.check)
	if h.asked != 1 || !m.s.messages[all[n-1].id].is(parked) {
		t.Fatalf("asked %d times", h.asked)
	}
	return m, h, all
}

// An operator has a message tried that waits for a destination that is down.
func TestTryNowIsAProbe(t *testing.T) {
	t.Parallel()
	m, h, all := deadHost(t, 5)
	o := &progress.Order{Order: manage.Order{Kind: manage.TryNow}, From: progress.Client{Operator: true}, Results: make(chan manage.Result, 1)}
	m.s.takeOne(progress.Edit{Order: o, Target: manage.Target{ID: all[4].id}})
	if r := <-o.Results; r.Outcome != manage.Done {
		t.Errorf("%c %s", r.Outcome, r.Text)
	}
	m.run(testStart.Add(40*time.Second), m.check)
	if all[4].tries != 1 || h.asked != 2 {
		t.Errorf("%d tries, asked %d times", all[4].tries, h.asked)
	}
	m.run(testStart.Add(4*time.Hour), m.check)
	m.empty()
}

// ALRM has destinations asked at once, by one message.
func TestFlushAsksOnce(t *testing.T) {
	t.Parallel()
	m, h, _ := deadHost(t, 50)
	for i := range 10 {
		m.s.flush()
		m.run(testStart.Add(time.Duration(60+20*i)*time.Second), m.check)
	}
	if h.asked < 10 || h.asked > 16 || h.atOnce != 1 {
		t.Errorf("asked %d times, %d at once", h.asked, h.atOnce)
	}
	m.run(testStart.Add(4*time.Hour), m.check)
	m.empty()
}

// Of a message for several destinations, what may go goes; the rest follows.
func TestSeveralDestinations(t *testing.T) {
	t.Parallel()
	m, h, _ := deadHost(t, 20)
	x := &simMessage{sender: 9, recipients: []string{"1@a.test", "2@f.test", "3@a.test"}}
	m.arriveFrom(x)
	m.run(testStart.Add(time.Minute), m.check)
	if x.delivered[1] != 1 || x.tries != 1 || h.asked > 2 {
		t.Errorf("delivered %v in %d jobs, asked %d times", x.delivered, x.tries, h.asked)
	}
	m.run(testStart.Add(3*time.Hour+15*time.Minute), m.check)
	m.empty()
	if fmt.Sprint(x.delivered) != "[1 1 1]" {
		t.Errorf("delivered %v", x.delivered)
	}
}

// What an operator sees.
func TestDescribedDestinations(t *testing.T) {
	t.Parallel()
	m, _, _ := deadHost(t, 20)
	m.run(testStart.Add(45*time.Second), m.check)
	all := m.s.Destinations()
	if len(all) != 1 {
		t.Fatalf("%+v", all)
	}
	d := all[0]
	if d.Name != "mx.test" || d.Standing != manage.Down || d.Waiting != 19 || d.Domains != 1 || d.Window != 1 || d.Jobs != 0 ||
		d.Reason != strings.TrimSpace(downText) || d.Since < testStart.Unix() || d.Next < d.Since+60 || d.Next > d.Since+61 {
		t.Errorf("%+v", d)
	}
	m.run(testStart.Add(5*time.Hour), m.check)
	m.empty()
	for _, d := range m.s.Destinations() {
		if d.Standing != manage.Well || d.Waiting != 0 || d.Next != 0 || d.Reason != "" {
			t.Errorf("%+v", d)
		}
	}
}

// A window grows with what is answered, by half of it and then by one; slow
// answers and broken sessions make it smaller.
func TestWindows(t *testing.T) {
	t.Parallel()
	d, now := newDestination(), moment(1)
	job := func(end func(began moment)) {
		now += moment(time.Second)
		d.begin(now, 1)
		began := now
		now += moment(time.Second)
		end(began)
		d.jobs, d.slots = 0, 0
	}
	fast := func(moment) { d.jobs = d.window; d.answered(now, time.Second) }
	slow := func(moment) { d.answered(now, 2*time.Minute) }
	for range 9 {
		job(fast)
	}
	if d.window != 10 {
		t.Errorf("after 9 successes %d", d.window)
	}
	job(func(began moment) { d.broken(now, began, "gone") })
	if d.window != 5 || d.standing != well {
		t.Errorf("after a broken session %d", d.window)
	}
	for range 5 {
		job(fast)
	}
	if d.window != 6 {
		t.Errorf("after five successes more %d", d.window)
	}
	for range 10 {
		job(slow)
	}
	if d.window != slowWindow {
		t.Errorf("after slow answers %d", d.window)
	}
	for range maxBroken {
		job(func(began moment) { d.broken(now, began, "gone") })
	}
	if d.window != 1 || d.standing != down || d.may(now, 10) != later {
		t.Errorf("window %d, standing %d", d.window, d.standing)
	}
	now = d.until
	if d.may(now, 10) != goes {
		t.Error("no probe")
	}
	job(fast)
	if d.standing != well || d.window != 2 {
		t.Errorf("after a probe: %d, window %d", d.standing, d.window)
	}
}

// What jobs tell that had begun before counts once.
func TestOneReaction(t *testing.T) {
	t.Parallel()
	d := newDestination()
	d.window = 10
	for range 10 {
		d.begin(100, 1)
	}
	for i := range 10 {
		d.throttled(moment(200+i), 100, "too many")
	}
	if d.pause != firstPause || d.gap != firstGap || d.window != 1 || d.standing != slowed {
		t.Errorf("pause %v, gap %v, window %d", d.pause, d.gap, d.window)
	}
	d.throttled(d.until+1, d.until, "too many")
	if d.pause != 2*firstPause || d.gap != 2*firstGap {
		t.Errorf("pause %v, gap %v after the second", d.pause, d.gap)
	}
	for range 20 {
		d.pause = maxPause
		d.throttled(d.until+1, d.until, "too many")
	}
	if d.pause != maxPause || d.gap != maxGap {
		t.Errorf("pause %v, gap %v at most", d.pause, d.gap)
	}
}

// Lines about destinations are bounded.
func TestStandingLinesAreBounded(t *testing.T) {
	t.Parallel()
	l := standingLog{room: maxStandings}
	logged := 0
	for i := range 100_000 {
		if l.mayLog(moment(i) * moment(time.Millisecond)) {
			logged++
		}
	}
	if logged < 150 || logged > maxStandings+101 || logged+l.unsaid != 100_000 {
		t.Errorf("%d lines in 100 s, %d others", logged, l.unsaid)
	}
}

// A domain whose hosts change again and again, and domains that are forgotten and
// found again, leave nothing behind.
func TestDomainsLeaveNothing(t *testing.T) {
	t.Parallel()
	m := newShaped(t, 1, nil)
	table, key := m.s.destinations, m.s.settings.senders.Key("a.test")
	for i := range 1000 {
		d := table.ofSpec(key, "a.test", "a.test", 1)
		table.learn(d, key, "a.test", fmt.Sprintf("mx%d.test", i%2), 1)
	}
	for i := range 2 * maxDomains {
		domain := fmt.Sprintf("d%d.test", i)
		d := table.ofSpec(m.s.settings.senders.Key(domain), domain, domain, 1)
		table.learn(d, m.s.settings.senders.Key(domain), domain, "mx.test", 1)
	}
	known := 0
	for d := range table.all {
		known += len(d.keys)
	}
	if known > maxDomains {
		t.Errorf("%d domains are known of destinations, and %d at all", known, len(table.byDomain))
	}
	for _, d := range m.s.Destinations() {
		if d.Name != "mx.test" && d.Domains > 1 {
			t.Errorf("one domain is shown as %d", d.Domains)
		}
	}
}

// A domain whose name servers do not answer says nothing of its hosts, which take
// the mail of others. It waits for itself, and joins them again when it can be
// looked up.
func TestDomainThatCannotBeLookedUp(t *testing.T) {
	t.Parallel()
	h := &simHosts{name: "mx.test", domains: []string{"a.test", "b.test"}}
	m := newShaped(t, 1, nil, h)
	dark, asked := [2]time.Time{minutes(10), minutes(130)}, 0
	m.deliver = func(x *simMessage, j links.Job, r spawn.Recipient) (time.Duration, spawn.Class, string) {
		if j.Host == "b.test" && !m.time.Before(dark[0]) && m.time.Before(dark[1]) {
			asked++
			m.tells = spawn.Destination{Trouble: spawn.Unreachable}
			return 20 * time.Second, spawn.Deferral, "Sorry, I couldn't find any host by that name. (#4.1.2)\n"
		}
		return m.result(x, j, r)
	}
	late := time.Duration(0)
	m.done = func(x *simMessage) {
		if x.recipients[0] == "u@a.test" {
			late = max(late, m.time.Sub(x.born))
		}
	}
	m.mail(h, 2*140, 140*time.Minute)
	m.run(minutes(120), m.check)
	var stand []string
	for _, d := range m.s.Destinations() {
		stand = append(stand, fmt.Sprintf("%s %d %c", d.Name, d.Domains, d.Standing))
	}
	slices.Sort(stand)
	if got, want := strings.Join(stand, ", "), fmt.Sprintf("b.test 1 %c, mx.test 1 %c", manage.Down, manage.Well); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if late > 3*time.Second || asked > 25 {
		t.Errorf("mail to the other domain took %v; %d lookups", late, asked)
	}
	m.run(minutes(160), m.check)
	m.empty()
	if all := m.s.Destinations(); len(all) != 1 || all[0].Domains != 2 {
		t.Errorf("%+v", all)
	}
}

// A message of many recipients waits no longer than others when its domain is no
// longer part of the destination for which it waits.
func TestManyRecipientsMoveOn(t *testing.T) {
	t.Parallel()
	h := &simHosts{name: "mx.test", domains: []string{"a.test", "b.test"}, takes: 15 * time.Second}
	m := newShaped(t, 1, map[string]string{"destinations": "* connections=1\n", "concurrencyremote": "200\n"}, h)
	m.mail(h, 2, time.Minute)
	m.run(minutes(5), m.check)
	dark := [2]time.Time{minutes(7), minutes(30)}
	m.deliver = func(x *simMessage, j links.Job, r spawn.Recipient) (time.Duration, spawn.Class, string) {
		if j.Host == "b.test" && !m.time.Before(dark[0]) && m.time.Before(dark[1]) {
			m.tells = spawn.Destination{Trouble: spawn.Unreachable}
			return 20 * time.Second, spawn.Deferral, "Sorry, I couldn't find any host by that name. (#4.1.2)\n"
		}
		return m.result(x, j, r)
	}
	m.mail(h, 70, time.Second)
	many := &simMessage{sender: 8}
	for i := range 1000 {
		many.recipients = append(many.recipients, fmt.Sprintf("%d@b.test", i))
	}
	m.in(0, func() { m.arriveFrom(many) })
	m.run(minutes(90), m.check)
	m.empty()
}

// A line that comes for one domain of hosts that are known counts for that one
// from HUP on, whichever it is, and not for the others.
func TestLineForOneOfSeveral(t *testing.T) {
	t.Parallel()
	for _, limited := range []string{"a.test", "b.test"} {
		h := &simHosts{name: "mx.test", domains: []string{"a.test", "b.test"}, takes: 5 * time.Second}
		m := newShaped(t, 1, nil, h)
		m.mail(h, 200, time.Minute)
		m.run(minutes(20), m.check)
		if all := m.s.Destinations(); len(all) != 1 || all[0].Domains != 2 {
			t.Fatalf("%+v", all)
		}
		rules, err := destinations.Read(newHost(t, map[string]string{"destinations": limited + " connections=1\n"}).control)
		if err != nil {
			t.Fatal(err)
		}
		m.s.destinations.apply(rules, m.s.now())
		jobs, most := make(map[string]int), make(map[string]int)
		m.simulation.job = func(j links.Job) func() {
			jobs[j.Host]++
			most[j.Host] = max(most[j.Host], jobs[j.Host])
			return func() { jobs[j.Host]-- }
		}
		m.mail(h, 100, time.Second)
		m.run(minutes(40), m.check)
		m.empty()
		for _, domain := range h.domains {
			if n := most[domain]; (n == 1) != (domain == limited) {
				t.Errorf("a line for %s: %d at a time to %s", limited, n, domain)
			}
		}
	}
}

// Those whose time has come are found, whatever a job tells before its end.
func TestTimersStayInOrder(t *testing.T) {
	t.Parallel()
	m := newShaped(t, 1, nil)
	table, now := m.s.destinations, m.s.now()
	begin := func(domain string, lasts time.Duration) (*destination, uint32) {
		key := m.s.settings.senders.Key(domain)
		d := table.ofSpec(key, domain, domain, now)
		table.learn(d, key, domain, "mx."+domain, now)
		if lasts > 0 {
			d.unreachable(now, now, downText)
			d.until = now.Add(lasts)
			w := newMessage(id(int(lasts)), now, 0)
			w.lane = key
			m.s.messages[w.id] = w
			m.s.park(w, d, firsts, now, never)
		}
		return d, key
	}
	begin("first.test", time.Minute)
	second, _ := begin("second.test", time.Hour)
	d, key := begin("moves.test", 0)
	d.begin(now, 2)
	c := &connection{to: d, key: key, domain: "moves.test", began: now, left: 2}
	m.s.heardOf(c, spawn.Result{Class: spawn.Success, Destination: spawn.Destination{Hosts: "mx.first.test"}}, now)
	if at := table.next(); at != second.until {
		t.Errorf("the next one is looked at in %v, want %v", time.Duration(at-now), time.Duration(second.until-now))
	}
}
