package qmailremote

import (
	"context"
	"strings"
	"testing"

	"postrider/internal/esmtp"
	"postrider/internal/wire/spawn"
)

// What the client said of a message and its recipients goes to a host that
// offers the extension, and to no other.
func TestFacts(t *testing.T) {
	t.Parallel()
	dsn := esmtp.Message{Return: esmtp.Headers, EnvelopeID: "QQ+2B"}
	wishes := []esmtp.Recipient{{Notify: esmtp.Success | esmtp.Failure, Original: "rfc822;o+2Bp@x"}, {}}
	never := []esmtp.Recipient{{Notify: esmtp.Never}}
	const rest = "C DATA\nS 354 go\nD |x\nS 250 queued" + bye
	const noUTF8 = "192.0.2.1 does not take addresses or header fields in UTF-8. (#5.6.7)/"
	for _, c := range []struct {
		name, sender, recipients, text, script string
		facts                                  esmtp.Message
		wishes                                 []esmtp.Recipient
		want                                   string
	}{
		{"DSN", "s@x", "a@d b@d", "\nx\n", offers("DSN") +
			"C MAIL FROM:<s@x> RET=HDRS ENVID=QQ+2B\nS 250 ok\n" +
			"C RCPT TO:<a@d> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o+2Bp@x\nS 250 ok\nC RCPT TO:<b@d>\nS 250 ok\n" + rest,
			dsn, wishes, "r|r|" + accepted1},
		{"DSN with SIZE, 8BITMIME and SMTPUTF8", "s@x", "a@d", "\nx\n", offers("DSN", "SIZE", "8BITMIME", "SMTPUTF8") +
			"C MAIL FROM:<s@x> SIZE=5 RET=HDRS ENVID=QQ+2B\nS 250 ok\nC RCPT TO:<a@d> NOTIFY=NEVER\nS 250 ok\n" + rest,
			dsn, never, "r|" + accepted1},
		{"no DSN", "s@x", "a@d b@d", "\nx\n", offers() +
			"C MAIL FROM:<s@x>\nS 250 ok\nC RCPT TO:<a@d>\nS 250 ok\nC RCPT TO:<b@d>\nS 250 ok\n" + rest,
			dsn, wishes, "r|r|" + accepted1},
		{"the second transaction of a server that is crowded", "s@x", "b@d a@d", "\nx\n", offers("DSN") +
			"C MAIL FROM:<s@x>\nS 250 ok\nC RCPT TO:<b@d> NOTIFY=DELAY\nS 250 ok\nC RCPT TO:<a@d> NOTIFY=NEVER\nS 452 later\n" +
			"C DATA\nS 354 go\nD |x\nS 250 queued\nC MAIL FROM:<s@x>\nS 250 ok\nC RCPT TO:<a@d> NOTIFY=NEVER\nS 250 ok\n" + rest,
			esmtp.Message{}, []esmtp.Recipient{{Notify: esmtp.Delay}, {Notify: esmtp.Never}}, "r|r|" + accepted1},
		{"a recipient that no command can carry keeps its wishes to itself", "s@x", "a@d> b@d", "\nx\n", offers("DSN") +
			"C MAIL FROM:<s@x>\nS 250 ok\nC RCPT TO:<b@d> NOTIFY=NEVER\nS 250 ok\n" + rest,
			esmtp.Message{}, []esmtp.Recipient{{Notify: esmtp.Delay}, {Notify: esmtp.Never}},
			"hSorry, this address cannot be sent by SMTP. (#5.1.3)/|r|" + accepted1},

		{"SMTPUTF8 for addresses", "jörg@x", "jürgen@d", "\nx\n", offers("SMTPUTF8", "DSN") +
			"C MAIL FROM:<\"jörg\"@x> SMTPUTF8\nS 250 ok\nC RCPT TO:<\"jürgen\"@d> ORCPT=utf-8;ö@x\nS 250 ok\n" + rest,
			esmtp.Message{UTF8: true}, []esmtp.Recipient{{Original: "utf-8;ö@x"}}, "r|" + accepted1},
		{"SMTPUTF8 for the header", "s@x", "a@d", "Subject: \xc3\xb6\n\nx\n", offers("SMTPUTF8") +
			"C MAIL FROM:<s@x> SMTPUTF8\nS 250 ok\nC RCPT TO:<a@d>\nS 250 ok\nC DATA\nS 354 go\nD Subject: \xc3\xb6||x\nS 250 queued" + bye,
			esmtp.Message{UTF8: true}, nil, "r|" + accepted1},
		{"nothing in it needs SMTPUTF8", "s@x", "a@d", "\nx\n", offers("SMTPUTF8") +
			"C MAIL FROM:<s@x>\nS 250 ok\nC RCPT TO:<a@d>\nS 250 ok\n" + rest,
			esmtp.Message{UTF8: true}, nil, "r|" + accepted1},
		{"no SMTPUTF8, and nothing needs it", "s@x", "a@d", "A: b\n\nx\xc3\xb6\n", offers() +
			"C MAIL FROM:<s@x>\nS 250 ok\nC RCPT TO:<a@d>\nS 250 ok\nC DATA\nS 354 go\nD A: b|MIME-Version: 1.0|Content-Type: text/plain; charset=unknown-8bit|Content-Transfer-Encoding: quoted-printable||x=C3=B6\nS 250 queued" + bye,
			esmtp.Message{UTF8: true}, []esmtp.Recipient{{Original: "utf-8;ö@x"}}, "r|" + accepted1},
		{"no SMTPUTF8: a domain goes in ASCII", "s@müller.example", "a@bücher.example", "\nx\n", offers() +
			"C MAIL FROM:<s@xn--mller-kva.example>\nS 250 ok\nC RCPT TO:<a@xn--bcher-kva.example>\nS 250 ok\n" + rest,
			esmtp.Message{UTF8: true}, nil, "r|" + accepted1},
		{"no SMTPUTF8: one recipient", "s@x", "jürgen@d a@d", "\nx\n", offers("DSN") +
			"C MAIL FROM:<s@x>\nS 250 ok\nC RCPT TO:<a@d> NOTIFY=NEVER\nS 250 ok\n" + rest,
			esmtp.Message{UTF8: true}, []esmtp.Recipient{{}, {Notify: esmtp.Never}}, "h" + noUTF8 + "|r|" + accepted1},
		{"no SMTPUTF8: every recipient", "s@x", "jürgen@d", "\nx\n", offers() + strings.TrimPrefix(bye, "\n"),
			esmtp.Message{UTF8: true}, nil, "h" + noUTF8 + "|DGiving up./|"},
		{"no SMTPUTF8: the sender", "jörg@x", "a@d", "\nx\n", offers() + strings.TrimPrefix(bye, "\n"),
			esmtp.Message{UTF8: true}, nil, "D" + noUTF8 + "|"},
		{"no SMTPUTF8: the header", "s@x", "a@d", "Subject: \xc3\xb6\n\nx\n", offers() + strings.TrimPrefix(bye, "\n"),
			esmtp.Message{UTF8: true}, nil, "D" + noUTF8 + "|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, oneMX...)
			h.peer("192.0.2.1", script(c.script))
			m := mail{sender: addr(t, c.sender), recipients: recipients(t, strings.Fields(c.recipients)...), facts: c.facts, wishes: c.wishes, body: message(t, c.text)}
			o, err := h.client.deliver(context.Background(), "d.example", m)
			if err != nil || show(o) != c.want {
				t.Errorf("got  %s, %v\nwant %s", show(o), err, c.want)
			}
			h.end()
		})
	}
}

