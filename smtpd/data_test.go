package smtpd

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"postrider/internal/smtpwire"
	"postrider/internal/wire/submit"
)

// R30: of all ways to fake the end of a message none ends it, wherever the
// input is split. What follows is never run: the first reply behind 354 is the
// one to the real end.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	ends := []string{"\r\n", "\n", "\r", "\r\r\n", "\n\r", "\r\n\x00", "\x00\r\n", "\n\n"}
	smuggled := "MAIL FROM:<evil@example.net>\r\nRCPT TO:<jim@example.com>\r\nDATA\r\nevil\r\n"
	for _, before := range ends {
		for _, after := range ends {
			mark := before + "." + after
			if strings.Contains(mark, "\r\n.\r\n") {
				continue
			}
			t.Run(fmt.Sprintf("%q", mark), func(t *testing.T) {
				t.Parallel()
				text := "text" + mark + smuggled
				input := text + ".\r\nQUIT\r\n"
				for split := range len(input) + 1 {
					s, q := newTestSession(deafConn{})
					feedMessage(t, s, input[:split], input[split:])
					if flawed(text) {
						if !strings.HasPrefix(string(s.out), "554 5.6.0 ") || len(q.taken) != 0 {
							t.Fatalf("split at %d: reply %q, queued %q", split, s.out, q.taken)
						}
						continue
					}
					// NULs make an ordinary line of it: all of it is one message.
					if !strings.HasPrefix(string(s.out), "250 2.0.0 ok") || len(q.taken) != 1 || !strings.HasSuffix(q.taken[0].text, "\nevil\n") {
						t.Fatalf("split at %d: reply %q, queued %q", split, s.out, q.taken)
					}
				}
			})
		}
	}
}

// flawed reports whether some CR or LF of text is not part of a CR LF.
func flawed(text string) bool {
	return strings.ContainsAny(strings.ReplaceAll(text, "\r\n", ""), "\r\n")
}

// feedMessage gives a session in a transaction the pieces of a message, as if
// each had been one read, and queues the reply.
func feedMessage(t *testing.T, s *session, pieces ...string) {
	t.Helper()
	for _, line := range []string{"MAIL FROM:<joe@example.net>", "RCPT TO:<jim@example.com>", "DATA"} {
		if r := s.dispatch(line); !r.ok() {
			t.Fatalf("%s: %d %s", line, r.code, r.text)
		}
	}
	s.conn = &scriptedConn{pieces: pieces}
	s.in.conn = s.conn
	r, err := s.receive()
	if err != nil {
		t.Fatalf("message %q: %v", pieces, err)
	}
	s.say(r)
}

// scriptedConn reads the given pieces one by one.
type scriptedConn struct {
	deafConn
	pieces []string
}

func (c *scriptedConn) Read(b []byte) (int, error) {
	for len(c.pieces) > 0 && c.pieces[0] == "" {
		c.pieces = c.pieces[1:]
	}
	if len(c.pieces) == 0 {
		return 0, errHungUp
	}
	n := copy(b, c.pieces[0])
	c.pieces[0] = c.pieces[0][n:]
	return n, nil
}

