package smtpd

import (
	"strings"
	"testing"
)

func TestCommands(t *testing.T) {
	t.Parallel()
	runDialogues(t, []dialogue{
		{
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
			` + bye,
			queued: []string{`Fjoe@example.net Tjim@example.com "Subject: x\n\nhello\n"`},
		},
		{
			name: "HELO is one line",
			script: `
				S: 220 mx.example.org ESMTP
				C: HELO client.example.net
				S: 250 mx.example.org
			` + bye,
		},
		{
			name: "no HELO is needed",
			script: `
				S: 220 mx.example.org ESMTP
				C: MAIL FROM:<joe@example.net>
				S: 250 2.1.0 ok
				C: RCPT TO:<jim@example.com>
				S: 250 2.1.5 ok
				C: DATA
				S: 354 go ahead
				R: x\r\n.\r\n
				S: 250 2.0.0 ok *
			` + bye,
			queued: []string{`Fjoe@example.net Tjim@example.com "x\n"`},
		},
		{
			name: "verbs in any case, blanks behind them",
			script: hello + `
				C: mAiL   from:<joe@example.net>  
				S: 250 2.1.0 ok
				C: rcpt to:<jim@example.com>
				S: 250 2.1.5 ok
				C: data 
				S: 354 go ahead
				R: x\r\n.\r\n
				S: 250 2.0.0 ok *
			` + bye,
			queued: []string{`Fjoe@example.net Tjim@example.com "x\n"`},
		},
		{
			name: "command lines may end with LF alone",
			script: `
				S: 220 mx.example.org ESMTP
				R: HELO x\nMAIL FROM:<joe@example.net>\nRCPT TO:<jim@example.com>\n
				S: 250 mx.example.org
				S: 250 2.1.0 ok
				S: 250 2.1.5 ok
			` + bye,
		},
		{
			name: "the small verbs",
			script: hello + `
				C: NOOP
				S: 250 2.0.0 ok
				C: NOOP whatever
				S: 250 2.0.0 ok
				C: VRFY joe
				S: 252 2.0.0 send some mail, i'll try my best
				C: HELP
				S: 214 2.0.0 *
				C: RSET
				S: 250 2.0.0 flushed
				C: EXPN list
				S: 502 5.5.1 unimplemented (#5.5.1)
				C: STARTTLS
				S: 502 5.5.1 unimplemented (#5.5.1)
				C: AUTH PLAIN
				S: 502 5.5.1 unimplemented (#5.5.1)
				C: BDAT 5 LAST
				S: 502 5.5.1 unimplemented (#5.5.1)
				C: MAILFROM:<x@y>
				S: 502 5.5.1 unimplemented (#5.5.1)
			` + bye,
		},
		{
			name: "order of commands",
			script: hello + `
				C: RCPT TO:<jim@example.com>
				S: 503 5.5.1 MAIL first (#5.5.1)
				C: DATA
				S: 503 5.5.1 MAIL first (#5.5.1)
				C: MAIL FROM:<joe@example.net>
				S: 250 2.1.0 ok
				C: DATA
				S: 503 5.5.1 RCPT first (#5.5.1)
				C: RCPT TO:<jim@example.net>
				S: 553 5.7.1 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)
				C: DATA
				S: 503 5.5.1 RCPT first (#5.5.1)
				C: RSET
				S: 250 2.0.0 flushed
				C: RCPT TO:<jim@example.com>
				S: 503 5.5.1 MAIL first (#5.5.1)
			` + bye,
		},
		{
			name: "HELO, EHLO and RSET end a transaction",
			script: transaction + `
				C: HELO x
				S: 250 mx.example.org
				C: DATA
				S: 503 5.5.1 MAIL first (#5.5.1)
				C: MAIL FROM:<joe@example.net>
				S: 250 2.1.0 ok
				C: EHLO x
				S: 250-*
				C: RCPT TO:<jim@example.com>
				S: 503 5.5.1 MAIL first (#5.5.1)
			` + bye,
		},
		{
			name: "a second MAIL starts again",
			script: transaction + `
				C: MAIL FROM:<ann@example.net>
				S: 250 2.1.0 ok
				C: DATA
				S: 503 5.5.1 RCPT first (#5.5.1)
				C: RCPT TO:<bob@example.com>
				S: 250 2.1.5 ok
				C: DATA
				S: 354 go ahead
				R: x\r\n.\r\n
				S: 250 2.0.0 ok *
			` + bye,
			queued: []string{`Fann@example.net Tbob@example.com "x\n"`},
		},
		{
			name: "a refused MAIL leaves the transaction as it was",
			script: transaction + `
				C: MAIL FROM:<a@b> FOO=bar
				S: 555 5.5.4 unrecognised parameter (#5.5.4)
				C: DATA
				S: 354 go ahead
				R: x\r\n.\r\n
				S: 250 2.0.0 ok *
			` + bye,
			queued: []string{`Fjoe@example.net Tjim@example.com "x\n"`},
		},
		{
			name: "two messages, several recipients, refused ones left out",
			script: transaction + `
				C: RCPT TO:<foreign@example.net>
				S: 553 5.7.1 *
				C: RCPT TO:<ann@a.sub.example.com>
				S: 250 2.1.5 ok
				C: DATA
				S: 354 go ahead
				R: one\r\n.\r\n
				S: 250 2.0.0 ok *
				C: RCPT TO:<jim@example.com>
				S: 503 5.5.1 MAIL first (#5.5.1)
				C: MAIL FROM:<>
				S: 250 2.1.0 ok
				C: RCPT TO:<jim@example.com>
				S: 250 2.1.5 ok
				C: DATA
				S: 354 go ahead
				R: two\r\n.\r\n
				S: 250 2.0.0 ok *
			` + bye,
			queued: []string{
				`Fjoe@example.net Tjim@example.com Tann@a.sub.example.com "one\n"`,
				`F Tjim@example.com "two\n"`,
			},
		},
		{
			name: "the same recipient twice is kept twice",
			script: transaction + `
				C: RCPT TO:<jim@example.com>
				S: 250 2.1.5 ok
				C: DATA
				S: 354 go ahead
				R: x\r\n.\r\n
				S: 250 2.0.0 ok *
			` + bye,
			queued: []string{`Fjoe@example.net Tjim@example.com Tjim@example.com "x\n"`},
		},
		{
			name: "arguments where none belong",
			script: transaction + `
				C: DATA now
				S: 501 5.5.4 no parameters allowed (#5.5.4)
				C: RSET now
				S: 501 5.5.4 no parameters allowed (#5.5.4)
				C: QUIT now
				S: 501 5.5.4 no parameters allowed (#5.5.4)
			` + bye,
		},
		{
			name: "control characters in a command",
			script: hello + `
				R: MAIL FROM:<a\x00b@c.d>\r\n
				S: 500 5.5.2 *
				R: MAIL FROM:<a\rb@c.d>\r\n
				S: 500 5.5.2 *
				R: NOOP\r\r\n
				S: 500 5.5.2 *
				R: NOOP \x7f\r\n
				S: 500 5.5.2 *
				R: \x1bNOOP\r\n
				S: 500 5.5.2 *
				C: DATA
				S: 503 5.5.1 MAIL first (#5.5.1)
			` + bye,
		},
		{
			name: "a host name that is too long",
			script: `
				S: 220 mx.example.org ESMTP
				C: EHLO ` + strings.Repeat("x", 900) + `
				S: 501 5.5.4 that is no host name (#5.5.4)
			` + bye,
		},
		{
			name:   "a greeting of its own",
			files:  map[string]string{"smtpgreeting": "mail.example.org no UBE\n"},
			script: "S: 220 mail.example.org no UBE ESMTP\nC: HELO x\nS: 250 mail.example.org no UBE\nC: QUIT\nS: 221 2.0.0 mail.example.org no UBE\nS: <end>",
		},
		{
			name: "a pipelined group",
			script: hello + `
				R: MAIL FROM:<joe@example.net>\r\nRCPT TO:<jim@example.com>\r\nRCPT TO:<x@example.net>\r\nNOOP\r\nDATA\r\n
				S: 250 2.1.0 ok
				S: 250 2.1.5 ok
				S: 553 5.7.1 *
				S: 250 2.0.0 ok
				S: 354 go ahead
				R: one\r\n.\r\nRSET\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n
				S: 250 2.0.0 ok *
				S: 250 2.0.0 flushed
				S: 250 2.1.0 ok
				S: 250 2.1.5 ok
				S: 354 go ahead
				R: two\r\n.\r\nQUIT\r\n
				S: 250 2.0.0 ok *
				S: 221 2.0.0 *
				S: <end>
			`,
			queued: []string{`Fjoe@example.net Tjim@example.com "one\n"`, `F Tbob@example.com "two\n"`},
		},
		{
			name: "message text before 354 is no message",
			script: hello + `
				R: MAIL FROM:<joe@example.net>\r\nRCPT TO:<jim@example.com>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n
				S: 250 2.1.0 ok
				S: 250 2.1.5 ok
				S: 554 5.5.0 you sent more before I answered (#5.5.0)
				S: <end>
			`,
		},
		{
			name: "message text behind a refused DATA is not run",
			script: hello + `
				R: MAIL FROM:<joe@example.net>\r\nRCPT TO:<x@example.net>\r\nDATA\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<jim@example.com>\r\nDATA\r\n
				S: 250 2.1.0 ok
				S: 553 5.7.1 *
				S: 554 5.5.0 *
				S: <end>
			`,
		},
		{
			name: "many unknown commands",
			script: hello + strings.Repeat("C: WIZ\nS: 502 5.5.1 *\n", maxUnknown) + `
				C: WIZ
				S: 421 4.7.0 too many commands without mail, goodbye (#4.7.0)
				S: <end>
			`,
		},
		{
			name:   "many commands without mail",
			script: hello + strings.Repeat("C: NOOP\nS: 250 2.0.0 ok\n", maxIdleCommands-1) + "C: NOOP\nS: 421 4.7.0 *\nS: <end>",
		},
		{
			name:   "many recipients are no reason to hang up",
			script: transaction + strings.Repeat("C: RCPT TO:<jim@example.com>\nS: 250 2.1.5 ok\n", 2*maxIdleCommands) + bye,
		},
		{
			name:  "too many recipients",
			files: map[string]string{"maxrcpt": "2\n"},
			script: transaction + `
				C: RCPT TO:<ann@example.com>
				S: 250 2.1.5 ok
				C: RCPT TO:<bob@example.com>
				S: 452 4.5.3 *
				C: DATA
				S: 354 go ahead
				R: x\r\n.\r\n
				S: 250 2.0.0 ok *
			` + bye,
			queued: []string{`Fjoe@example.net Tjim@example.com Tann@example.com "x\n"`},
		},
		{
			name:   "an HTTP client",
			script: "S: 220 *\nC: POST / HTTP/1.1\nS: 554 5.5.0 this is a mail server (#5.5.0)\nS: <end>",
		},
		{
			name:   "an HTTP request whose body holds commands",
			script: `S: 220 *` + "\n" + `R: GET / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<jim@example.com>\r\nDATA\r\nx\r\n.\r\n` + "\nS: 554 5.5.0 *\nS: <end>",
		},
		{
			name:   "a header field first",
			script: "S: 220 *\nC: Host: mx.example.org\nS: 554 5.5.0 *\nS: <end>",
		},
		{
			name:   "a TLS client",
			script: `S: 220 *` + "\n" + `R: \x16\x03\x01\x02\x00\x01\x00\x01` + "\nS: 554 5.5.0 *\nS: <end>",
		},
	})
}

func TestLongLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLine)
	runDialogues(t, []dialogue{
		{
			name: "a line over the limit is refused as a whole",
			script: hello + `
				C: NOOP ` + long + `
				S: 500 5.5.2 line too long (#5.5.2)
				C: NOOP ` + strings.Repeat(long, 20) + `QUIT
				S: 500 5.5.2 line too long (#5.5.2)
				C: NOOP ` + strings.Repeat("x", maxLine-7) + `
				S: 250 2.0.0 ok
			` + bye,
		},
		{
			name: "nothing behind the limit is a command of its own",
			script: hello + `
				C: NOOP ` + strings.Repeat("x", smallBuffer-5) + `MAIL FROM:<a@b.c>
				S: 500 5.5.2 line too long (#5.5.2)
				C: RCPT TO:<jim@example.com>
				S: 503 5.5.1 *
			` + bye,
		},
	})
}
