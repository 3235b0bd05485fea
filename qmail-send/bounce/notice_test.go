package bounce

import (
	"strings"
	"testing"
	"time"
)

func TestParagraph(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, recipient, report, want string }{
		{"A.2", "q@x.sub.example.org", "hard\n\nerr\n", "<q@x.sub.example.org>:\nhard\n/err\n\n"},
		{"no LF at the end", "a@b", "no", "<a@b>:\nno\n\n"},
		{"empty report", "a@b", "", "<a@b>:\n\n"},
		{"only LF", "a@b", "\n", "<a@b>:\n\n\n"},
		{"many LF", "a@b", "x\n\n\n\ny\n", "<a@b>:\nx\n///y\n\n"},
		{"LF at the end twice", "a@b", "x\n\n", "<a@b>:\nx\n\n\n"},
		{"LF at the start", "a@b", "\nx\n", "<a@b>:\n/x\n\n"},
		{"LF in the recipient", "a\nb@c", "x\n", "<a_b@c>:\nx\n\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := Paragraph(tc.recipient, tc.report); got != tc.want {
				t.Errorf("paragraph = %q, want %q", got, tc.want)
			}
		})
	}
}

// What a notice says before and behind its recipients, to persons and to
// programs that know qmail's bounces (spec 2.6).
func TestNotice(t *testing.T) {
	t.Parallel()
	set := Settings{From: "MAILER-DAEMON", Host: "me.example.org", DoubleTo: "post master", DoubleHost: "dom.example.org"}
	at := time.Date(2026, 11, 2, 3, 4, 5, 0, time.UTC)
	delay := Notice{
		Settings: set, Kind: Delay, Sender: "jo@x.org", Arrival: at.Add(-4 * time.Hour), Short: true,
		Attempts: 7, Next: at.Add(time.Hour), Until: at.Add(164 * time.Hour),
	}
	for _, tc := range []struct {
		name     string
		notice   Notice
		from, to string
		text     string
	}{
		{
			name: "single", notice: New(set, "jo e@x.org"), from: "", to: "jo e@x.org",
			text: `Date: 2 Nov 2026 03:04:05 -0000
From: MAILER-DAEMON@me.example.org
To: "jo e"@x.org
Subject: failure notice
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="B"
Content-Transfer-Encoding: 8bit

Hi. This is the qmail-send program at me.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

--- Below this line is a copy of the message.

This is the mail server at me.example.org.

Your message could not be delivered to the following addresses. The server
will not try again. What went wrong:

A copy of your message comes with this notice.
Return-Path: <"jo e"@x.org>
`,
		},
		{name: "list", notice: New(set, "list-@h.org-@[]"), from: "", to: "list-@h.org"},
		{
			name: "double", notice: New(set, ""), from: "#@[]", to: "post master@dom.example.org",
			text: `Date: 2 Nov 2026 03:04:05 -0000
From: MAILER-DAEMON@me.example.org
To: "post master"@dom.example.org
Subject: failure notice
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="B"
Content-Transfer-Encoding: 8bit

Hi. This is the qmail-send program at me.example.org.
I tried to deliver a bounce message to this address, but the bounce bounced!

--- Below this line is the original bounce.

This is the mail server at me.example.org.

A notice of failure from this address could not be delivered to its sender:

A copy of that notice comes with this notice.
Return-Path: <>
`,
		},
		{
			name: "delay", notice: delay, from: "", to: "jo@x.org",
			text: `Date: 2 Nov 2026 03:04:05 -0000
From: MAILER-DAEMON@me.example.org
To: jo@x.org
Subject: delay notice
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="B"
Content-Transfer-Encoding: 8bit

This is the mail server at me.example.org.

Your message has not been delivered yet to the following addresses. You need
not send it again: the server goes on trying.

It came on 1 Nov 2026 23:04:05 -0000 and was tried 7 times.
The next attempt is on 2 Nov 2026 04:04:05 -0000, the last one on
8 Nov 2026 23:04:05 -0000. If that fails, too, you will be told.

The header of your message comes with this notice.
Return-Path: <jo@x.org>
`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n := tc.notice
			if from, to := n.envelope(); from != tc.from || to != tc.to {
				t.Errorf("envelope %q, %q; want %q, %q", from, to, tc.from, tc.to)
			}
			got := n.header(at, "B")
			if n.Kind != Delay {
				got += n.qsbmf() + n.separator()
			}
			before, behind := n.words()
			if got += before + behind + n.returned(); tc.text != "" && got != tc.text {
				t.Errorf("got\n%s\nwant\n%s", got, tc.text)
			}
		})
	}
}

// A report can neither end the list of failures nor add to it: QSBMF readers
// take paragraphs apart at empty lines.
func FuzzParagraph(f *testing.F) {
	f.Add("a@b", "hard\n\nerr\n")
	f.Add("a\n\nb", "\n\n")
	f.Fuzz(func(t *testing.T, recipient, report string) {
		p := Paragraph(recipient, report)
		if !strings.HasPrefix(p, "<") || !strings.HasSuffix(p, "\n\n") {
			t.Fatalf("%q", p)
		}
		if strings.Contains(strings.TrimRight(p, "\n"), "\n\n") {
			t.Fatalf("an empty line inside %q", p)
		}
	})
}
