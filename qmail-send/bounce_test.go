package qmailsend

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
			if got := paragraph(tc.recipient, tc.report); got != tc.want {
				t.Errorf("paragraph = %q, want %q", got, tc.want)
			}
		})
	}
}

// The whole text of a bounce, but for failures and message (spec 2.6).
func TestNotice(t *testing.T) {
	t.Parallel()
	set := bounceSettings{from: "MAILER-DAEMON", host: "me.example.org", doubleTo: "post master", doubleHost: "dom.example.org"}
	at := time.Date(2026, 11, 2, 3, 4, 5, 0, time.UTC)
	for _, tc := range []struct {
		name, sender      string
		from, to          string
		header, separator string
	}{
		{
			name: "single", sender: "jo e@x.org", from: "", to: "jo e@x.org",
			header: `Date: 2 Nov 2026 03:04:05 -0000
From: MAILER-DAEMON@me.example.org
To: "jo e"@x.org
Subject: failure notice

Hi. This is the qmail-send program at me.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

`,
			separator: "--- Below this line is a copy of the message.\n\nReturn-Path: <\"jo e\"@x.org>\n",
		},
		{
			name: "list", sender: "list-@h.org-@[]", from: "", to: "list-@h.org",
			header: "", separator: "--- Below this line is a copy of the message.\n\nReturn-Path: <list-@h.org>\n",
		},
		{
			name: "double", sender: "", from: "#@[]", to: "post master@dom.example.org",
			header: `Date: 2 Nov 2026 03:04:05 -0000
From: MAILER-DAEMON@me.example.org
To: "post master"@dom.example.org
Subject: failure notice

Hi. This is the qmail-send program at me.example.org.
I tried to deliver a bounce message to this address, but the bounce bounced!

`,
			separator: "--- Below this line is the original bounce.\n\nReturn-Path: <>\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n := newNotice(set, tc.sender)
			if from, to := n.envelope(); from != tc.from || to != tc.to {
				t.Errorf("envelope %q, %q; want %q, %q", from, to, tc.from, tc.to)
			}
			if got := n.head(at); tc.header != "" && got != tc.header {
				t.Errorf("head is\n%s\nwant\n%s", got, tc.header)
			}
			if got := n.separator(); got != tc.separator {
				t.Errorf("separator is %q, want %q", got, tc.separator)
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
		p := paragraph(recipient, report)
		if !strings.HasPrefix(p, "<") || !strings.HasSuffix(p, "\n\n") {
			t.Fatalf("%q", p)
		}
		if strings.Contains(strings.TrimRight(p, "\n"), "\n\n") {
			t.Fatalf("an empty line inside %q", p)
		}
	})
}
