package qmailsend

import (
	"fmt"
	"os"
	"testing"
	"time"

	"postrider/internal/wire/spawn"
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
	m.deliver = func(x *simMessage, j job, _ spawn.Recipient) (time.Duration, spawn.Class, string) {
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

// Senders have turns by weight; bulk has an eighth of the same sender's rest.
func TestTurnsByWeight(t *testing.T) {
	t.Parallel()
	var q fairQueue[int]
	for i := range 900 {
		q.push(i*3, 1, usualWeight, 0)
		q.push(i*3+1, 2, 2*usualWeight, 0)
		q.push(i*3+2, 3, 1, 0)
	}
	var got [3]int
	for range 500 {
		item, ok := q.pop(nil)
		if !ok {
			t.Fatal("it is empty")
		}
		got[item%3]++
	}
	if got[0] < 155 || got[0] > 165 || got[1] < 315 || got[1] > 325 || got[2] < 18 || got[2] > 22 {
		t.Errorf("turns %v, want 160, 320 and 20", got)
	}
}

// Within a sender, destinations have turns.
func TestTurnsByDestination(t *testing.T) {
	t.Parallel()
	var q fairQueue[int]
	for i := range 100 {
		q.push(i, 1, 1, 7)
	}
	q.push(1000, 1, 1, 8)
	for range 2 {
		if item, _ := q.pop(nil); item == 1000 {
			return
		}
	}
	t.Error("the other destination has none of two turns")
}

// Who may not have a turn keeps it, and nothing is lost.
func TestTurnsOfOthers(t *testing.T) {
	t.Parallel()
	var q fairQueue[int]
	for i := range 10 {
		q.push(i, flowKey(i%2), 1, 0)
	}
	q.remove(3, 1)
	q.remove(3, 1)
	q.remove(3, 9)
	var got []int
	for range 5 {
		item, ok := q.pop(func(f flowKey) bool { return f == 0 })
		if !ok || item%2 != 0 {
			t.Fatalf("%d, %v", item, ok)
		}
		got = append(got, item)
	}
	if _, ok := q.pop(func(f flowKey) bool { return f == 0 }); ok || q.len() != 4 {
		t.Errorf("%d are left after %v", q.len(), got)
	}
	for q.len() > 0 {
		q.pop(nil)
	}
	if len(q.order) != 0 || len(q.flows) > 2 {
		t.Errorf("%d, %d senders of nothing", len(q.order), len(q.flows))
	}
}