// The commands behind the real end are still there, and only those.
func TestWhatFollowsTheEndMark(t *testing.T) {
	t.Parallel()
	input := "text\r\n.\r\nNOOP\r\nQUIT\r\n"
	for split := range len(input) + 1 {
		s, _ := newTestSession(deafConn{})
		feedMessage(t, s, input[:split], input[split:])
		var commands []string
		for {
			line, found, err := s.in.line()
			if !found {
				if s.in.fill() != nil {
					break
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			commands = append(commands, string(line))
		}
		if strings.Join(commands, " ") != "NOOP QUIT" {
			t.Errorf("split at %d: commands %q", split, commands)
		}
	}
}

// Long messages are handed on while they arrive, short ones in one piece; the
// octets are the same.
func TestMessageSizes(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	c := h.dial()
	c.play(hello)
	line := strings.Repeat("0123456789", 7)
	for i, lines := range []int{0, 1, 57, 110, 111, 112, 113, 114, 115, 116, 900, 920, 940, 955, 956, 957, 958, 960, 2000, 20000} {
		c.play("C: MAIL FROM:<joe@example.net>\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *\nC: DATA\nS: 354 go ahead\n")
		c.send("\r\n" + strings.Repeat("."+line+"\r\n", lines) + ".\r\n")
		c.expect("250 2.0.0 ok *")
		m := h.spool.messages()[i]
		if want := strings.Repeat(line+"\n", lines); !strings.HasSuffix(m.text, "\n\n"+want) || len(m.text)-len(want) > 200 {
			t.Errorf("%d lines: %d octets were queued, want %d and Received", lines, len(m.text), len(want))
		}
		if m.envelope != "Fjoe@example.net\x00Tjim@example.com\x00\x00" {
			t.Errorf("%d lines: envelope %q", lines, m.envelope)
		}
	}
	c.play(bye)
	h.stop()
	if h.spool.opened != 2 {
		t.Errorf("%d connections to the spool, want one for short messages and one for long ones", h.spool.opened)
	}
	if used := h.d.lent.used.Load(); used != 0 {
		t.Errorf("%d octets are still lent", used)
	}
	if h.spool.maxFrame > submit.MaxFrame {
		t.Errorf("a frame of %d octets", h.spool.maxFrame)
	}
}

// White space at the beginning of a message makes a body of it, and nothing that
// is read as a part of our fields.
func TestLeadingWhiteSpace(t *testing.T) {
	t.Parallel()
	const (
		first = " (by uid 0); x\r\n"
		rest  = "Authentication-Results: mx.example.org; dkim=pass\r\n\r\nx\r\n"
	)
	chunk := func(parameters, text string) string {
		size := len(strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\t`, "\t").Replace(text))
		return fmt.Sprintf("C: MAIL FROM:<joe@example.net>%s\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *\nR: BDAT %d LAST\\r\\n%s\nS: 250 *\n", parameters, size, text)
	}
	escape := func(text string) string {
		return strings.NewReplacer("\r", `\r`, "\n", `\n`, "\t", `\t`).Replace(text)
	}
	for _, files := range []map[string]string{{}, {"authservid": "mx.example.org\n"}} {
		for _, c := range []struct{ name, send string }{
			{"DATA", transaction + "C: DATA\nS: 354 *\nR: " + escape(first+rest+".\r\n") + "\nS: 250 *\n"},
			{"behind a dot", transaction + "C: DATA\nS: 354 *\nR: " + escape("."+first+rest+".\r\n") + "\nS: 250 *\n"},
			{"BDAT", hello + chunk("", escape(first+rest))},
			{"BINARYMIME", hello + chunk(" BODY=BINARYMIME", escape(first+rest))},
		} {
			h := startHost(t, files)
			h.dial().play(c.send + bye)
			h.stop()
			want := "\n\n" + strings.ReplaceAll(first+rest, "\r", "")
			if got := h.spool.messages(); len(got) != 1 || !strings.HasSuffix(got[0].text, want) {
				t.Errorf("%s, %v: %+v", c.name, files, got)
			}
		}
	}
}

// A large envelope goes in several frames; nothing of it is lost (R48, R66).
func TestManyRecipients(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	c := h.dial()
	c.play(hello + "C: MAIL FROM:<>\nS: 250 *\n")
	const count = 20000
	var commands, want strings.Builder
	want.WriteString("F\x00")
	for i := range count {
		fmt.Fprintf(&commands, "RCPT TO:<recipient-number-%d@example.com>\r\n", i)
		fmt.Fprintf(&want, "Trecipient-number-%d@example.com\x00", i)
	}
	want.WriteString("\x00")
	c.send(commands.String())
	for range count {
		c.expect("250 2.1.5 ok")
	}
	c.play("C: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: 250 2.0.0 ok *" + bye)
	h.stop()
	if m := h.spool.messages(); len(m) != 1 || m[0].envelope != want.String() {
		t.Error("the envelope differs")
	}
	if used := h.d.lent.used.Load(); used != 0 {
		t.Errorf("%d octets are still lent", used)
	}
}

// The Received line has exactly qmail's form (spec section 6.4).
func TestReceived(t *testing.T) {
	t.Parallel()
	date := `\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000\n`
	for _, c := range []struct {
		name  string
		peer  peer
		helo  []string
		lines string
	}{
		{"HELO", peer{host: unknown, ip: "192.0.2.1", local: "mx"}, []string{"HELO client"}, `Received: from unknown \(HELO client\) \(192\.0\.2\.1\)\n  by mx with SMTP; `},
		{"EHLO is SMTP too", peer{host: unknown, ip: "192.0.2.1", local: "mx"}, []string{"EHLO client"}, `Received: from unknown \(HELO client\) \(192\.0\.2\.1\)\n  by mx with SMTP; `},
		{"none", peer{host: unknown, ip: "192.0.2.1", local: "mx"}, nil, `Received: from unknown \(192\.0\.2\.1\)\n  by mx with SMTP; `},
		{"HELO is the host name", peer{host: "a.example", ip: "192.0.2.1", local: "mx"}, []string{"HELO A.Example"}, `Received: from a\.example \(192\.0\.2\.1\)\n  by mx with SMTP; `},
		{"HELO without a name", peer{host: unknown, ip: "192.0.2.1", local: "mx"}, []string{"HELO"}, `Received: from unknown \(HELO \) \(192\.0\.2\.1\)\n  by mx with SMTP; `},
		{"the last HELO", peer{host: unknown, ip: "192.0.2.1", local: "mx"}, []string{"HELO one", "EHLO two"}, `Received: from unknown \(HELO two\) \(192\.0\.2\.1\)\n  by mx with SMTP; `},
		{"info", peer{host: "h", ip: "192.0.2.1", local: "mx", info: "joe", hasInfo: true}, nil, `Received: from h \(joe@192\.0\.2\.1\)\n  by mx with SMTP; `},
		{"empty info", peer{host: "h", ip: "192.0.2.1", local: "mx", hasInfo: true}, nil, `Received: from h \(@192\.0\.2\.1\)\n  by mx with SMTP; `},
		{"IPv6", peer{host: unknown, ip: "2001:db8::1", local: "mx"}, nil, `Received: from unknown \(2001:db8::1\)\n  by mx with SMTP; `},
		{"what could be more header", peer{host: "h(x)\r\nBcc: y", ip: "1;2", local: "m\tx", info: "j o", hasInfo: true}, []string{"HELO a\tb(c)_\"<d>[e]"}, `Received: from h\?x\?\?\?Bcc:\?y \(HELO a\?b\?c\?\?\?\?d\?\[e\]\) \(j\?o@1\?2\)\n  by m\?x with SMTP; `},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := newTestSession(deafConn{})
			s.peer = c.peer
			for _, line := range c.helo {
				s.dispatch(line)
			}
			got := string(s.appendReceived(nil, s.clock.Now()))
			if !regexp.MustCompile(`^` + c.lines + date + `$`).MatchString(got) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestQueueTrouble(t *testing.T) {
	t.Parallel()
	send := func(reply string) string {
		return transaction + "C: DATA\nS: 354 go ahead\nR: x\\r\\n.\\r\\n\nS: " + reply + bye
	}
	for _, c := range []struct {
		name   string
		answer submit.Answer
		reply  string
	}{
		{"temporary", submit.Answer{Kind: submit.Temporary, ExitCode: 53}, "451 4.3.0 qq write error or disk full (#4.3.0)"},
		{"temporary with its text", submit.Answer{Kind: submit.Temporary, ExitCode: 53, Text: "disk\r\nis full"}, "451 4.3.0 disk??is full"},
		{"permanent", submit.Answer{Kind: submit.Permanent, ExitCode: 11}, "554 5.1.3 envelope address too long for qq (#5.1.3)"},
		{"permanent with its text", submit.Answer{Kind: submit.Permanent, ExitCode: 31, Text: "no (#5.3.0)"}, "554 5.3.0 no (#5.3.0)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := startHost(t, nil)
			h.spool.note(func() { h.spool.answer = func(queuedMessage) submit.Answer { return c.answer } })
			h.dial().play(send(c.reply))
		})
	}
	t.Run("busy", func(t *testing.T) {
		t.Parallel()
		h := startHost(t, nil)
		h.spool.note(func() { h.spool.greet = func() []byte { return submit.AppendFrame(nil, submit.Busy, nil) } })
		h.dial().play(send("451 4.3.0 qq trouble: mail queue is not available (#4.3.0)"))
	})
	t.Run("a restarted spool", func(t *testing.T) {
		t.Parallel()
		h := startHost(t, nil)
		c := h.dial()
		c.play(transaction + "C: DATA\nS: 354 go ahead\nR: x\\r\\n.\\r\\n\nS: 250 *\n")
		old := h.d.spool.current()
		h.spool = newFakeSpool(t)
		h.relink()
		for h.d.spool.current() == old {
			runtime.Gosched() // the daemon reads its control channel
		}
		c.play("C: MAIL FROM:<>\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *\nC: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: 250 *" + bye)
		if len(h.spool.messages()) != 1 {
			t.Error("the new spool did not get the message")
		}
	})
	t.Run("a spool that vanished", func(t *testing.T) {
		t.Parallel()
		h := startHost(t, nil)
		h.d.spool.link.Absence.Limit = 0                                      // nobody waits for another one
		h.spool.note(func() { h.spool.greet = func() []byte { return nil } }) // closes without a word
		h.dial().play(send("451 4.3.0 *"))
	})
}

// A client that leaves inside a message leaves nothing behind.
func TestClientVanishes(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	for _, text := range []string{"x\r\n", strings.Repeat(strings.Repeat("x", 70)+"\r\n", 2000), "x\r\n.", "x\r\n.\r"} {
		c := h.dial()
		c.play(transaction + "C: DATA\nS: 354 go ahead\n")
		c.send(text)
		c.conn.Close()
	}
	h.spool.await("an aborted message", func() bool { return h.spool.aborted == 1 })
	h.stop()
	if m := h.spool.messages(); len(m) != 0 {
		t.Errorf("queued: %v", m)
	}
	if !strings.Contains(h.log.String(), "qmail-smtpd: interrupted session=") {
		t.Errorf("log:\n%s", h.log)
	}
}

// A refused long message is dropped at once; the client is told at the end.
func TestLongRefusedMessage(t *testing.T) {
	t.Parallel()
	h := startHost(t, map[string]string{"databytes": "100000\n"})
	c := h.dial()
	c.play(transaction + "C: DATA\nS: 354 go ahead\n")
	c.send(strings.Repeat(strings.Repeat("x", 98)+"\r\n", 3000))
	h.spool.await("an aborted message", func() bool { return h.spool.aborted == 1 })
	c.send(".\r\n")
	c.expect("552 5.3.4 *")
	c.play(bye)
}

func TestFlawReply(t *testing.T) {
	t.Parallel()
	if flawReply(smtpwire.BareLF) != replyBareLF || flawReply(smtpwire.BareCR) != replyBareCR {
		t.Error("the replies are exchanged")
	}
}
