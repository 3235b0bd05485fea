package retry

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/control"
	"postrider/internal/route"
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

func rulesOf(t *testing.T, text string) *Rules {
	t.Helper()
	r, err := ReadRules(controlOf(t, "retryrules", text))
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
		at = cv.Next(birthOfTests, at)
		if ageIn(at) != want || at != birthOfTests.Add(time.Duration(want)*time.Second) {
			t.Fatalf("attempt %d at age %d, want %d", i+1, ageIn(at), want)
		}
		if got := cv.Attempts(birthOfTests, at); got != int64(i+1) {
			t.Errorf("%d attempts up to age %d, want %d", got, want, i+1)
		}
		if cv.NotBefore(birthOfTests, at) != at || cv.NotBefore(birthOfTests, at+1) != cv.Next(birthOfTests, at) {
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
		cv := quadratic(route.Channel(random.IntN(int(route.Channels))))
		var steps []time.Duration
		for range random.IntN(5) {
			steps = append(steps, time.Duration(600+random.IntN(100_000))*time.Second)
		}
		if steps != nil {
			cv = Curve{}
			var age time.Duration
			for _, step := range steps {
				age += step
				cv.ages = append(cv.ages, age)
			}
		}
		age := time.Duration(random.Int64N(int64(30 * 24 * time.Hour)))
		now := birthOfTests.Add(age)
		next := cv.Next(birthOfTests, now)
		if next <= now || cv.NotBefore(birthOfTests, now) < now || cv.Attempts(birthOfTests, next) <= cv.Attempts(birthOfTests, birthOfTests) {
			t.Fatalf("%+v: after age %v comes %v", cv, age, time.Duration(next-birthOfTests))
		}
		born := time.Unix(0, int64(birthOfTests))
		c := route.Local
		if cv.root == retrySkip[route.Remote] {
			c = route.Remote
		}
		if want := worked(born, born.Add(age), c, steps); want.UnixNano() != int64(next) {
			t.Fatalf("%+v: after age %v comes %v, want %v", cv, age, time.Duration(next-birthOfTests), want.Sub(born))
		}
	}
}

// worked is when a message is tried again, worked out once more: from the words of
// the specification, with other arithmetic.
func worked(born, began time.Time, c route.Channel, steps []time.Duration) time.Time {
	age := began.Sub(born)
	if steps == nil {
		root := int64(math.Floor(math.Sqrt(math.Floor(max(0, age.Seconds())))))
		root += map[route.Channel]int64{route.Local: 10, route.Remote: 20}[c]
		return born.Add(time.Duration(root*root) * time.Second)
	}
	at := born
	for i := 0; ; i++ {
		at = at.Add(steps[min(i, len(steps)-1)])
		if at.Sub(born) > age {
			return at
		}
	}
}

func TestRetryRules(t *testing.T) {
	t.Parallel()
	r := rulesOf(t, "# ours\n* greylisted 1m\nExample.org connection 2m\nexample.org * 3m\n.example.org * 4m\n.a.example.org tls 5m\n"+
		"plain.org * quadratic\n* local 6m\n.org dns 7m\n")
	for _, c := range []struct {
		c      route.Channel
		domain string
		kind   cause
		want   time.Duration // 0: qmail's
	}{
		{route.Remote, "x.test", greylisted, time.Minute}, {route.Remote, "x.test", connectionTrouble, 0},
		{route.Remote, "example.org", connectionTrouble, 2 * time.Minute}, {route.Remote, "EXAMPLE.ORG", dnsTrouble, 3 * time.Minute},
		{route.Remote, "example.org", greylisted, 3 * time.Minute}, // the closest destination, not the closest trouble
		{route.Remote, "b.example.org", tlsTrouble, 4 * time.Minute}, {route.Remote, "b.a.example.org", tlsTrouble, 5 * time.Minute},
		{route.Remote, "b.a.example.org", dnsTrouble, 4 * time.Minute}, {route.Remote, "plain.org", greylisted, 0},
		{route.Remote, "other.org", dnsTrouble, 7 * time.Minute}, {route.Remote, "org", dnsTrouble, 0},
		{route.Local, "loc.test", localTrouble, 6 * time.Minute}, {route.Local, "loc.test", ourTrouble, 0}, {route.Local, "", anyTrouble, 0},
	} {
		got := r.of(c.c, c.domain, c.kind)
		if c.want == 0 && got.root != retrySkip[c.c] || c.want > 0 && (len(got.ages) != 1 || got.ages[0] != c.want) {
			t.Errorf("%s %s %d: %+v, want %v", c.c, c.domain, c.kind, got, c.want)
		}
	}
	var none *Rules
	if none.of(route.Remote, "x", tlsTrouble).root != 20 || none.of(route.Local, "x", tlsTrouble).root != 10 {
		t.Error("without rules it is not qmail's Curve")
	}
	if got := r.Latest(birthOfTests, birthOfTests, route.Local); got != birthOfTests.Add(420*time.Second) {
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
		if r, err := ReadRules(controlOf(t, "retryrules", line+"\n")); err == nil {
			t.Errorf("%q is taken: %+v", line, r)
		}
	}
}

func TestCauses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		c      route.Channel
		report string
		want   cause
	}{
		{route.Remote, "Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n", connectionTrouble},
		{route.Remote, "Connected to 192.0.2.1 but connection died. (#4.4.2)\nRemote host said: \n", connectionTrouble},
		{route.Remote, "Sorry, I couldn't find any host by that name. (#4.1.2)\n", dnsTrouble},
		{route.Remote, "Connected to 192.0.2.1 but it offers no TLS, for which control/tlspolicy asks. (#4.7.4)\n", tlsTrouble},
		{route.Remote, "192.0.2.1 does not like recipient.\nRemote host said: 450 4.2.0 <x>: Recipient address rejected: Greylisted, see ...\nGiving up on 192.0.2.1.\n", greylisted},
		{route.Remote, "192.0.2.1 does not like recipient.\nRemote host said: 451 4.7.1 Please try again later\n", greylisted},
		{route.Remote, "192.0.2.1 does not like recipient.\nRemote host said: 452 4.2.2 mailbox full\n", refused},
		{route.Remote, "192.0.2.1 failed after I sent the message.\nRemote host said: 421 bye\n", refused},
		{route.Remote, "Out of memory. (#4.3.0)\n", ourTrouble},
		{route.Remote, "Sorry, the delivery program went away before it was done. (#4.3.0)\n", ourTrouble},
		{route.Local, "Sorry, the delivery program went away before it was done. (#4.3.0)\n", ourTrouble},
		{route.Local, "Home directory is sticky: user is editing his .qmail file. (#4.2.1)\n", localTrouble},
		{route.Remote, "", anyTrouble},
	} {
		if got := causeOf(c.c, c.report); got != c.want {
			t.Errorf("%s %q: %d, want %d", c.c, c.report, got, c.want)
		}
	}
}

// A rule for a domain in UTF-8 is for the domain that recipients have.
func TestRulesInUTF8(t *testing.T) {
	t.Parallel()
	r := rulesOf(t, "bücher.example * 5m\n.köln.example * 7m\n")
	for to, want := range map[string]time.Duration{
		"r@xn--bcher-kva.example": 5 * time.Minute, "r@bücher.example": 5 * time.Minute, "r@mx.xn--kln-sna.example": 7 * time.Minute,
	} {
		if got := r.After(route.Remote, to, "no\n"); len(got.ages) != 1 || got.ages[0] != want {
			t.Errorf("%s: %v", to, got.ages)
		}
	}
}
