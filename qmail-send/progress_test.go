package qmailsend

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"postrider/internal/queuedir"
	"postrider/internal/wire/spawn"
	"postrider/qmail-send/progress"
)

// byLocalPart answers as the first letter of the recipient says: k, z, d, or
// nothing yet.
func byLocalPart(_ spawn.Job, r spawn.Recipient) (spawn.Class, string) {
	switch r.Address.String()[0] {
	case 'k':
		return spawn.Success, "ok\n"
	case 'z':
		return spawn.Deferral, "not now\n"
	case 'd':
		return spawn.Failure, "no such user\n\nhere\n"
	}
	return 0, ""
}

var boundaryParameter = regexp.MustCompile(`boundary="([^"]+)"`)

// sameBoundary gives a notice a boundary that a test knows.
func sameBoundary(body string) string {
	if m := boundaryParameter.FindStringSubmatch(body); m != nil {
		return strings.ReplaceAll(body, m[1], "BOUNDARY")
	}
	return body
}

// readInfo returns the progress of m.
func (h host) readInfo(t *testing.T, m testMessage) queuedir.Progress {
	t.Helper()
	p, err := progress.Read(h.layout, m.id, len(m.recipients))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The whole life of a failure: on disk, bounced as soon as nothing is
// outstanding, and not bounced again when the rest fails after queuelifetime.
func TestBounceAndLifetime(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, map[string]string{"queuelifetime": "1000\n", "virtualdomains": "virt.org:joe\n"}), newManualClock())
	r.connect()
	connectAgent(t, r.s, local, 0, byLocalPart)
	m := testMessage{
		id: id(1), sender: "list-@x.org-@[]", body: "Received: x\n\nhello",
		recipients: []string{"k@loc.example.org", "z@loc.example.org", "d@loc.example.org", "k2@loc.example.org"},
	}
	birth := m.id.Time()
	r.clock.advance(birth)
	r.spool.accept(m)
	r.spool.until("a bounce", func() bool { return len(r.spool.bounces) == 1 })
	r.untilIdle(t)
	want := `Date: 22 Nov 2026 00:37:36 -0000
From: MAILER-DAEMON@me.example.org
To: list-@x.org
Subject: failure notice
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="BOUNDARY"
Content-Transfer-Encoding: 8bit

Hi. This is the qmail-send program at me.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<d@loc.example.org>:
no such user
/here

--- Below this line is a copy of the message.

--BOUNDARY
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

This is the mail server at me.example.org.

Your message could not be delivered to the following addresses. The server
will not try again. What went wrong:

<d@loc.example.org>:
no such user
/here

A copy of your message comes with this notice.

--BOUNDARY
Content-Type: message/delivery-status

Reporting-MTA: dns; me.example.org
Arrival-Date: 22 Nov 2026 00:37:36 -0000

Final-Recipient: rfc822; d@loc.example.org
Action: failed
Status: 5.0.0
Diagnostic-Code: x-postrider; no such user /here
Last-Attempt-Date: 22 Nov 2026 00:37:36 -0000

--BOUNDARY
Content-Type: message/rfc822
Content-Transfer-Encoding: 8bit

Return-Path: <list-@x.org>
Received: x

hello
--BOUNDARY--
`
	if b := r.spool.seen().bounces[0]; b.sender != "" || b.recipient != "list-@x.org" || sameBoundary(b.body) != want {
		t.Errorf("bounce from <%s> to <%s> is\n%s\nwant\n%s", b.sender, b.recipient, b.body, want)
	}
	p := r.host.readInfo(t, m)
	if p.Delivered != 2 || p.Failed != 1 || p.Unbounced != 0 || p.Finished.Has(1) {
		t.Errorf("progress is %+v", p)
	}
	if n := r.log.count("bounce msg " + m.id.String() + " qp " + bounceID(1).String()); n != 1 {
		t.Errorf("the bounce was logged %d times", n)
	}

	for _, age := range []int{100, 400, 900, 1600} {
		next := birth.Add(time.Duration(age) * time.Second)
		r.clock.awaitWait(t, next)
		r.untilIdle(t)
		if n := len(r.spool.seen().bounces); n != 1 {
			t.Fatalf("%d bounces before age %d", n, age)
		}
		r.clock.advance(next)
	}
	r.untilEmpty(t)
	want = "<z@loc.example.org>:\nnot now\nI'm not going to try again; this message has been in the queue too long.\n\n--- Below"
	if b := r.spool.seen().bounces[1]; !strings.Contains(b.body, want) || strings.Contains(b.body, "<d@loc") {
		t.Errorf("second bounce is\n%s", b.body)
	}
	failure := "delivery 8: failure: not_now/I'm_not_going_to_try_again;_this_message_has_been_in_the_queue_too_long./"
	if r.log.await(t, "delivery 8: "); r.log.count(failure) != 1 {
		t.Errorf("no line %q in\n%s", failure, strings.Join(r.log.all(), "\n"))
	}
	r.until(t, "the end of the progress file", func() bool { return gone(r.host.layout.Info(m.id)) })
}