// The header is looked at wherever pieces are cut.
func TestEightBitHeader(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"A: \xc3\xb6\n\nx": true, "A: b\n\n\xc3\xb6": false, "\n\xc3\xb6": false, "\xc3\xb6": true, "": false,
		"A: b\nC: \xc3\xb6\n": true, strings.Repeat("A: b\n", 4000) + "C: \xc3\xb6\n\n": true, strings.Repeat("A: b\n", 4000) + "\n\xc3\xb6": false,
		strings.Repeat("x", pieceSize-1) + "\n\n\xc3\xb6": false, strings.Repeat("x", pieceSize-2) + "\n\n\xc3\xb6": false,
	} {
		if got := message(t, text).eightBitHeader; got != want {
			t.Errorf("%.40q (%d octets): %v", text, len(text), got)
		}
	}
}

// A server with DSN tells the sender what he wants to hear; of any other,
// qmail-send does.
func TestPassedOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, extension string
		want            []spawn.Class
	}{
		{"with DSN", "DSN", []spawn.Class{spawn.PassedOn, spawn.Success, spawn.Failure}},
		{"without", "SIZE=0", []spawn.Class{spawn.Success, spawn.Success, spawn.Failure}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			notify := ""
			if c.extension == "DSN" {
				notify = " NOTIFY=SUCCESS"
			}
			h := newHost(t, oneMX...)
			h.peer("192.0.2.1", script(offers(c.extension)+"C MAIL FROM:<s@x>\nS 250 ok\nC RCPT TO:<a@d>"+notify+"\nS 250 ok\n"+
				"C RCPT TO:<b@d>\nS 250 ok\nC RCPT TO:<c@d>"+notify+"\nS 550 no\nC DATA\nS 354 go\nD |x\nS 250 queued"+bye))
			m := mail{
				sender: addr(t, "s@x"), recipients: recipients(t, "a@d", "b@d", "c@d"), body: message(t, "\nx\n"),
				wishes: []esmtp.Recipient{{Notify: esmtp.Success}, {}, {Notify: esmtp.Success}},
			}
			o, err := h.client.deliver(context.Background(), "d.example", m)
			if err != nil {
				t.Fatal(err)
			}
			h.end()
			for i, r := range results(spawn.Job{Recipients: make([]spawn.Recipient, 3)}, o) {
				if r.Class != c.want[i] {
					t.Errorf("recipient %d: %c, want %c: %s", i, r.Class, c.want[i], r.Text)
				}
			}
		})
	}
}
