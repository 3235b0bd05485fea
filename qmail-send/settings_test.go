package qmailsend

import (
	"strings"
	"testing"
	"time"

	"postrider/internal/wire/spawn"
	"postrider/qmail-send/links"
)

// A file that is refused is no start.
func TestRetryRulesOfSettings(t *testing.T) {
	t.Parallel()
	if _, err := readSettings(newHost(t, map[string]string{"retryrules": "nonsense\n"}).control); err == nil {
		t.Error("settings are taken with such a file")
	}
}

// The real way: a message that is greylisted by a host with a rule is tried
// again by it; the notice of the delay and the last attempt follow it.
func TestRetryRulesOnTheWay(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{
		"retryrules": "rem.org greylisted 5m 10m\n", "queuelifetime": "2000\n", "delaywarn": "400\n800\n",
	})
	r := newRig(t, h, newManualClock())
	r.connect()
	rem := connectAgent(t, r.s, remote, 0, always(spawn.Deferral, "1.2.3.4 does not like recipient.\nRemote host said: 450 4.2.0 greylisted\n"))
	m := testMessage{id: id(1), sender: "jo@x.org", body: "Subject: x\n\nx\n", recipients: []string{"z@rem.org"}}
	birth := m.id.Time()
	r.clock.advance(birth)
	r.spool.accept(m)
	for i, age := range []int{300, 900, 1500, 2100} {
		due := birth.Add(time.Duration(age) * time.Second)
		r.clock.awaitWait(t, due)
		r.untilIdle(t)
		if n := len(rem.recipients()); n != i+1 {
			t.Fatalf("%d attempts before age %d", n, age)
		}
		r.clock.advance(due)
	}
	r.spool.untilRemoved(m.id)
	seen := r.spool.seen()
	if len(seen.bounces) != 2 { // both ages had passed at the second attempt
		t.Fatalf("%d notices", len(seen.bounces))
	}
	if want := "The next attempt is on 22 Nov 2026 01:02:36 -0000, the last one on\n22 Nov 2026 01:12:36 -0000."; !strings.Contains(seen.bounces[0].body, want) {
		t.Errorf("the notice does not say %q:\n%s", want, seen.bounces[0].body)
	}
}

// Each class of messages has a lifetime.
func TestLifetimes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, sender string
		bulk         bool
		last         int // age of the last attempt
	}{
		{"ordinary", "jo@x.org", false, 6400}, {"bulk", "jo@x.org", true, 3600}, {"a bounce", "", false, 1600}, {"a double bounce", "#@[]", false, 1600},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			set, err := readSettings(newHost(t, map[string]string{
				"queuelifetime": "3700\n", "bulklifetime": "1700\n", "bouncelifetime": "500\n", "delaywarn": "0\n",
			}).control)
			if err != nil {
				t.Fatal(err)
			}
			m := newSimulation(t, 1, set)
			last := 0
			m.deliver = func(x *simMessage, _ links.Job, _ spawn.Recipient) (time.Duration, spawn.Class, string) {
				last = int(m.time.Sub(x.born) / time.Second)
				return 0, spawn.Deferral, noConnectionText
			}
			m.arriveAs(&simMessage{bulk: c.bulk, bounce: c.sender != "jo@x.org", recipients: []string{"u@rem.org"}}, c.sender)
			m.run(testStart.Add(24*time.Hour), m.thorough)
			if last != c.last || len(m.queue) != 0 {
				t.Errorf("the last attempt is at age %d, want %d; %d left", last, c.last, len(m.queue))
			}
		})
	}
}