func TestDoubleAndTripleBounces(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, sender   string
		control        map[string]string
		from, to, line string
	}{
		{"double", "", nil, "#@[]", "postmaster@me.example.org", "bounce msg "},
		{"double elsewhere", "", map[string]string{"doublebounceto": "ops\n", "doublebouncehost": "h.org\n"}, "#@[]", "ops@h.org", "bounce msg "},
		{"double discarded", "", map[string]string{"doublebounceto": "\n"}, "", "", "double bounce: discarding bounce/"},
		{"triple", "#@[]", nil, "", "", "triple bounce: discarding bounce/"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, newHost(t, tc.control), newManualClock())
			r.connect()
			connectAgent(t, r.s, local, 0, byLocalPart)
			one := testMessage{id: id(1), sender: tc.sender, body: "x\n", recipients: []string{"d@loc.example.org"}}
			r.spool.accept(one)
			r.untilEmpty(t)
			r.log.await(t, tc.line+one.id.String())
			r.log.await(t, "end msg "+one.id.String())
			// With another recipient that waits, the discarding is remembered.
			two := testMessage{id: id(2), sender: tc.sender, body: "x\n", recipients: []string{"d@loc.example.org", "z@loc.example.org"}}
			r.spool.accept(two)
			r.log.await(t, tc.line+two.id.String())
			r.untilIdle(t)
			if p := r.host.readInfo(t, two); p.Unbounced != 0 || p.Failed != 1 {
				t.Errorf("progress is %+v", p)
			}
			if tc.to == "" {
				if n := len(r.spool.seen().bounces); n != 0 {
					t.Errorf("%d bounces", n)
				}
				return
			}
			b := r.spool.seen().bounces[0]
			if b.sender != tc.from || b.recipient != tc.to || !strings.Contains(b.body, "the bounce bounced!\n\n<d@loc.example.org>:\n") ||
				!strings.Contains(sameBoundary(b.body), "--- Below this line is the original bounce.\n\n--BOUNDARY\n") || !strings.Contains(b.body, "\nReturn-Path: <>\nx\n") {
				t.Errorf("bounce from <%s> to <%s> is\n%s", b.sender, b.recipient, b.body)
			}
		})
	}
}

