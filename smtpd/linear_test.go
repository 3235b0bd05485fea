package smtpd

import (
	"postrider/internal/lineartest"
	"strings"
	"testing"
)

// R43: sessions of 4 MiB: lines of every kind, envelopes without an end,
// messages in lines and chunks.
func TestSessionsAreLinear(t *testing.T) {
	const mail = "EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<jim@example.com>\r\n"
	var inputs []lineartest.Input
	for _, head := range []string{"", mail, mail + "DATA\r\n", mail + "BDAT 99999999 LAST\r\n", "MAIL FROM:<a@b.c>\r\n"} {
		for _, unit := range []string{
			"\r\n", "\n", "\r", "a", ".\r\n", "..\r\n", "\r\n.", "\x00", "NOOP\r\n", "RSET\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<jim@example.com>\r\n", "RCPT TO:<x@example.net>\r\n",
			"RCPT TO:<" + strings.Repeat("\"", 4000) + ">\r\n", "MAIL FROM:<a@b.c>" + strings.Repeat(" A=B", 900) + "\r\n", "RCPT TO:<@" + strings.Repeat("a,@", 1000) + ":b@c>\r\n",
			"BDAT 0\r\n", "BDAT 1\r\na", "BDAT 3\r\n\r\n.", "Received: x\r\n", "AUTH PLAIN\r\n", "EHLO x\r\n", "GET / HTTP/1.1\r\n",
			"MAIL FROM:<a@" + strings.Repeat("é.", 300) + ">\r\n", "RCPT TO:<a@" + strings.Repeat("a.", 400) + ">\r\n", strings.Repeat("x", maxLine+10) + "\r\n",
		} {
			inputs = append(inputs, lineartest.Input{Head: head, Unit: unit})
		}
	}
	lineartest.Check(t, lineartest.Size, func(text string) {
		s, _ := newTestSession(&scriptedConn{pieces: []string{text}})
		s.lenient = true
		_ = s.run() // ends at the end of the input, one way or other
	}, inputs)
}

// R43: lines of the greatest length, and longer ones than there are.
func TestParsePathIsLinear(t *testing.T) {
	lineartest.Check(t, 256<<10, func(text string) {
		for _, form := range []string{"FROM:<" + text + ">", text, "FROM:" + text} {
			_, parameters, _ := parsePath(form, "FROM") // what it says does not matter here
			_, _ = parseMailParameters(parameters, true)
		}
		_, _ = parseMailParameters(text, true)
		_, _ = parseAttributes(text)
	}, lineartest.Units(`"`, `\`, "@", ".", "<", "a@", ":", " ", "@a,", "\xc3\xb6", "A=B ", "SIZE=1 ", "+2B", "=", "ADDR=1 "),
		lineartest.Around("FROM:<@h1,@h2:\"a b\"@x.org> SIZE=5 RET=HDRS ENVID=x", "ADDR=IPV6:::1 PORT=25 NAME=a+20b"))
}
