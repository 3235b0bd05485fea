package qmailsend

import (
	"strings"
	"testing"
	"time"

	"postrider/internal/esmtp"
)

// toAge lets the attempts up to an age happen, each when it is due.
func (r *rig) toAge(t *testing.T, birth time.Time, age int) {
	t.Helper()
	for k := 1; 400*k*k <= age; k++ {
		due := birth.Add(time.Duration(400*k*k) * time.Second)
		if !due.After(r.clock.Now()) {
			continue
		}
		r.clock.awaitWait(t, due)
		r.untilIdle(t)
		r.clock.advance(due)
	}
	r.untilIdle(t)
}

// TestNobodyLeftToTellOf: who was deferred may have the message when the notice
// is made.
func TestNobodyLeftToTellOf(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.inside(func() {
		a := &active{m: &message{id: id(1)}}
		a.delays, a.telling[remote] = 1, 4*time.Hour
		r.s.told(a, nil, nil)
		if a.delays != 0 || a.told[remote] != 4*time.Hour {
			t.Errorf("%d to tell, told of %v", a.delays, a.told)
		}
	})
}

// The sender is told once, after four hours, of those who wait and whose delay
// he wants to know; a later qmail-send knows that.
func TestDelayNotice(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	connectAgent(t, r.s, remote, 0, byLocalPart)
	m := testMessage{
		id: id(1), sender: "jo@x.org", body: "Subject: x\n\nsecret text",
		recipients: []string{"k@rem.org", "z1@rem.org", "z2@rem.org", "z3@rem.org", "z4@rem.org"},
		wishes:     []esmtp.Recipient{{}, {}, {Notify: esmtp.Delay, Original: "rfc822;o+2Bo@x"}, {Notify: esmtp.Never}, {Notify: esmtp.Failure}},
		facts:      esmtp.Message{EnvelopeID: "QQ+2B"},
	}
	birth := m.id.Time()
	r.clock.advance(birth)
	r.spool.accept(m)
	r.toAge(t, birth, 10_000)
	if n := len(r.spool.seen().bounces); n != 0 {
		t.Fatalf("%d notices before four hours", n)
	}
	r.toAge(t, birth, 14_400)
	r.spool.until("a notice", func() bool { return len(r.spool.bounces) == 1 })
	r.untilIdle(t)
	want := `Date: 22 Nov 2026 04:37:36 -0000
From: MAILER-DAEMON@me.example.org
To: jo@x.org
Subject: delay notice
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="BOUNDARY"
Content-Transfer-Encoding: 8bit

--BOUNDARY
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

This is the mail server at me.example.org.

Your message has not been delivered yet to the following addresses. You need
not send it again: the server goes on trying.

<z1@rem.org>:
not now

<z2@rem.org>:
not now

It came on 22 Nov 2026 00:37:36 -0000 and was tried 7 times.
The next attempt is on 22 Nov 2026 06:04:16 -0000, the last one on
29 Nov 2026 01:37:36 -0000. If that fails, too, you will be told.

The header of your message comes with this notice.

--BOUNDARY
Content-Type: message/delivery-status

Reporting-MTA: dns; me.example.org
Original-Envelope-Id: QQ+
Arrival-Date: 22 Nov 2026 00:37:36 -0000

Final-Recipient: rfc822; z1@rem.org
Action: delayed
Status: 4.0.0
Diagnostic-Code: x-postrider; not now
Last-Attempt-Date: 22 Nov 2026 04:37:36 -0000
Will-Retry-Until: 29 Nov 2026 01:37:36 -0000

Original-Recipient: rfc822; o+o@x
Final-Recipient: rfc822; z2@rem.org
Action: delayed
Status: 4.0.0
Diagnostic-Code: x-postrider; not now
Last-Attempt-Date: 22 Nov 2026 04:37:36 -0000
Will-Retry-Until: 29 Nov 2026 01:37:36 -0000

--BOUNDARY
Content-Type: text/rfc822-headers
Content-Transfer-Encoding: 8bit

Return-Path: <jo@x.org>
Subject: x

--BOUNDARY--
`
	if b := r.spool.seen().bounces[0]; b.sender != "" || b.recipient != "jo@x.org" || sameBoundary(b.body) != want {
		t.Errorf("notice from <%s> to <%s> is\n%s\nwant\n%s", b.sender, b.recipient, sameBoundary(b.body), want)
	}
	r.log.await(t, "delay msg "+m.id.String()+" qp "+bounceID(1).String())
	if p := r.host.readInfo(t, m); p.Told['r'] != 4*time.Hour || p.Delivered != 1 || p.Failed != 0 {
		t.Errorf("progress is %+v", p)
	}
	r.toAge(t, birth, 19_600)
	clock := r.clock
	r.stop()

	next := newRig(t, r.host, clock)
	next.connect()
	connectAgent(t, next.s, remote, 0, byLocalPart)
	next.toAge(t, birth, 40_000)
	if n := len(next.spool.seen().bounces); n != 0 {
		t.Errorf("%d notices by the next qmail-send:\n%s", n, next.spool.seen().bounces[0].body)
	}
}

