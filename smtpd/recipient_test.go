package smtpd

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Recipients that exist are asked for once in a while, others each time.
func TestRecent(t *testing.T) {
	t.Parallel()
	var r recent
	at := time.Unix(1_800_000_000, 0)
	r.add("joe", at)
	for _, c := range []struct {
		after time.Duration
		known bool
	}{
		{0, true}, {recentTime - 1, true}, {recentTime, true}, {2*recentTime - 1, true}, {2 * recentTime, false}, {recentTime, false},
	} {
		if got := r.has("joe", at.Add(c.after)); got != c.known {
			t.Errorf("after %v: %v", c.after, got)
		}
	}
	if r.has("jim", at) {
		t.Error("somebody else is known")
	}
	r.add("joe", at)
	if r.has("joe", at.Add(-time.Second)) {
		t.Error("known after the clock was set back")
	}
	for i := range 3 * maxRecent {
		r.add(fmt.Sprint(i), at)
		if len(r.now)+len(r.old) > maxRecent {
			t.Fatalf("%d are remembered", len(r.now)+len(r.old))
		}
	}
	if !r.has(fmt.Sprint(3*maxRecent-1), at) || r.has("0", at) {
		t.Error("the newest are not those that are remembered")
	}
}

func TestRecipientsAreAskedForOnce(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	c := h.dial()
	c.play(transaction + strings.Repeat("C: RCPT TO:<jim@example.com>\nS: 250 *\n", 5))
	if n := h.lookup.asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
	c.play(strings.Repeat("C: RCPT TO:<nobody@example.com>\nS: 550 *\n", 3) + bye)
	if n := h.lookup.asked.Load(); n != 4 {
		t.Errorf("asked %d times, want 4", n)
	}
	for _, part := range []string{" code=550 rule=verifyrcpt ", " command=RCPT_TO:<nobody@example.com>"} {
		if !strings.Contains(h.log.String(), part) {
			t.Errorf("no %q in the log:\n%s", part, h.log)
		}
	}
}

// Without an answer there is no consent, and no refusal for good.
func TestNoLookup(t *testing.T) {
	t.Parallel()
	s, _ := newTestSession(deafConn{})
	s.settings.verifyRcpt = verifyOther
	s.verifier = newVerifier()
	for _, line := range []string{"MAIL FROM:<joe@example.net>", "RCPT TO:<jim@example.com>"} {
		if r := answer(t, s, line); strings.HasPrefix(line, "RCPT") && r != replyRcptUnsure {
			t.Errorf("%d %s", r.code, r.text)
		}
	}
	if !strings.Contains(s.log.(*recordedLog).String(), "why=qmail-lookup:_it_does_not_run") {
		t.Errorf("log: %s", s.log)
	}
}

func TestLookupThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	begun := time.Now()
	h.dial().play(hello + "C: MAIL FROM:<>\nS: 250 *\nC: RCPT TO:<silent@example.com>\nS: 451 4.3.0 *" + bye)
	if took := time.Since(begun); took < askTime {
		t.Errorf("the answer came after %v", took)
	}
}

// Who tries many names in many sessions waits for each answer.
func TestHarvestersWait(t *testing.T) {
	t.Parallel()
	v, begun := newVerifier(), time.Unix(1_800_000_000, 0)
	for _, c := range []struct {
		ip    string
		after time.Duration
		waits int
	}{
		{"192.0.2.1", 0, 0}, {"192.0.2.1", 0, 3}, {"192.0.2.2", 0, 0},
		{"2001:db8::1", 0, 0}, {"2001:db8::2", 0, 3}, // one network
		{"192.0.2.1", harvestPeriod, 0},
	} {
		s, _ := newTestSession(deafConn{})
		s.settings.maxBadRcpt = 5
		s.verifier, s.client = v, netip.MustParseAddr(c.ip)
		waits := 0
		for range 4 {
			r := s.noMailbox(begun.Add(c.after))
			if r.wait == harvestPause {
				waits++
			}
			if r.wait = 0; r != replyNoMailbox {
				t.Errorf("%s: %d %s", c.ip, r.code, r.text)
			}
		}
		if waits != c.waits {
			t.Errorf("%s after %v: %d waits, want %d", c.ip, c.after, waits, c.waits)
		}
	}
}

func TestHarvestPause(t *testing.T) {
	t.Parallel()
	slow := replyNoMailbox
	slow.wait = harvestPause
	for r, want := range map[reply]time.Duration{slow: harvestPause, replyNoMailbox: 0, replyRcptOK: 0, replyTooManyBadTos: 0} {
		synctest.Test(t, func(t *testing.T) {
			s, _ := newTestSession(deafConn{})
			begun := time.Now()
			if err := s.tarpit(r); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took != want {
				t.Errorf("%d %s: %v, want %v", r.code, r.text, took, want)
			}
		})
	}
}

// BenchmarkVerify is the way to a qmail-lookup in the same process, and what a
// recipient costs who was asked for a moment ago.
func BenchmarkVerify(b *testing.B) {
	h := startHost(b, map[string]string{"maxrcpt": "100000000\n"})
	for name, rcpt := range map[string]string{"asked": "RCPT TO:<nobody@example.com>", "known": "RCPT TO:<jim@example.com>"} {
		b.Run(name, func(b *testing.B) {
			s, _ := newTestSession(deafConn{})
			s.settings.verifyRcpt, s.verifier = verifyOther, h.d.verifier
			s.dispatch("MAIL FROM:<joe@example.net>")
			b.ReportAllocs()
			for b.Loop() {
				s.dispatch(rcpt)
				s.envelope = s.envelope[:0]
				s.recipients = 0
			}
		})
	}
}
