package smtpd

import (
	"slices"
	"strings"
	"testing"
)

// hello is how most dialogues begin; a script that needs no more starts there.
const hello = "S: 220 mx.example.org ESMTP\nC: EHLO client.example.net\nS: 250-*\n"

// transaction gets a session to where DATA is the next command.
const transaction = hello + `
	C: MAIL FROM:<joe@example.net>
	S: 250 2.1.0 ok
	C: RCPT TO:<jim@example.com>
	S: 250 2.1.5 ok
`

// bye ends a session.
const bye = "\nC: QUIT\nS: 221 2.0.0 mx.example.org\nS: <end>\n"

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
