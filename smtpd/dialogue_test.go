package smtpd

import (
	"slices"
	"strings"
	"testing"
)

// dialogue is a session over TCP with the daemon, and what the spool got.
type dialogue struct {
	name   string
	files  map[string]string
	script string
	queued []string
}

func runDialogues(t *testing.T, cases []dialogue) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := startHost(t, c.files)
			client := h.dial()
			client.play(c.script)
			client.conn.Close()
			h.stop()
			var got []string
			for _, m := range h.spool.messages() {
				got = append(got, m.String())
			}
			if !slices.Equal(got, c.queued) {
				t.Errorf("queued:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(c.queued, "\n  "))
			}
			if t.Failed() {
				t.Logf("log:\n%s", h.log)
			}
		})
	}
}

func TestFirst(t *testing.T) {
	runDialogues(t, []dialogue{{
		name: "a message",
		script: `
			S: 220 mx.example.org ESMTP
			C: EHLO client.example.net
			S: 250-mx.example.org|250-PIPELINING|250-SIZE 0|250-8BITMIME|250 ENHANCEDSTATUSCODES
			C: MAIL FROM:<joe@example.net> SIZE=100 BODY=8BITMIME
			S: 250 2.1.0 ok
			C: RCPT TO:<jim@example.com>
			S: 250 2.1.5 ok
			C: DATA
			S: 354 go ahead
			R: Subject: x\r\n\r\nhello\r\n.\r\n
			S: 250 2.0.0 ok *
			C: QUIT
			S: 221 2.0.0 mx.example.org
			S: <end>
		`,
		queued: []string{`Fjoe@example.net Tjim@example.com "Subject: x\n\nhello\n"`},
	}})
}