// A bounce that is refused is tried again, by a later qmail-send too, with the
// same nonce, so that it cannot become two (R19).
func TestBounceRefusedThenRestart(t *testing.T) {
	t.Parallel()
	h, clock := newHost(t, map[string]string{"bouncemaxbytes": "0\n"}), newManualClock()
	m := testMessage{id: id(1), sender: "a@x.org", body: strings.Repeat("long body\n", 50_000), recipients: []string{"d@loc.example.org"}}
	first := newRig(t, h, clock)
	first.connect()
	connectAgent(t, first.s, local, 0, byLocalPart)
	first.spool.set(func() { first.spool.refuse = true })
	first.spool.accept(m)
	first.log.await(t, "warning: bounce of "+m.id.String()+": qmail-spool refuses it: ") // and why
	first.log.await(t, "warning: trouble injecting bounce message, will try later")
	first.untilIdle(t)
	again := testStart.Add(queueTrouble)
	clock.awaitWait(t, again)
	clock.advance(again)
	first.spool.until("a second try", func() bool { return first.spool.submitted == 2 })
	first.untilIdle(t)
	if p := h.readInfo(t, m); p.Unbounced != 1 {
		t.Fatalf("progress is %+v", p)
	}
	first.stop()

	second := newRig(t, h, clock)
	second.connect()
	loc := connectAgent(t, second.s, local, 0, byLocalPart)
	clock.advance(testStart.Add(time.Hour))
	second.spool.untilRemoved(m.id)
	if len(loc.recipients()) != 0 || len(second.spool.seen().bounces) != 1 || !strings.Contains(second.spool.seen().bounces[0].body, m.body) {
		t.Errorf("%d deliveries, %d bounces", len(loc.recipients()), len(second.spool.seen().bounces))
	}
	for _, nonce := range first.spool.seen().nonces {
		if nonce != second.spool.seen().bounces[0].nonce {
			t.Errorf("nonce %s of the first run, %s of the second", nonce, second.spool.seen().bounces[0].nonce)
		}
	}
	if len(first.spool.seen().nonces) != 2 {
		t.Errorf("%d tries in the first run", len(first.spool.seen().nonces))
	}
}

// Whoever comes after a crash delivers only to the recipients that are not
// known to be done (R18).
func TestRestartDeliversOnlyUndone(t *testing.T) {
	t.Parallel()
	h, clock := newHost(t, nil), newManualClock()
	m := testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{
		"k@loc.example.org", "none@loc.example.org", "d@loc.example.org", "z@loc.example.org"}}
	first := newRig(t, h, clock)
	first.connect()
	loc := connectAgent(t, first.s, local, 0, byLocalPart)
	first.spool.accept(m)
	loc.untilKept(1)
	first.log.await(t, "delivery 4: deferral")
	flush := clock.Now().Add(flushDelay)
	clock.awaitWait(t, flush)
	clock.advance(flush)
	first.until(t, "results on disk", func() bool {
		p, err := progress.Read(h.layout, m.id, 4)
		return err == nil && p.Delivered == 1 && p.Failed == 1
	})
	first.stop() // as by kill: nothing is written at the end

	second := newRig(t, h, clock)
	second.connect()
	loc = connectAgent(t, second.s, local, 0, always(spawn.Success, "ok\n"))
	second.spool.untilRemoved(m.id)
	if got := fmt.Sprint(loc.recipients()); got != "[none@loc.example.org z@loc.example.org]" {
		t.Errorf("the second run delivers to %s", got)
	}
	if n := len(second.spool.seen().bounces); n != 1 || second.spool.seen().queried == 0 {
		t.Errorf("%d bounces, %d queries", n, second.spool.seen().queried)
	}
	second.log.await(t, "end msg")
	if second.log.count("new msg") != 0 || second.log.count("end msg") != 1 {
		t.Errorf("log is\n%s", strings.Join(second.log.all(), "\n"))
	}
}

