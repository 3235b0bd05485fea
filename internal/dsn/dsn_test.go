package dsn

import (
	"strings"
	"testing"
	"time"
)

var at = time.Date(2026, 11, 22, 0, 37, 36, 0, time.UTC)

func TestFields(t *testing.T) {
	t.Parallel()
	m := Message{Reporter: "mx.example.org", EnvelopeID: "Q+2BQ", Arrival: at}
	want := `Reporting-MTA: dns; mx.example.org
Original-Envelope-Id: Q+Q
Arrival-Date: 22 Nov 2026 00:37:36 -0000

`
	if got := string(m.Append(nil)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, c := range []struct {
		r    Recipient
		want string
	}{
		{
			Recipient{
				Original: "rfc822;jo+2Be@x.org", Final: "jo@y.org", Action: Failed, Attempt: at,
				Reply: Parse("192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 who?\nGiving up on 192.0.2.1.\n", true),
			}, `Original-Recipient: rfc822; jo+e@x.org
Final-Recipient: rfc822; jo@y.org
Action: failed
Status: 5.1.1
Remote-MTA: dns; [192.0.2.1]
Diagnostic-Code: smtp; 550 5.1.1 who? Giving up on 192.0.2.1.
Last-Attempt-Date: 22 Nov 2026 00:37:36 -0000

`,
		}, {
			Recipient{
				Original: "utf-8;\\x{7231}@x.org", Final: "爱+e@x.org", Action: Delayed, Attempt: at, Until: at.Add(time.Hour),
				Reply: Parse("Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n", false),
			}, `Original-Recipient: utf-8; \x{7231}@x.org
Final-Recipient: utf-8; \x{7231}\x{2B}e@x.org
Action: delayed
Status: 4.4.1
Diagnostic-Code: x-postrider; Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)
Last-Attempt-Date: 22 Nov 2026 00:37:36 -0000
Will-Retry-Until: 22 Nov 2026 01:37:36 -0000

`,
		},
	} {
		if got := string(c.r.Append(nil)); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		report    string
		permanent bool
		status    string
		host      string
		smtp      bool
	}{
		{"Sorry, no mailbox here by that name. (#5.1.1)\n", true, "5.1.1", "", false},
		{"no such user\n", true, "5.0.0", "", false},
		{"not now\n", false, "4.0.0", "", false},
		{"Uses (#9.1.1) and (#5.1)\n", true, "5.0.0", "", false},
		{"An (#5.2.2 without end", true, "5.0.0", "", false},
		{"two (#5.2.2) of them (#5.7.1)\n", true, "5.7.1", "", false},
		{"2001:db8::1 failed after I sent the message.\nRemote host said: 554 no\n", true, "5.0.0", "IPv6:2001:db8::1", true},
		{"192.0.2.1 does not like recipient.\nRemote host said: 450-4.2.0 wait\n450 4.2.0 more\n", false, "4.2.0", "192.0.2.1", true},
		{"mx.example does not like recipient.\nRemote host said: 550 5.1.1 no\n", true, "5.1.1", "", true},
		{"192.0.2.1 says odd things.\nRemote host said: hello (#5.5.0)\n", true, "5.5.0", "", false},
		{"1.2.3.4 is slow.\nRemote host said: 451 4.4.1 x\nI'm not going to try again.\n", true, "4.4.1", "1.2.3.4", true},
		{"", false, "4.0.0", "", false},
	} {
		if got := Parse(c.report, c.permanent); got.Status != c.status || got.Host != c.host || got.SMTP != c.smtp {
			t.Errorf("%q: %+v", c.report, got)
		}
	}
}

// Whatever agents and clients say, there are only fields, each one line of
// printable ASCII, and one empty line at the end.
func FuzzRecipient(f *testing.F) {
	f.Add("rfc822;a+2Bb@c", "a@b", "1.2.3.4 x\nRemote host said: 550 5.1.1 x\n\ny\n", true)
	f.Add("utf-8;\xff", "\x00\n爱@b", "\nRemote host said: 4", false)
	f.Fuzz(func(t *testing.T, original, final, report string, permanent bool) {
		r := Recipient{Original: original, Final: final, Action: Failed, Reply: Parse(report, permanent), Attempt: at}
		text := string(r.Append(Message{Reporter: final, EnvelopeID: original, Arrival: at}.Append(nil)))
		groups := strings.SplitAfter(text, "\n\n")
		if len(groups) != 3 || groups[2] != "" {
			t.Fatalf("%d groups in %q", len(groups)-1, text)
		}
		for line := range strings.Lines(strings.ReplaceAll(text, "\n\n", "\n")) {
			name, _, found := strings.Cut(line, ": ")
			if !found || strings.ContainsAny(name, " ") || len(line) > 998 {
				t.Fatalf("%q is no field", line)
			}
			for i := range len(line) - 1 {
				if line[i] < ' ' || line[i] > '~' {
					t.Fatalf("%q is not printable", line)
				}
			}
		}
		if !isStatus(r.Status) {
			t.Fatalf("status %q of %q", r.Status, report)
		}
	})
}
