package smtpd

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/address"
	"postrider/internal/fdpass"
	"postrider/internal/wire/milter"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/submit"
)

// fakeMilters answers as qmail-filter does. An answer is the frames for what was
// told; the text of a message is given with its end.
type fakeMilters struct {
	t      *testing.T
	answer func(kind byte, what string) []byte
	told   chan string
}

var goOn = milter.AppendAnswer(nil, milter.Answer{Kind: milter.Continue})

// startMilters starts a host with milters.
func startMilters(t *testing.T, files map[string]string, answer func(kind byte, what string) []byte) (*host, *fakeMilters) {
	t.Helper()
	all := map[string]string{"milters": "unix:/run/milter\n"}
	for name, text := range files {
		all[name] = text
	}
	h := startHost(t, all)
	f := &fakeMilters{t: t, answer: answer, told: make(chan string, 100)}
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	channel, err := fdpass.NewPackets(theirs)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer channel.Close()
		for {
			c, err := submit.ReceiveConnection(channel)
			if err != nil {
				return
			}
			go f.serve(c)
		}
	}()
	h.send(parent.Frame{Kind: parent.Link, Name: parent.Filter, File: ours})
	awaitFilter(t, h)
	return h, f
}

func (f *fakeMilters) serve(c *os.File) {
	defer c.Close()
	text := ""
	for {
		kind, n, err := submit.ReadHeader(c)
		if err != nil {
			return
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(c, payload); err != nil {
			return
		}
		what := string(payload)
		switch kind {
		case milter.Message:
			text += what
			continue
		case milter.End:
			what = text
		case milter.Begin:
			session, err := milter.ParseSession(payload)
			if err != nil || session.IP != "127.0.0.1" || session.Server != "mx.example.org" {
				f.t.Errorf("session %+v, %v", session, err)
			}
			f.told <- string(kind) + session.Helo
			continue
		}
		f.told <- string(kind) + what
		answer := f.answer(kind, what)
		if answer == nil {
			return // as one that dies
		}
		if _, err := c.Write(answer); err != nil || kind == milter.End {
			return
		}
	}
}

// handsBack answers the end of a message with changes and a text.
func handsBack(text string, changes ...milter.Change) []byte {
	var b []byte
	for _, c := range changes {
		b = milter.AppendPath(b, c.Kind, c.Path)
	}
	for len(text) > 0 {
		n := min(len(text), 30000)
		b = submit.AppendFrame(b, milter.Message, []byte(text[:n]))
		text = text[n:]
	}
	return append(b, goOn...)
}

func TestMilters(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"short": "Subject: x\r\n\r\nbody\r\n", "long": "\r\n" + strings.Repeat("0123456789abcde\r\n", 20000)} {
		h, f := startMilters(t, nil, func(kind byte, what string) []byte {
			if kind != milter.End {
				return goOn
			}
			return handsBack(what+"added\n", milter.Change{Kind: milter.NewSender, Path: "new@example.net"},
				milter.Change{Kind: milter.AddRcpt, Path: `"a b"@example.com`}, milter.Change{Kind: milter.DeleteRcpt, Path: "ANN@example.com"})
		})
		c := h.dial()
		c.play(hello + "\nC: MAIL FROM:<joe@example.net> SIZE=100\nS: 250*\nC: RCPT TO:<jim@example.com> NOTIFY=NEVER\nS: 250*\nC: RCPT TO:<ann@example.com> NOTIFY=FAILURE\nS: 250*\nC: DATA\nS: 354*\n")
		c.send(body + ".\r\n")
		c.play("S: 250 2.0.0 ok*\nC: RSET\nS: 250*" + bye)
		m := h.spool.messages()
		if len(m) != 1 {
			t.Fatalf("%s: %d messages", name, len(m))
		}
		if want := "Fnew@example.net\x00Nnever\x00Tjim@example.com\x00Ta b@example.com\x00\x00"; !strings.EqualFold(m[0].envelope, want) {
			t.Errorf("%s: envelope %q, want %q", name, m[0].envelope, want)
		}
		if !strings.HasPrefix(m[0].text, "Received: ") || !strings.HasSuffix(m[0].text, strings.ReplaceAll(body, "\r\n", "\n")+"added\n") {
			t.Errorf("%s: %d bytes of text", name, len(m[0].text))
		}
		for _, want := range []string{"Sclient.example.net", "Fjoe@example.net\x00SIZE=100\x00", "Rjim@example.com\x00NOTIFY=NEVER\x00", "Rann@example.com\x00NOTIFY=FAILURE\x00", "T"} {
			if got := <-f.told; got != want {
				t.Errorf("%s: told %q, want %q", name, got, want)
			}
		}
	}
}

