package qmailsend

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"postrider/internal/queuedir"
	"postrider/internal/route"
	"postrider/internal/wire/spawn"
	"postrider/qmail-send/links"
)

// week is what mail meets in a simulated week.
type week struct {
	*simulation
	hosts   []simHost
	waits   []time.Duration // of first attempts of those who do not flood
	begins  map[queuedir.ID][channels]time.Time
	checked int // retry times
	step    int
}

// simHost is a destination with its outages.
type simHost struct {
	name    string
	outages [][2]time.Time
	steps   []time.Duration // of control/retryrules; nil: qmail's curve
	slow    time.Duration
}

func (h simHost) down(t time.Time) bool {
	for _, o := range h.outages {
		if !t.Before(o[0]) && t.Before(o[1]) {
			return true
		}
	}
	return false
}

const noConnectionText = "Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n"

// newWeek makes destinations, a tenth of which have a rule of their own.
func newWeek(t testing.TB, hosts int, span time.Duration) *week {
	t.Helper()
	rules := "* local 10m 1h\n"
	for i := 0; i < hosts; i += 10 {
		rules += fmt.Sprintf("h%d.test connection 5m 15m 1h 3h\n", i)
	}
	set, err := readSettings(newHost(t, map[string]string{"retryrules": rules, "concurrencyremote": "120\n", "bulklifetime": "172800\n"}).control)
	if err != nil {
		t.Fatal(err)
	}
	w := &week{simulation: newSimulation(t, 7, set), begins: make(map[queuedir.ID][channels]time.Time)}
	for i := range hosts {
		h := simHost{name: fmt.Sprintf("h%d.test", i), slow: time.Duration(50+w.random.IntN(2000)) * time.Millisecond}
		if i%10 == 0 {
			h.steps = []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour}
		}
		for range w.random.IntN(3) { // up to two outages, of up to a day; some end after the week
			from := testStart.Add(time.Duration(w.random.Int64N(int64(span))))
			h.outages = append(h.outages, [2]time.Time{from, from.Add(time.Duration(w.random.Int64N(int64(24 * time.Hour))))})
		}
		if i%100 == 99 {
			h.outages = [][2]time.Time{{testStart, testStart.Add(100 * 24 * time.Hour)}} // it never comes back
		}
		w.hosts = append(w.hosts, h)
	}
	w.deliver, w.began, w.done = w.result, w.attempted, func(x *simMessage) { delete(w.begins, x.id) }
	return w
}

func (w *week) result(x *simMessage, j links.Job, r spawn.Recipient) (time.Duration, spawn.Class, string) {
	if j.Host == "" {
		if w.random.IntN(100) == 0 {
			return 10 * time.Millisecond, spawn.Deferral, "Home directory is sticky. (#4.2.1)\n"
		}
		return 10 * time.Millisecond, spawn.Success, "did 1+0+0\n"
	}
	h := w.host(j.Host)
	switch {
	case h.down(w.time):
		return time.Duration(1+w.random.IntN(10)) * time.Second, spawn.Deferral, noConnectionText
	case w.random.IntN(200) == 0:
		return h.slow, spawn.Failure, "no such user\n"
	}
	return h.slow, spawn.Success, "ok\n"
}

func (w *week) host(domain string) simHost {
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(domain, "h"), ".test"))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.hosts[n]
}

// attempted compares the time of an attempt with what the curve wants.
func (w *week) attempted(x *simMessage, d *delivery) {
	c := d.pass.way.id
	begins := w.begins[x.id]
	last := begins[c]
	begins[c] = w.s.line.ToWall(d.pass.began, w.time)
	w.begins[x.id] = begins
	if last.IsZero() {
		if !x.first[c] && x.sender >= flooders && !x.bulk {
			w.waits = append(w.waits, w.time.Sub(x.born))
		}
		return
	}
	if last.Equal(begins[c]) {
		return // another recipient of the same pass
	}
	steps := []time.Duration{10 * time.Minute, time.Hour}
	if c == remote {
		steps = w.host(route.DomainOf(d.to)).steps
	}
	want := wantedRetry(x.born, last, c, steps)
	if begins[c].Before(want) {
		w.t.Errorf("%s: an attempt at age %v, after that at %v: too early, %v is due", x.id, begins[c].Sub(x.born), last.Sub(x.born), want.Sub(x.born))
	}
	if late := begins[c].Sub(want); late > time.Minute {
		w.t.Errorf("%s: an attempt at age %v is %v late", x.id, begins[c].Sub(x.born), late)
	}
	w.checked++
}

// flooders are the senders who send ever so much.
const flooders = 5

// send lets the messages of a week arrive: those of flooders each in one hour.
func (w *week) send(messages, senders int, span time.Duration) {
	for i := range messages {
		sender, at := flooders+w.random.IntN(senders-flooders), time.Duration(w.random.Int64N(int64(span)))
		if i%3 == 0 {
			sender = i / 3 % flooders
			at = time.Duration(sender+1)*span/(flooders+2) + time.Duration(w.random.Int64N(int64(time.Hour)))
		}
		x := &simMessage{sender: sender, bulk: i%7 == 0, bounce: i%50 == 49}
		switch {
		case i%10 == 9:
			x.recipients = []string{fmt.Sprintf("u%d@loc.example.org", w.random.IntN(100))}
		default:
			x.recipients = []string{fmt.Sprintf("u@h%d.test", w.random.IntN(len(w.hosts)))}
		}
		w.at(testStart.Add(at), func() { w.arriveFrom(x) })
	}
}

// A week of mail: nothing is forgotten, limits are kept, attempts are made when
// they are due, and who sends little does not wait for those who send much.
// FAULTS=long makes it a million messages.
func TestSimulatedWeek(t *testing.T) {
	t.Parallel()
	messages, hosts, senders, every := 4000, 200, 200, 400
	if os.Getenv("FAULTS") == "long" {
		messages, hosts, senders, every = 1_000_000, 1000, 1000, 100_000
	}
	const span = 7 * 24 * time.Hour
	w := newWeek(t, hosts, span)
	w.send(messages, senders, span)
	begun := time.Now()
	w.run(testStart.Add(20*24*time.Hour), func() {
		w.cheap()
		if w.step++; w.step%every == 0 {
			w.thorough()
		}
	})
	w.thorough()
	if n := len(w.queue) + len(w.s.messages); n > 0 || w.checked < messages/20 {
		t.Errorf("after the week %d messages are left; %d retry times were checked", n, w.checked)
	}
	t.Logf("%d messages, %d attempts, %d bounces, %d retry times; first attempts waited %v (half), %v (99 of 100), %v at most; in %v",
		messages, w.attempts, w.bounces, w.checked, rank(w.waits, 0.5), rank(w.waits, 0.99), rank(w.waits, 1), time.Since(begun).Round(time.Millisecond))
	if most := rank(w.waits, 1); most > 2*time.Second {
		t.Errorf("a first attempt waited %v", most)
	}
}
