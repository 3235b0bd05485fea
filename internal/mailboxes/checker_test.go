package mailboxes

import (
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/address"
	"postrider/internal/fdpass"
	"postrider/internal/sessionlimit"
	"postrider/internal/wire/call"
	"postrider/internal/wire/lookup"
)

func at(t testing.TB, text string) address.Address {
	t.Helper()
	a, err := address.New(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// linked returns a Checker whose qmail-lookup has everybody but those whose names
// say otherwise, and how often that was asked.
func linked(t testing.TB) (*Checker, *atomic.Int64) {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	asked := new(atomic.Int64)
	go call.Serve(theirs, 64, func(q []byte) []byte {
		return lookup.Reply(q, func(a address.Address) lookup.Answer {
			asked.Add(1)
			for prefix, verdict := range map[string]lookup.Verdict{"nobody": lookup.Unknown, "full": lookup.Full, "unsure": lookup.Unsure} {
				if strings.HasPrefix(a.Local(), prefix) {
					return lookup.Answer{Verdict: verdict, Text: "as its name says"}
				}
			}
			return lookup.Answer{Verdict: lookup.Exists}
		})
	})
	c := New()
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		silent, far, err := fdpass.Pair(unix.SOCK_SEQPACKET)
		if err != nil {
			t.Fatal(err)
		}
		far.Close()
		_ = c.Relink(silent) // closes the link before
	})
	return c, asked
}

func TestAsks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		verify          int
		stranger, relay bool
	}{{VerifyNone, false, false}, {VerifyStrangers, true, false}, {VerifyAll, true, true}, {3, true, true}} {
		p := Policy{Verify: c.verify}
		if p.Asks(false) != c.stranger || p.Asks(true) != c.relay {
			t.Errorf("%d: %v %v", c.verify, p.Asks(false), p.Asks(true))
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	c, asked := linked(t)
	now := time.Unix(1_800_000_000, 0)
	var s Session
	for _, step := range []struct {
		recipient string
		want      Finding
		asked     int64
	}{
		{"joe@example.com", Finding{Verdict: lookup.Exists}, 1},
		{"joe@example.com", Finding{Verdict: lookup.Exists}, 1},
		{"full@example.com", Finding{Verdict: lookup.Full}, 2},
		{"full@example.com", Finding{Verdict: lookup.Full}, 3},
		{"unsure@example.com", Finding{Verdict: lookup.Unsure}, 4},
		{"nobody1@example.com", Finding{Verdict: lookup.Unknown}, 5},
		{"nobody2@example.com", Finding{Verdict: lookup.Unknown}, 6},
		{"jim@example.com", Finding{Verdict: lookup.Exists}, 7},
		{"nobody3@example.com", Finding{Verdict: lookup.Unknown, Pause: pause, TooMany: true}, 8},
		{"nobody4@example.com", Finding{TooMany: true}, 8},
		{"jim@example.com", Finding{TooMany: true}, 8},
	} {
		got, err := c.Check(Policy{VerifyStrangers, 2}, &s, at(t, step.recipient), now)
		if got != step.want || err != nil || asked.Load() != step.asked {
			t.Errorf("%s: %+v, %v, asked %d times, want %+v and %d", step.recipient, got, err, asked.Load(), step.want, step.asked)
		}
	}
}

// Who tries many names in many sessions waits for each answer.
func TestHarvestersWait(t *testing.T) {
	t.Parallel()
	c, _ := linked(t)
	begun := time.Unix(1_800_000_000, 0)
	for _, step := range []struct {
		ip    string
		after time.Duration
		limit int
		waits int
	}{
		{"192.0.2.1", 0, 5, 0}, {"192.0.2.1", 0, 5, 3}, {"192.0.2.2", 0, 5, 0},
		{"2001:db8::1", 0, 5, 0}, {"2001:db8::2", 0, 5, 3}, // one network
		{"192.0.2.1", period, 5, 0},
		{"192.0.2.1", period, 0, 0}, // no limit
	} {
		s := Session{Who: sessionlimit.Party{Addr: sessionlimit.Customer(netip.MustParseAddr(step.ip))}}
		waits := 0
		for range 4 {
			found, err := c.Check(Policy{VerifyStrangers, step.limit}, &s, at(t, "nobody@example.com"), begun.Add(step.after))
			if err != nil || found.Verdict != lookup.Unknown || found.TooMany {
				t.Errorf("%s: %+v, %v", step.ip, found, err)
			}
			if found.Pause == pause {
				waits++
			}
		}
		if waits != step.waits {
			t.Errorf("%s after %v: %d waits, want %d", step.ip, step.after, waits, step.waits)
		}
	}
}

// Without an answer there is no consent, and no refusal for good.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	for name, link := range map[string]func(*Checker) (*os.File, error){
		"no link": func(*Checker) (*os.File, error) { return nil, nil },
		"one that is silent": func(c *Checker) (*os.File, error) {
			ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
			if err == nil {
				err = c.Relink(ours)
			}
			return theirs, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := New()
			theirs, err := link(c)
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			found, err := c.Check(Policy{VerifyStrangers, 2}, new(Session), at(t, "joe@example.com"), time.Now())
			if found != (Finding{Verdict: lookup.Unsure}) || err == nil {
				t.Errorf("%+v, %v", found, err)
			}
			took := time.Since(begun)
			if theirs != nil {
				_ = theirs.Close() // nothing was said
				if took < askTime || took > askTime+5*time.Second {
					t.Errorf("after %v", took)
				}
			}
		})
	}
}
