package qmailsend

import (
	"fmt"
	"os"
	"testing"
	"time"

	"postrider/internal/wire/spawn"
	"postrider/qmail-send/links"
)

// fairness is the latency, from acceptance to delivery, of senders who send a
// message now and then, while somebody floods.
func fairness(t *testing.T, flood int, floodTakes, usual time.Duration, concurrency string) (all []time.Duration) {
	t.Helper()
	set, err := readSettings(newHost(t, map[string]string{"concurrencyremote": concurrency}).control)
	if err != nil {
		t.Fatal(err)
	}
	m := newSimulation(t, 1, set)
	m.deliver = func(x *simMessage, j links.Job, _ spawn.Recipient) (time.Duration, spawn.Class, string) {
		if x.sender == 0 {
			if floodTakes > time.Minute {
				return floodTakes, spawn.Deferral, noConnectionText
			}
			return floodTakes, spawn.Success, "ok\n"
		}
		all = append(all, m.time.Sub(x.born)+usual)
		return usual, spawn.Success, "ok\n"
	}
	for i := range flood {
		m.at(testStart.Add(time.Duration(i)*time.Microsecond), func() {
			m.arriveFrom(&simMessage{sender: 0, recipients: []string{fmt.Sprintf("u@h%d.test", i%50)}})
		})
	}
	for i := range 200 {
		m.at(testStart.Add(time.Duration(i+1)*3*time.Second), func() {
			m.arriveFrom(&simMessage{sender: 1 + i%40, recipients: []string{"u@quiet.test"}})
		})
	}
	m.run(testStart.Add(20*time.Minute), m.cheap)
	m.thorough()
	return all
}

// A sender with very many messages does not delay another's first attempt to
// more than twice what it takes on an idle host: neither if his are delivered as
// fast as others', nor if each holds a slot until a time limit.
func TestFloodDelaysNobody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		takes       time.Duration
		concurrency string
	}{
		{"fast", time.Second, "20\n"},
		{"slow", 20 * time.Second, "20\n"},
		{"dead", 2 * time.Minute, "20\n"},
		{"wide", time.Second, "120\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			flood := 6000
			if os.Getenv("FAULTS") == "long" {
				flood = 100_000
			}
			all := fairness(t, flood, c.takes, time.Second, c.concurrency)
			if most := rank(all, 1); len(all) != 200 || most > 2*time.Second {
				t.Errorf("%d messages beside a flood: %v at most, %v half", len(all), most, rank(all, 0.5))
			}
		})
	}
}
