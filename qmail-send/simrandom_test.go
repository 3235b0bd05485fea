package qmailsend

import (
	"fmt"
	"os"
	"testing"
	"time"

	"postrider/internal/wire/spawn"
	"postrider/qmail-send/links"
)

// Random courses of a few hours: disks that are slow and fail, ALRM, and
// crashes. Whatever happens, every recipient has the message in the end or its
// sender is told, and twice only what a crash had made uncertain.
func TestRandomSchedules(t *testing.T) {
	t.Parallel()
	seeds := 600
	if os.Getenv("FAULTS") == "long" {
		seeds = 50_000
	}
	dir := newHost(t, map[string]string{"concurrencyremote": "8\n", "queuelifetime": "20000\n", "bulklifetime": "5000\n",
		"retryrules": "h1.test * 5m 20m\n* greylisted 2m 10m\n", "delaywarn": "3000\n9000\n"}).control
	small := newHost(t, map[string]string{"concurrencyremote": "1\n", "queuelifetime": "10000\n"}).control
	for seed := range uint64(seeds) {
		if t.Failed() {
			t.Fatalf("with seed %d", seed-1)
		}
		from := dir
		if seed%4 == 0 {
			from = small
		}
		set, err := readSettings(from)
		if err != nil {
			t.Fatal(err)
		}
		randomSchedule(oneOfMany(t, seed, set), seed%3 == 0)
	}
}

func randomSchedule(m *simulation, crashes bool) {
	defer func() { m.close() }()
	trouble := testStart.Add(3 * time.Hour) // until then
	m.disk = func() (time.Duration, error) {
		if m.time.Before(trouble) && m.random.IntN(40) == 0 {
			return 0, errDisk
		}
		return time.Duration(m.random.IntN(3)*m.random.IntN(30)) * time.Millisecond, nil
	}
	m.deliver = func(_ *simMessage, _ links.Job, _ spawn.Recipient) (time.Duration, spawn.Class, string) {
		takes := time.Duration(m.random.IntN(5000)) * time.Millisecond
		switch n := m.random.IntN(10); {
		case n == 0:
			return takes, spawn.Failure, "no\n"
		case n < 5:
			return takes, spawn.Deferral, []string{noConnectionText, "1.2.3.4 does not like recipient.\nRemote host said: 450 4.2.0 greylisted\n", "later\n"}[n%3]
		}
		return takes, spawn.Success, "ok\n"
	}
	for i := range 1 + m.random.IntN(25) {
		x := &simMessage{sender: m.random.IntN(4), bulk: i%5 == 0, bounce: i%6 == 5}
		for r := range 1 + m.random.IntN(4)*m.random.IntN(2) {
			x.recipients = append(x.recipients, []string{"u@h1.test", "u@h2.test", "u@loc.example.org"}[m.random.IntN(3)])
			x.recipients[r] = fmt.Sprintf("%d%s", r, x.recipients[r])
		}
		m.in(time.Duration(m.random.Int64N(int64(2*time.Hour))), func() { m.arriveFrom(x) })
	}
	for range m.random.IntN(3) {
		m.in(time.Duration(m.random.Int64N(int64(3*time.Hour))), func() { m.s.flush() })
	}
	if crashes {
		m.in(time.Duration(m.random.Int64N(int64(3*time.Hour))), m.crash)
	}
	m.done = func(x *simMessage) {
		for i, n := range x.delivered {
			if n > 1+m.restarts {
				m.t.Errorf("%s is delivered %d times to %s", x.id, n, x.recipients[i])
			}
			if n > 0 && x.told[i] && m.restarts == 0 {
				m.t.Errorf("%s has %s, whose sender is told that he has not", x.recipients[i], x.id)
			}
		}
	}
	m.run(testStart.Add(48*time.Hour), m.thorough)
	if len(m.queue) > 0 {
		m.t.Errorf("%d messages are left", len(m.queue))
	}
}