// What milters refuse is refused at that step.
func TestMiltersRefuse(t *testing.T) {
	t.Parallel()
	no := milter.AppendAnswer(nil, milter.Answer{Kind: milter.Refuse, Code: 550, Enhanced: "5.7.9", Text: "no\nand never"})
	const said = "S: 550-5.7.9 no|550 5.7.9 and never\n"
	const envelope = "C: MAIL FROM:<joe@example.net>\nS: 250*\nC: RCPT TO:<jim@example.com>\nS: 250*\n"
	for name, c := range map[string]struct {
		kind   byte
		script string
	}{
		"MAIL":    {milter.Mail, "C: MAIL FROM:<joe@example.net>\n" + said + "C: RCPT TO:<jim@example.com>\nS: 503*\n"},
		"RCPT":    {milter.Rcpt, "C: MAIL FROM:<joe@example.net>\nS: 250*\nC: RCPT TO:<jim@example.com>\n" + said + "C: DATA\nS: 503*\n"},
		"DATA":    {milter.Data, envelope + "C: DATA\n" + said},
		"message": {milter.End, envelope + "C: DATA\nS: 354*\nR: x\\r\\n.\\r\\n\n" + said},
		"BDAT":    {milter.End, envelope + "R: BDAT 3 LAST\\r\\nx\\r\\n\n" + said},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := startMilters(t, nil, func(kind byte, what string) []byte {
				if kind == c.kind {
					return no
				}
				return goOn
			})
			client := h.dial()
			client.play(hello + "\n" + c.script + "C: NOOP\nS: 250*" + bye)
			h.stop()
			if !strings.Contains(h.log.String(), "rule=milters") || len(h.spool.messages()) > 0 {
				t.Errorf("%d messages, log:\n%s", len(h.spool.messages()), h.log)
			}
		})
	}
}

// Without an answer, or with one that makes no sense, mail is refused for now.
func TestMiltersFail(t *testing.T) {
	t.Parallel()
	refused := milter.AppendAnswer(nil, milter.Answer{Kind: milter.Refuse, Code: 250, Enhanced: "2.0.0"})
	for name, c := range map[string]struct {
		kind   byte
		answer []byte
	}{
		"dies at MAIL": {milter.Mail, nil}, "dies at RCPT": {milter.Rcpt, nil}, "dies at DATA": {milter.Data, nil}, "dies at the end": {milter.End, nil},
		"positive refusal": {milter.Rcpt, refused}, "early message": {milter.Rcpt, handsBack("x\n")},
		"half a message": {milter.End, submit.AppendFrame(nil, milter.Message, []byte("half\n"))},
		"CR":             {milter.End, handsBack("a\rb\n")},
		"no address":     {milter.End, handsBack("x\n", milter.Change{Kind: milter.AddRcpt, Path: "a> b"})},
		"empty address":  {milter.End, handsBack("x\n", milter.Change{Kind: milter.AddRcpt})},
		"8 bits":         {milter.End, handsBack("x\n", milter.Change{Kind: milter.AddRcpt, Path: "\u00fc@example.com"})},
		"line end":       {milter.End, handsBack("x\n", milter.Change{Kind: milter.AddRcpt, Path: "a@b\nTc"})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := startMilters(t, nil, func(kind byte, what string) []byte {
				if kind == c.kind {
					return c.answer
				}
				return goOn
			})
			client := h.dial()
			client.play(hello + "\n")
			last := ""
			for _, line := range []string{"MAIL FROM:<joe@example.net>", "RCPT TO:<jim@example.com>", "DATA", "x\r\n."} {
				client.send(line + "\r\n")
				if last = client.reply(); last[0] > '3' {
					break
				}
			}
			if !strings.HasPrefix(last, "451 4.3.5 the mail filter is not available") {
				t.Errorf("got %q", last)
			}
			if c.answer == nil || c.kind == milter.End {
				h.stop()
				if n := len(h.spool.messages()); n != 0 {
					t.Errorf("%d messages passed the milters by", n)
				}
			}
		})
	}
}

