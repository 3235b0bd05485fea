package qmailremote

import (
	"strings"
	"testing"
)

const hello = `S 220 peer ESMTP
	C EHLO me.example.org
	S 250-peer
	S 250 HELP
	`
const begun = hello + `C MAIL FROM:<s@x.example>
	S 250 sender ok
	C RCPT TO:<r@d.example>
	`
const toData = begun + `S 250 recipient ok
	C DATA
	`
const sent = toData + `S 354 go
	D Subject: x||hi
	`
const bye = `
	C QUIT
	S 221 bye`

const simpleMessage = "Subject: x\n\nhi\n"

// TestReplies has one peer whose dialogue goes wrong, or right, at one step.
func TestReplies(t *testing.T) {
	t.Parallel()
	const ip = "192.0.2.1"
	for _, c := range []struct {
		name   string
		script string
		want   string
	}{
		{"all is well", sent + "S 250 queued" + bye, "r|K192.0.2.1 accepted message./Remote host said: 250 queued/|"},
		{"multi-line final reply", sent + "S 250-one\nS 250 two" + bye, "r|K192.0.2.1 accepted message./Remote host said: 250-one/250 two/|"},
		{"another 2xx is success", sent + "S 299 fine" + bye, "r|K192.0.2.1 accepted message./Remote host said: 299 fine/|"},

		{"greeting 421", "S 421 busy", "ZConnected to 192.0.2.1 but greeting failed./Remote host said: 421 busy/|"},
		{"greeting 450", "S 450 later" + bye, "ZConnected to 192.0.2.1 but greeting failed./Remote host said: 450 later/|"},
		{"greeting 554 is temporary", "S 554 no" + bye, "ZConnected to 192.0.2.1 but greeting failed./Remote host said: 554 no/|"},
		{"greeting 250 is none", "S 250 hi" + bye, "ZConnected to 192.0.2.1 but greeting failed./Remote host said: 250 hi/|"},
		{"greeting is HTTP", "S HTTP/1.0 400 Bad", "ZConnected to 192.0.2.1 but greeting failed./Remote host said: HTTP/1.0 400 Bad/|"},
		{"closed before the greeting", ". close", "ZConnected to 192.0.2.1 but greeting failed./|"},
		{"closed inside the greeting", "S 220-hi", "ZConnected to 192.0.2.1 but greeting failed./Remote host said: 220-hi/|"},

		{"EHLO refused, HELO taken", "S 220 p\nC EHLO me.example.org\nS 502 what\nC HELO me.example.org\nS 250 hi\n" +
			strings.TrimPrefix(sent, hello) + "S 250 queued" + bye, "r|K192.0.2.1 accepted message./Remote host said: 250 queued/|"},
		{"EHLO 4xx, HELO taken", "S 220 p\nC EHLO me.example.org\nS 451 hm\nC HELO me.example.org\nS 250 hi\n" +
			strings.TrimPrefix(sent, hello) + "S 250 queued" + bye, "r|K192.0.2.1 accepted message./Remote host said: 250 queued/|"},
		{"HELO refused", "S 220 p\nC EHLO me.example.org\nS 502 what\nC HELO me.example.org\nS 550 you again" + bye,
			"ZConnected to 192.0.2.1 but my name was rejected./Remote host said: 550 you again/|"},
		{"EHLO 421", "S 220 p\nC EHLO me.example.org\nS 421 go", "ZConnected to 192.0.2.1 but my name was rejected./Remote host said: 421 go/|"},
		{"closed at EHLO", "S 220 p\nC EHLO me.example.org", "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/|"},

		{"MAIL 450", hello + "C MAIL FROM:<s@x.example>\nS 450 grey" + bye, "ZConnected to 192.0.2.1 but sender was rejected./Remote host said: 450 grey/|"},
		{"MAIL 550", hello + "C MAIL FROM:<s@x.example>\nS 550 spam" + bye, "DConnected to 192.0.2.1 but sender was rejected./Remote host said: 550 spam/|"},
		{"MAIL 421", hello + "C MAIL FROM:<s@x.example>\nS 421 bye", "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/Remote host said: 421 bye/|"},
		{"MAIL 3xx counts as success", hello + "C MAIL FROM:<s@x.example>\nS 350 odd\n" + strings.TrimPrefix(sent, hello+"C MAIL FROM:<s@x.example>\n\tS 250 sender ok\n\t") + "S 250 q" + bye,
			"r|K192.0.2.1 accepted message./Remote host said: 250 q/|"},
		{"MAIL garbage", hello + "C MAIL FROM:<s@x.example>\nS what", "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/Remote host said: what/|"},
		{"closed at MAIL", hello + "C MAIL FROM:<s@x.example>", "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/|"},
		{"reset at MAIL", hello + "C MAIL FROM:<s@x.example>\n! reset", "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/|"},

		{"RCPT 450", begun + "S 450 full" + bye, "s192.0.2.1 does not like recipient./Remote host said: 450 full/|DGiving up on 192.0.2.1./|"},
		{"RCPT 452 alone", begun + "S 452 full" + bye, "s192.0.2.1 does not like recipient./Remote host said: 452 full/|DGiving up on 192.0.2.1./|"},
		{"RCPT 550", begun + "S 550 who" + bye, "h192.0.2.1 does not like recipient./Remote host said: 550 who/|DGiving up on 192.0.2.1./|"},
		{"RCPT 552 alone", begun + "S 552 full" + bye, "h192.0.2.1 does not like recipient./Remote host said: 552 full/|DGiving up on 192.0.2.1./|"},
		{"RCPT 550 in two lines", begun + "S 550-who\nS 550 are you" + bye, "h192.0.2.1 does not like recipient./Remote host said: 550-who/550 are you/|DGiving up on 192.0.2.1./|"},
		{"RCPT 421", begun + "S 421 bye", "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/Remote host said: 421 bye/|"},
		{"closed at RCPT", begun + ". close", "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/|"},

		{"DATA 450", toData + "S 450 disk" + bye, "r|Z192.0.2.1 failed on DATA command./Remote host said: 450 disk/|"},
		{"DATA 554", toData + "S 554 none" + bye, "r|D192.0.2.1 failed on DATA command./Remote host said: 554 none/|"},
		{"DATA 250 is out of step", toData + "S 250 fine", "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/Remote host said: 250 fine/|"},
		{"DATA 421", toData + "S 421 bye", "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/Remote host said: 421 bye/|"},
		{"closed at DATA", toData + ". close", "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/|"},

		{"end 450", sent + "S 450 later" + bye, "r|Z192.0.2.1 failed after I sent the message./Remote host said: 450 later/|"},
		{"end 554", sent + "S 554 spam" + bye, "r|D192.0.2.1 failed after I sent the message./Remote host said: 554 spam/|"},
		{"end 421 is an answer", sent + "S 421 later", "r|Z192.0.2.1 failed after I sent the message./Remote host said: 421 later/|"},
		{"closed after the end", sent + ". close", "r|ZConnected to 192.0.2.1 but connection died. Possible duplicate! (#4.4.2)/|"},
		{"reset after the end", sent + "! reset", "r|ZConnected to 192.0.2.1 but connection died. Possible duplicate! (#4.4.2)/|"},
		{"closed inside the last reply", sent + "S- 25", "r|ZConnected to 192.0.2.1 but connection died. Possible duplicate! (#4.4.2)/Remote host said: 25/|"},
		{"garbage after the end", sent + "S ok", "r|ZConnected to 192.0.2.1 but connection died. Possible duplicate! (#4.4.2)/Remote host said: ok/|"},
		{"354 after the end", sent + "S 354 more", "r|ZConnected to 192.0.2.1 but connection died. Possible duplicate! (#4.4.2)/Remote host said: 354 more/|"},
		{"other code in the last reply", sent + "S 250-a\nS 550 b", "r|ZConnected to 192.0.2.1 but connection died. Possible duplicate! (#4.4.2)/Remote host said: 250-a/550 b/|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, "d.example. 60 IN MX 10 mx.d.example.", "mx.d.example. 60 IN A "+ip)
			h.peer(ip, script(c.script))
			if got := h.deliver(simpleMessage, "d.example", "r@d.example"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			h.end()
		})
	}
}