// Results that cannot be written stay in memory, nothing new starts for the
// message, and they are written later.
func TestProgressCannotBeWritten(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	loc := connectAgent(t, r.s, local, 0, byLocalPart)
	m := testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{"k@loc.example.org", "z@loc.example.org", "d@loc.example.org"}}
	r.until(t, "the end of the scan", func() bool { return !r.s.scan.running })
	r.host.blockProgress(t, true)
	r.spool.accept(m)
	r.log.await(t, "warning: open "+r.host.layout.Info(m.id)+": not a directory")
	r.log.await(t, "warning: trouble writing to info/01/"+m.id.String()+"; will try again later")
	again := testStart.Add(queueTrouble)
	r.clock.advance(testStart.Add(110 * time.Second)) // the deferred one is due, but must wait
	r.inside(func() {})
	other := testMessage{id: id(2), sender: "a@x.org", body: "x\n", recipients: []string{"k@loc.example.org"}}
	r.spool.accept(other)
	r.spool.untilRemoved(other.id)
	if n := len(loc.recipients()); n != 4 {
		t.Errorf("%d deliveries while results are not written, want 4", n)
	}
	r.host.blockProgress(t, false)
	r.clock.advance(again)
	r.spool.until("the bounce", func() bool { return len(r.spool.bounces) == 1 })
	r.untilIdle(t)
	if p := r.host.readInfo(t, m); p.Delivered != 1 || p.Failed != 1 || p.Unbounced != 0 {
		t.Errorf("progress is %+v", p)
	}
	if n := len(loc.recipients()); n < 4 || n > 5 {
		t.Errorf("%d deliveries", n)
	}
}

// When too many messages have results that cannot be written, nothing new
// starts, the log says so once, and it goes on by itself.
func TestTooManyResultsCannotBeWritten(t *testing.T) {
	t.Parallel()
	r := newRig(t, newHost(t, nil), newManualClock())
	r.connect()
	loc := connectAgent(t, r.s, local, 0, byLocalPart)
	r.until(t, "the end of the scan", func() bool { return !r.s.scan.running })
	r.host.blockProgress(t, true)
	for n := range maxStuck {
		r.spool.accept(testMessage{id: id(n), sender: "a@x.org", body: "x\n", recipients: []string{"k@loc.example.org", "z@loc.example.org"}})
	}
	r.log.await(t, "alert: results of 200 messages cannot be written")
	r.until(t, "all to be stuck", func() bool { return len(r.s.stuck) == maxStuck && r.s.atWork == 0 })
	last := testMessage{id: id(maxStuck), sender: "a@x.org", body: "x\n", recipients: []string{"k@loc.example.org"}}
	r.spool.accept(last)
	r.log.await(t, "new msg "+last.id.String())
	r.inside(func() {})
	if n := len(loc.recipients()); n != 2*maxStuck {
		t.Errorf("%d deliveries, want %d", n, 2*maxStuck)
	}
	r.host.blockProgress(t, false)
	r.clock.advance(testStart.Add(queueTrouble))
	r.spool.untilRemoved(last.id)
}

// A progress file with a damaged line sets the message aside and is kept (R16).
func TestDamagedProgress(t *testing.T) {
	t.Parallel()
	h, clock := newHost(t, nil), newManualClock()
	m := testMessage{id: id(1), sender: "a@x.org", body: "x\n", recipients: []string{"k1@loc.example.org", "k2@loc.example.org"}}
	h.queue(t, m)
	lines := append([]byte("damaged line\n"), queuedir.AppendDelivered(nil, []int{0})...)
	if err := os.WriteFile(h.layout.Info(m.id), lines, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(h.layout.Info(m.id), testStart, testStart); err != nil {
		t.Fatal(err)
	}
	clock.advance(m.id.Time())
	r := newRig(t, h, clock)
	r.connect()
	loc := connectAgent(t, r.s, local, 0, byLocalPart)
	r.log.await(t, "alert: message "+m.id.String()+" is damaged and is set aside: progress file: ")
	r.until(t, "an empty table", func() bool { return len(r.s.messages)+r.s.atWork == 0 && !r.s.scan.running })
	if len(loc.recipients()) != 0 || gone(h.layout.Info(m.id)+".bad") {
		t.Errorf("%d deliveries", len(loc.recipients()))
	}
}