func TestNoMilters(t *testing.T) {
	t.Parallel()
	h := startHost(t, map[string]string{"milters": "unix:/run/milter\n", "tcp.smtp": `127.:allow` + "\n"})
	c := h.dial()
	c.play(hello + "\nC: MAIL FROM:<joe@example.net>\nS: 451 4.3.5 the mail filter is not available (#4.3.5)" + bye)
	h = startHost(t, map[string]string{"milters": "unix:/run/milter\n", "tcp.smtp": `127.:allow,NOMILTERS=""` + "\n"})
	h.dial().play(transaction + "C: DATA\nS: 354*\nR: x\\r\\n.\\r\\n\nS: 250*" + bye)
	if len(h.spool.messages()) != 1 {
		t.Error("a client that milters are not asked about is refused")
	}
}

func TestMiltersDiscard(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string][]byte{
		"discard":       milter.AppendAnswer(nil, milter.Answer{Kind: milter.Discard}),
		"no recipients": handsBack("x\n", milter.Change{Kind: milter.DeleteRcpt, Path: "jim@example.com"}),
	} {
		h, _ := startMilters(t, nil, func(kind byte, what string) []byte {
			if kind == milter.End {
				return answer
			}
			return goOn
		})
		h.dial().play(transaction + "C: DATA\nS: 354*\nR: x\\r\\n.\\r\\n\nS: 250 2.0.0 ok*" + bye)
		h.stop()
		if len(h.spool.messages()) != 0 || !strings.Contains(h.log.String(), "qmail-smtpd: discarded") {
			t.Errorf("%s: %d messages, log:\n%s", name, len(h.spool.messages()), h.log)
		}
	}
}

// A message for quarantine has one recipient, and nothing of what was wanted of
// the others.
func TestMiltersOnlyRecipient(t *testing.T) {
	t.Parallel()
	h, _ := startMilters(t, nil, func(kind byte, what string) []byte {
		if kind != milter.End {
			return goOn
		}
		return handsBack(what, milter.Change{Kind: milter.NewSender}, milter.Change{Kind: milter.OnlyRcpt, Path: "judge@example.com"})
	})
	h.dial().play(hello + "\nC: MAIL FROM:<joe@example.net> RET=HDRS\nS: 250*\nC: RCPT TO:<jim@example.com> NOTIFY=NEVER\nS: 250*\nC: RCPT TO:<ann@example.com>\nS: 250*\n" +
		"C: DATA\nS: 354*\nR: x\\r\\n.\\r\\n\nS: 250 2.0.0 ok*" + bye)
	h.stop()
	if m := h.spool.messages(); len(m) != 1 || m[0].envelope != "F\x00rHDRS\x00Tjudge@example.com\x00\x00" {
		t.Errorf("%d messages: %q", len(m), m)
	}
}

func FuzzChangeEnvelope(f *testing.F) {
	f.Add("jim@example.com", "new@example.net", "+")
	f.Add(`"a b"@x`, "", "f")
	f.Add("a> b\x00T", "\n", "-")
	f.Fuzz(func(t *testing.T, one, two, kinds string) {
		var changes []milter.Change
		for i, path := range []string{one, two} {
			kind := byte(milter.AddRcpt)
			if i < len(kinds) && slices.Contains([]byte{milter.NewSender, milter.DeleteRcpt, milter.OnlyRcpt}, kinds[i]) {
				kind = kinds[i]
			}
			changes = append(changes, milter.Change{Kind: kind, Path: path})
		}
		envelope := []byte("Fjoe@x\x00U\x00Nnever\x00Tjim@example.com\x00Tann@example.com\x00")
		changed, n, err := changeEnvelope(envelope, changes, true)
		if err != nil {
			return
		}
		records := strings.Split(strings.TrimSuffix(string(changed), "\x00"), "\x00")
		recipients := 0
		for i, r := range records {
			if (r[0] == 'F') != (i == 0) || !strings.ContainsRune("FUNT", rune(r[0])) {
				t.Fatalf("%q", changed)
			}
			if r[0] == 'T' {
				recipients++
			}
			if _, err := address.New(r[1:]); err != nil {
				t.Fatalf("%q: %v", changed, err)
			}
		}
		if recipients != n {
			t.Errorf("%d recipients, not %d", recipients, n)
		}
	})
}
