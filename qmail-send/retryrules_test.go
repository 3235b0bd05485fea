package qmailsend

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/control"
	"postrider/internal/wire/spawn"
)

// controlOf returns a directory with one control file.
func controlOf(t *testing.T, name, text string) control.Dir {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return control.Dir(dir)
}

func rulesOf(t *testing.T, text string) *retryRules {
	t.Helper()
	r, err := readRetryRules(controlOf(t, "retryrules", text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Attempts on a schedule are exactly at the sums of its times, and at the last
// one's distance from then on.
func TestSchedule(t *testing.T) {
	t.Parallel()
	cv, err := parseCurve(strings.Fields("90s 5m 1h 1d"))
	if err != nil {
		t.Fatal(err)
	}
	at := birthOfTests
	for i, want := range []int64{90, 390, 3990, 90390, 176790, 263190} {
		at = cv.next(birthOfTests, at)
		if ageIn(at) != want || at != birthOfTests.Add(time.Duration(want)*time.Second) {
			t.Fatalf("attempt %d at age %d, want %d", i+1, ageIn(at), want)
		}
		if got := cv.attempts(birthOfTests, at); got != int64(i+1) {
			t.Errorf("%d attempts up to age %d, want %d", got, want, i+1)
		}
		if cv.notBefore(birthOfTests, at) != at || cv.notBefore(birthOfTests, at+1) != cv.next(birthOfTests, at) {
			t.Errorf("what is not before age %d is", want)
		}
		at = at.Add(500 * time.Microsecond) // the pass starts a little later
	}
}

// Whatever the age, curves go on, never back, and notBefore is what next is.
func TestCurvesGoOn(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		cv := quadratic(channelID(random.IntN(int(channels))))
		var steps []time.Duration
		for range random.IntN(5) {
			steps = append(steps, time.Duration(600+random.IntN(100_000))*time.Second)
		}
		if steps != nil {
			cv = curve{}
			var age time.Duration
			for _, step := range steps {
				age += step
				cv.ages = append(cv.ages, age)
			}
		}
		age := time.Duration(random.Int64N(int64(30 * 24 * time.Hour)))
		now := birthOfTests.Add(age)
		next := cv.next(birthOfTests, now)
		if next <= now || cv.notBefore(birthOfTests, now) < now || cv.attempts(birthOfTests, next) <= cv.attempts(birthOfTests, birthOfTests) {
			t.Fatalf("%+v: after age %v comes %v", cv, age, time.Duration(next-birthOfTests))
		}
		born := time.Unix(0, int64(birthOfTests))
		c := local
		if cv.root == retrySkip[remote] {
			c = remote
		}
		if want := wantedRetry(born, born.Add(age), c, steps); want.UnixNano() != int64(next) {
			t.Fatalf("%+v: after age %v comes %v, want %v", cv, age, time.Duration(next-birthOfTests), want.Sub(born))
		}
	}
}

func TestRetryRules(t *testing.T) {
	t.Parallel()
	r := rulesOf(t, "# ours\n* greylisted 1m\nExample.org connection 2m\nexample.org * 3m\n.example.org * 4m\n.a.example.org tls 5m\n"+
		"plain.org * quadratic\n* local 6m\n.org dns 7m\n")
	for _, c := range []struct {
		c      channelID
		domain string
		kind   cause
		want   time.Duration // 0: qmail's
	}{
		{remote, "x.test", greylisted, time.Minute}, {remote, "x.test", connectionTrouble, 0},
		{remote, "example.org", connectionTrouble, 2 * time.Minute}, {remote, "EXAMPLE.ORG", dnsTrouble, 3 * time.Minute},
		{remote, "example.org", greylisted, 3 * time.Minute}, // the closest destination, not the closest trouble
		{remote, "b.example.org", tlsTrouble, 4 * time.Minute}, {remote, "b.a.example.org", tlsTrouble, 5 * time.Minute},
		{remote, "b.a.example.org", dnsTrouble, 4 * time.Minute}, {remote, "plain.org", greylisted, 0},
		{remote, "other.org", dnsTrouble, 7 * time.Minute}, {remote, "org", dnsTrouble, 0},
		{local, "loc.test", localTrouble, 6 * time.Minute}, {local, "loc.test", ourTrouble, 0}, {local, "", anyTrouble, 0},
	} {
		got := r.of(c.c, c.domain, c.kind)
		if c.want == 0 && got.root != retrySkip[c.c] || c.want > 0 && (len(got.ages) != 1 || got.ages[0] != c.want) {
			t.Errorf("%s %s %d: %+v, want %v", c.c, c.domain, c.kind, got, c.want)
		}
	}
	var none *retryRules
	if none.of(remote, "x", tlsTrouble).root != 20 || none.of(local, "x", tlsTrouble).root != 10 {
		t.Error("without rules it is not qmail's curve")
	}
	if got := r.latest(birthOfTests, birthOfTests, local); got != birthOfTests.Add(420*time.Second) {
		t.Errorf("the latest is at age %d", ageIn(got))
	}
}

func TestRetryRulesRefused(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"*", "* *", "* nothing 5m", "a@b * 5m", ". * 5m", "*.org * 5m", "* * 5", "* * m", "* * 0s", "* * -5m", "* * +5m", "* * 5x",
		"* * 31d", "* * 99999999999999999999d", "* * 1.5h", "* * quadratic 5m", "* * 5m quadratic", "* * " + strings.Repeat("1m ", 51),
		"* tls 5m\n* tls 6m",
	} {
		if r, err := readRetryRules(controlOf(t, "retryrules", line+"\n")); err == nil {
			t.Errorf("%q is taken: %+v", line, r)
		}
	}
	if _, err := readSettings(newHost(t, map[string]string{"retryrules": "nonsense\n"}).control); err == nil {
		t.Error("settings are taken with such a file")
	}
}

func TestCauses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		c      channelID
		report string
		want   cause
	}{
		{remote, noConnectionText, connectionTrouble},
		{remote, "Connected to 192.0.2.1 but connection died. (#4.4.2)\nRemote host said: \n", connectionTrouble},
		{remote, "Sorry, I couldn't find any host by that name. (#4.1.2)\n", dnsTrouble},
		{remote, "Connected to 192.0.2.1 but it offers no TLS, for which control/tlspolicy asks. (#4.7.4)\n", tlsTrouble},
		{remote, "192.0.2.1 does not like recipient.\nRemote host said: 450 4.2.0 <x>: Recipient address rejected: Greylisted, see ...\nGiving up on 192.0.2.1.\n", greylisted},
		{remote, "192.0.2.1 does not like recipient.\nRemote host said: 451 4.7.1 Please try again later\n", greylisted},
		{remote, "192.0.2.1 does not like recipient.\nRemote host said: 452 4.2.2 mailbox full\n", refused},
		{remote, "192.0.2.1 failed after I sent the message.\nRemote host said: 421 bye\n", refused},
		{remote, "Out of memory. (#4.3.0)\n", ourTrouble},
		{remote, lostText, ourTrouble},
		{local, lostText, ourTrouble},
		{local, "Home directory is sticky: user is editing his .qmail file. (#4.2.1)\n", localTrouble},
		{remote, "", anyTrouble},
	} {
		if got := causeOf(c.c, c.report); got != c.want {
			t.Errorf("%s %q: %d, want %d", c.c, c.report, got, c.want)
		}
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
			m.deliver = func(x *simMessage, _ job, _ spawn.Recipient) (time.Duration, spawn.Class, string) {
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

func TestSenders(t *testing.T) {
	t.Parallel()
	dir := controlOf(t, "senderweights", "joe@x 3\nuid=1000 4\n192.0.2.0/24 5\n192.0.2.7 6\n2001:db8::/32 7\n")
	s, err := readSenders(dir)
	if err != nil {
		t.Fatal(err)
	}
	flows := make(map[flowKey]string)
	for _, c := range []struct {
		user, client string
		uid          uint32
		bulk         bool
		same         string // as which one
		weight       uint16
	}{
		{"joe@x", "192.0.2.1", 1, false, "joe", 24}, {"joe@x", "", 2, false, "joe", 24}, {"joe@x", "", 2, true, "joe's bulk", 3},
		{"", "192.0.2.1", 1, false, "net 1", 40}, {"", "192.0.2.1", 5, false, "net 1", 40}, {"", "192.0.2.7", 1, false, "net 7", 48},
		{"", "198.51.100.1", 1, false, "other net", 8}, {"", "2001:db8::1", 1, false, "six", 56}, {"", "2001:db8::2", 1, false, "six", 56},
		{"", "2001:db8:0:1::1", 1, false, "six, another", 56}, {"", "", 1000, false, "local", 32}, {"", "", 1001, false, "local, another", 8},
		{"", "", 1001, true, "another's bulk", 1},
	} {
		head := headOf(t, c.user, c.client, c.uid, c.bulk)
		flow, weight := s.flow(head)
		if was, known := flows[flow]; weight != c.weight || known && was != c.same || flow == unknownFlow {
			t.Errorf("%+v: weight %d, and the flow of %q", c, weight, was)
		}
		flows[flow] = c.same
	}
	if len(flows) != 10 {
		t.Errorf("%d flows: %v", len(flows), flows)
	}
	for i, bad := range []string{"joe", "joe 0", "joe 101", "joe x", "joe 1 2", "uid=x 1", "uid=99999999999 1"} {
		if _, err := readSenders(controlOf(t, "senderweights", bad+"\n")); err == nil {
			t.Errorf("%d: %q is taken", i, bad)
		}
	}
	if fmt.Sprint(s.lengths) != "[[32 24] [32]]" {
		t.Errorf("lengths are %v", s.lengths)
	}
}

// A rule for a domain in UTF-8 is for the domain that recipients have.
func TestRulesInUTF8(t *testing.T) {
	t.Parallel()
	r := rulesOf(t, "bücher.example * 5m\n.köln.example * 7m\n")
	for to, want := range map[string]time.Duration{
		"r@xn--bcher-kva.example": 5 * time.Minute, "r@bücher.example": 5 * time.Minute, "r@mx.xn--kln-sna.example": 7 * time.Minute,
	} {
		if got := r.after(remote, to, "no\n"); len(got.ages) != 1 || got.ages[0] != want {
			t.Errorf("%s: %v", to, got.ages)
		}
	}
}