// Several ages; and who is never told.
func TestWhoIsToldOfDelays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, sender, body, control string
		want                        int
	}{
		{"by default", "jo@x.org", "Subject: x\n\nx\n", "", 1},
		{"twice", "jo@x.org", "Subject: x\n\nx\n", "400\n14400\n", 2},
		{"both at once", "jo@x.org", "Subject: x\n\nx\n", "13000\n14400\n", 1},
		{"not at all", "jo@x.org", "Subject: x\n\nx\n", "0\n", 0},
		{"later", "jo@x.org", "Subject: x\n\nx\n", "50000\n", 0},
		{"a bounce", "", "Subject: x\n\nx\n", "", 0},
		{"a double bounce", "#@[]", "Subject: x\n\nx\n", "", 0},
		{"a list by VERP", "list-@x.org-@[]", "Subject: x\n\nx\n", "", 0},
		{"a list", "jo@x.org", "Subject: x\nList-Id: <l.x.org>\n\nx\n", "", 0},
		{"a list of ezmlm", "jo@x.org", "MAILING-LIST: contact l-help\n\nx\n", "", 0},
		{"in bulk", "jo@x.org", "Subject: x\nprecedence : Bulk \n\nx\n", "", 0},
		{"not in bulk", "jo@x.org", "Precedence: first-class\n list: x\n\nList-Id: x\n", "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			control := map[string]string{}
			if c.control != "" {
				control["delaywarn"] = c.control
			}
			r := newRig(t, newHost(t, control), newManualClock())
			r.connect()
			connectAgent(t, r.s, remote, 0, byLocalPart)
			m := testMessage{id: id(1), sender: c.sender, body: c.body, recipients: []string{"z@rem.org"}}
			r.clock.advance(m.id.Time())
			r.spool.accept(m)
			r.toAge(t, m.id.Time(), 19_600)
			if got := len(r.spool.seen().bounces); got != c.want {
				t.Errorf("%d notices, want %d", got, c.want)
			}
		})
	}
}

// A notice that cannot be submitted comes with the next attempt.
func TestDelayNoticeRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	connectAgent(t, r.s, remote, 0, byLocalPart)
	m := testMessage{id: id(1), sender: "jo@x.org", body: "Subject: x\n\nx\n", recipients: []string{"z@rem.org"}}
	r.clock.advance(m.id.Time())
	r.spool.accept(m)
	r.toAge(t, m.id.Time(), 10_000)
	r.spool.set(func() { r.spool.refuse = true })
	r.toAge(t, m.id.Time(), 14_400)
	r.log.await(t, "warning: trouble injecting delay notice for "+m.id.String())
	r.spool.set(func() { r.spool.refuse = false })
	r.toAge(t, m.id.Time(), 19_600)
	seen := r.spool.seen()
	if len(seen.bounces) != 1 || strings.Count(seen.bounces[0].body, "<z@rem.org>:\n") != 1 {
		t.Errorf("notices: %+v", seen.bounces)
	}
	if p := r.host.readInfo(t, m); p.Told['r'] != 4*time.Hour || p.Told[channelLetters[local]] != 0 || p.Unbounced != 0 {
		t.Errorf("progress is %+v", p)
	}
}
