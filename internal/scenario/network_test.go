package scenario

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/internal/testhost"
)

func TestMailGoesToTheHostThatTheZoneNames(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	a := mailHost(t, net, "mx1.example", "alice")
	b := mailHost(t, net, "mx2.example", "carol")
	b.Control("locals", "mx2.example", "dest.example")
	b.Control("rcpthosts", "mx2.example", "dest.example")
	b.Control("verifyrcpt", "0") // it bounces
	net.Zone().MX("dest.example", 10, "mx2.example")
	a.StartSuite()
	b.StartSuite()
	for i, to := range []string{"carol@dest.example", "carol@mx2.example"} {
		sendmail(a, "alice", []string{to}, letter(to, fmt.Sprint("n", i)))
		got := b.Maildir("carol").Wait(testhost.Within(t, soon), i+1)
		if !slices.ContainsFunc(got, func(m testhost.Message) bool {
			return m.Header("Delivered-To") == to && m.Header("Return-Path") == "<alice@mx1.example>"
		}) {
			t.Errorf("%s: got %v", to, got)
		}
	}
	waitEmpty(t, a)
	// The way back: nobody there, so a bounce is sent to the first host.
	sendmail(a, "alice", []string{"nobody@dest.example"}, letter("nobody@dest.example", "lost"))
	bounce := a.Maildir("alice").Wait(testhost.Within(t, soon), 1)[0]
	if !strings.Contains(bounce.Text, "<nobody@dest.example>:") || bounce.Header("Return-Path") != "<>" {
		t.Errorf("got %s", bounce.Text)
	}
	a.StopSuite()
	b.StopSuite()
}

// readReport prints what Python's email package finds in a multipart/report: the
// types of its parts, some fields, and the subject of the message.
const readReport = `
import email, email.policy, sys
m = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
assert m.get_content_type() == "multipart/report" and m.get_param("report-type") == "delivery-status", m["Content-Type"]
parts = list(m.iter_parts())
print(*[p.get_content_type() for p in parts])
message, recipient = parts[1].get_payload()
print("Reporting-MTA:", message["Reporting-MTA"])
for name in "Final-Recipient", "Action", "Status":
    print(name + ":", recipient[name])
original = parts[2].get_payload()
if isinstance(original, list):
    print("Subject:", original[0]["Subject"])
else:
    print("Subject:", email.message_from_string(parts[2].get_content())["Subject"])
`

// TestRetriesUntilTheLifetimeEnds moves the scheduler's clock along qmail's
// schedule (spec 2.5): remote attempts at ages 0, 400, 1600, 3600 ... seconds.
func TestRetriesUntilTheLifetimeEnds(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice")
	net.Host("closed.example") // nobody listens there
	h.Control("queuelifetime", "3000")
	h.Control("delaywarn", "1000")
	h.InstallMovedClock()
	h.StartSuite()
	const to = "x@closed.example"
	starts := func() int { return count(h, 0, "to remote "+to) }
	first := h.Log().Len()
	sendmail(h, "alice", []string{to}, letter(to, "never"))
	id := h.WaitForLog(first, `^new msg (\d+)$`)[1]
	h.WaitForLog(first, `^delivery \d+: deferral: `)
	for attempt, age := range []int{400, 1600, 3600} {
		h.MoveClock(time.Duration(age-5) * time.Second)
		barrier(t, h, "alice")
		if got := starts(); got != attempt+1 {
			t.Fatalf("%d attempts at age %d, want %d\n%s", got, age-5, attempt+1, h.Log().Timed(0))
		}
		first = h.Log().Len()
		h.MoveClock(time.Duration(age+1) * time.Second)
		h.WaitForLog(first, `^starting delivery \d+: msg `+id+` to remote `+to)
		h.WaitForLog(first, `^delivery \d+: (deferral|failure): `)
	}
	h.WaitForLog(first, `^bounce msg `+id+` qp \d+$`)
	h.WaitForLog(first, `^end msg `+id+`$`)
	waitEmpty(t, h)
	var bounce, delay testhost.Message
	for _, m := range h.Maildir("alice").Messages() {
		switch {
		case !strings.Contains(m.Text, "<"+to+">:"):
		case m.Header("Subject") == "delay notice":
			delay = m
		default:
			bounce = m
		}
	}
	parts := func(m testhost.Message) string {
		return h.MustRun(testhost.Command{Argv: []string{"/usr/bin/python3", "-c", readReport}, Stdin: m.Text})
	}
	reported := func(action string) string {
		return "text/plain message/delivery-status " + map[string]string{"failed": "message/rfc822", "delayed": "text/rfc822-headers"}[action] +
			"\nReporting-MTA: dns; mx1.example\nFinal-Recipient: rfc822; " + to + "\nAction: " + action + "\nStatus: 4.4.1\nSubject: never\n"
	}
	if got := parts(delay); got != reported("delayed") {
		t.Errorf("the delay notice is\n%s\n%s", got, delay.Text)
	}
	if got := parts(bounce); got != reported("failed") {
		t.Errorf("the bounce is\n%s\n%s", got, bounce.Text)
	}
	if count(h, 0, "delay msg "+id+" qp ") != 1 {
		t.Errorf("not one delay notice:\n%s", h.Log().Timed(0))
	}
	if bounce.Header("Subject") != "failure notice" || !regexp.MustCompile(`(?m)^I'm not going to try again; this message has been in the queue too long\.$`).MatchString(bounce.Text) {
		t.Errorf("got %s", bounce.Text)
	}
	h.StopSuite()
}

func TestDoubleBounceGoesToThePostmaster(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.StartSuite()
	sendmail(h, "alice", []string{"-f", "ghost@mx1.example", "nobody@mx1.example"}, letter("nobody", "lost"))
	got := h.MaildirAt("/var/qmail/alias/Maildir").Wait(testhost.Within(t, soon), 1)[0]
	if got.Header("Return-Path") != "<#@[]>" || !strings.Contains(got.Text, "<ghost@mx1.example>:") || !strings.Contains(got.Text, "<nobody@mx1.example>:") {
		t.Errorf("got %s", got.Text)
	}
	waitEmpty(t, h)
	h.StopSuite()
}

// TestACutLinkIsOnlyADelay cuts the destination off in the middle of a
// transaction and lets the message arrive later.
func TestACutLinkIsOnlyADelay(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice")
	far := net.Host("far.example")
	h.Control("timeoutremote", "1")
	sink := far.Sink(":25", func(verb, _ string) string {
		if verb == "MAIL" {
			far.Cut()
		}
		return testhost.Default
	})
	h.StartSuite()
	sendmail(h, "alice", []string{"x@far.example"}, letter("x@far.example", "late"))
	h.WaitForLog(0, `^delivery \d+: deferral: .*`)
	far.Restore()
	sink.SetScript(nil)
	if err := h.Suite().Signal(alarm); err != nil {
		t.Fatal(err)
	}
	got := sink.Wait(testhost.Within(t, soon), 1)[0]
	if got.Sender != "alice@mx1.example" || !strings.Contains(got.Text, "Subject: late\n") {
		t.Errorf("got %+v", got)
	}
	waitEmpty(t, h)
	h.StopSuite()
}
