package smtpd

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postrider/internal/mailboxes"
)

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
	s.settings.mailboxes.Verify = mailboxes.VerifyStrangers
	s.mailboxes = mailboxes.New()
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
	h.dial().play(hello + "C: MAIL FROM:<>\nS: 250 *\nC: RCPT TO:<silent@example.com>\nS: 451 4.3.0 *" + bye)
}

func TestHarvestPause(t *testing.T) {
	t.Parallel()
	slow := replyNoMailbox
	slow.wait = 3 * time.Second
	for r, want := range map[reply]time.Duration{slow: slow.wait, replyNoMailbox: 0, replyRcptOK: 0, replyTooManyBadTos: 0} {
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
			s.settings.mailboxes.Verify, s.mailboxes = mailboxes.VerifyStrangers, h.d.mailboxes
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
