package smtpd

import (
	"strings"
	"testing"

	"postrider/internal/address"
	"postrider/internal/esmtp"
)

// FuzzSession feeds a whole conversation in two pieces: whatever is queued
// has a sound envelope for domains of ours only, and a sound Received line.
func FuzzSession(f *testing.F) {
	begin := "EHLO x\r\nMAIL FROM:<a@b.c> SIZE=5\r\nRCPT TO:<jim@example.com>\r\nDATA\r\n"
	for _, seed := range []string{
		begin + "x\r\n.\r\nQUIT\r\n",
		begin + "x\n.\nMAIL FROM:<>\r\nRCPT TO:<jim@example.com>\r\nDATA\r\n.\r\n.\r\n",
		begin + "Received: x\r\n\r\n..\r\n.\r\nRSET\r\nNOOP x\r\n",
		"HELO\nMAIL\nRCPT TO:<@a,@b:\"x y\"@a.sub.example.com>\nDATA\n\r\n.\r\n",
		"MAIL FROM:<\"\\\"\\\\\"@x.y>\r\nRCPT TO:jim%evil.net@example.com\r\nDATA\r\n.\r\n",
		"EHLO x\r\nMAIL FROM:<\xc3\xb6@b.c> SMTPUTF8 RET=HDRS ENVID=x\r\nRCPT TO:<jim@example.com> NOTIFY=NEVER ORCPT=utf-8;\xc3\xb6\r\nBDAT 3\r\na\r\nBDAT 5 LAST\r\nb\n\r\r\nQUIT\r\n",
		"BDAT 10\r\nMAIL FROM:MAIL FROM:<>\r\nRCPT TO:<jim@example.com>\r\nBDAT 4\r\nQUITBDAT 0 LAST\r\n",
		"MAIL FROM:<>\r\nRCPT TO:<jim@example.com>\r\nBDAT 1 x\r\nyBDAT 99999999999999999999\r\n",
		"MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<jim@example.com>\r\nBDAT 40 LAST\r\nContent-Transfer-Encoding: binary\r\n\r\n\r\x00\nQUIT\r\n",
		"MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<jim@example.com>\r\nBDAT 50\r\nContent-Type: multipart/x; boundary=b\r\n\r\n--b\r\n\r\nBDAT 9 LAST\r\n\r\n--b--\r\n",
		"GET / HTTP/1.1\r\n\r\n" + begin,
		strings.Repeat("x", maxLine) + "\r\n" + begin,
	} {
		f.Add(seed, len(seed)/2)
	}
	f.Fuzz(func(t *testing.T, input string, split int) {
		if split < 0 || split > len(input) {
			split = len(input)
		}
		s, q := newTestSession(&scriptedConn{pieces: []string{input[:split], input[split:]}})
		s.lenient = true
		_ = s.run() // ends at the end of input, one way or other
		if used := s.lent.used.Load(); used != 0 {
			t.Fatalf("%d octets are still lent", used)
		}
		for _, m := range q.taken {
			checkQueued(t, s, m)
		}
		if n := strings.Count(input, "\r\n.\r\n") + strings.Count(strings.ToUpper(input), "LAST") + 1; len(q.taken) > n {
			t.Fatalf("%d messages from %d ends", len(q.taken), n)
		}
		whole, w := newTestSession(&scriptedConn{pieces: []string{input}})
		whole.lenient = true
		said := &hearing{conn: whole.conn}
		whole.conn, whole.in.conn = said, said
		_ = whole.run()
		if got, want := shown(q), shown(w); got != want {
			t.Fatalf("split at %d: queued %s, whole: %s", split, got, want)
		}
	})
}

func checkQueued(t *testing.T, s *session, m queuedMessage) {
	t.Helper()
	records := strings.Split(m.envelope, "\x00")
	if len(records) < 4 || records[0] == "" || records[0][0] != 'F' || records[len(records)-1] != "" || records[len(records)-2] != "" {
		t.Fatalf("envelope %q", m.envelope)
	}
	var message esmtp.Message
	for i, record := range records[:len(records)-2] {
		switch {
		case esmtp.IsMessageRecord(record[0]):
			if err := message.Take(record[0], record[1:]); err != nil {
				t.Fatalf("record %q: %v", record, err)
			}
			continue
		case esmtp.IsRecipientRecord(record[0]):
			if err := new(esmtp.Recipient).Take(record[0], record[1:]); err != nil {
				t.Fatalf("record %q: %v", record, err)
			}
			continue
		}
		a, err := address.New(record[1:])
		if err != nil || (i > 0) != (record[0] == 'T') || !isASCII(record) && !strings.Contains(m.envelope, "\x00U\x00") {
			t.Fatalf("record %q: %v", record, err)
		}
		if i == 0 {
			continue
		}
		if takes, err := s.settings.hosts.Takes(a); !takes || err != nil {
			t.Fatalf("recipient %q is not ours", a)
		}
	}
	first, rest, _ := strings.Cut(m.text, "\n")
	second, _, _ := strings.Cut(rest, "\n")
	second = strings.Replace(second, "with UTF8SMTP; ", "with SMTP; ", 1)
	if !strings.HasPrefix(first, "Received: from unknown (") || !strings.HasPrefix(second, "  by mx.example.org with SMTP; ") || strings.ContainsAny(first+second, "\r\x00") {
		t.Fatalf("Received: %q %q", first, second)
	}
	_, body, _ := strings.Cut(rest, "\n")
	if strings.ContainsRune(body, '\r') || body != "" && !strings.HasSuffix(body, "\n") {
		t.Fatalf("body %q", body)
	}
}

// FuzzParsePath: what is accepted is safe, and reads back the same.
func FuzzParsePath(f *testing.F) {
	for _, seed := range []string{"FROM:<a@b.c> SIZE=1", `TO:<a"b c"d@x.org>`, "TO:<@h1,@h2:joe@E.COM>", "to: jim@x.y", "<>", `TO:<"\"@x.y>`, "TO:<a@[192.0.2.1]>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, argument string) {
		for _, keyword := range []string{"FROM", "TO"} {
			path, parameters, err := parsePath(argument, keyword)
			if err != nil {
				if path != (address.Address{}) || parameters != "" {
					t.Fatalf("refused, but %q %q", path, parameters)
				}
				continue
			}
			s := path.String()
			if len(s) > maxPath || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd && !strings.Contains(argument, "\ufffd") }) {
				t.Fatalf("accepted %q", s)
			}
			again, _, err := parsePath(keyword+":<"+path.Quoted()+">", keyword)
			if err != nil || again != path {
				t.Fatalf("%q quoted reads %q, %v", path, again, err)
			}
			if _, refused := parseMailParameters(parameters, true); refused != nil && refused.code < 500 {
				t.Fatalf("parameters %q: %d", parameters, refused.code)
			}
		}
	})
}
