package filter

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"postrider/internal/control"
	"postrider/internal/milterwire/miltertest"
	milterlink "postrider/internal/wire/milter"
	"postrider/internal/wire/submit"
)

// setMilters sets control/milters.
func (h *host) setMilters(lines ...string) {
	h.t.Helper()
	h.control("milters", strings.Join(lines, "\n")+"\n")
}

// asking is qmail-smtpd's end of a transaction.
type asking struct {
	t    *testing.T
	conn *os.File
}

func (h *host) ask() *asking {
	h.t.Helper()
	a := &asking{h.t, h.connect()}
	h.t.Cleanup(func() { a.conn.Close() })
	a.send(milterlink.AppendSession(nil, milterlink.Session{Server: "mx", IP: "192.0.2.7", Port: "99", Host: "unknown", Helo: "client", ID: "7-1"}))
	return a
}

func (a *asking) send(frames []byte) {
	a.t.Helper()
	if _, err := a.conn.Write(frames); err != nil {
		a.t.Fatal(err)
	}
}

func (a *asking) say(frames []byte) milterlink.Answer {
	a.t.Helper()
	a.send(frames)
	answer, err := milterlink.ReadAnswer(a.conn)
	if err != nil {
		a.t.Fatal(err)
	}
	return answer
}

// envelope says MAIL, RCPT and DATA and returns the first refusal.
func (a *asking) envelope() milterlink.Answer {
	a.t.Helper()
	var answer milterlink.Answer
	for _, frame := range [][]byte{
		milterlink.AppendPath(nil, milterlink.Mail, "joe@example.net"), milterlink.AppendPath(nil, milterlink.Rcpt, "jim@example.com"),
		submit.AppendFrame(nil, milterlink.Data, nil),
	} {
		if answer = a.say(frame); answer.Kind == milterlink.Refuse {
			break
		}
	}
	return answer
}

// message sends a text and returns what comes back.
func (a *asking) message(text string) (answer milterlink.Answer, changes []milterlink.Change, back string) {
	a.t.Helper()
	var frames []byte
	for len(text) > 0 {
		n := min(len(text), 50000)
		frames = submit.AppendFrame(frames, milterlink.Message, []byte(text[:n]))
		text = text[n:]
	}
	a.send(submit.AppendFrame(frames, milterlink.End, nil))
	var b bytes.Buffer
	answer, err := milterlink.ReadOutcome(a.conn, &changes, func(p []byte) error { b.Write(p); return nil })
	if err != nil {
		a.t.Fatal(err)
	}
	return answer, changes, b.String()
}

const ours = "Received: from x\n  by mx\n"

func TestMilters(t *testing.T) {
	t.Parallel()
	h := startHost(t, "exit 0", nil)
	m := miltertest.Start(t, miltertest.Polite(map[byte][]byte{'E': miltertest.Packets(
		miltertest.Packet{Letter: 'h', Data: "X-New\x00yes\x00"}, miltertest.Packet{Letter: '+', Data: "<ann@example.com>\x00"}, miltertest.Packet{Letter: 'c'})}))
	h.setMilters(m.Address)
	for name, body := range map[string]string{"small": "body\n", "25 MB": strings.Repeat("0123456789abcde\n", 25<<16)} {
		a := h.ask()
		if answer := a.envelope(); answer.Kind != milterlink.Continue {
			t.Fatalf("%s: %+v", name, answer)
		}
		answer, changes, back := a.message(ours + "A: b\n\n" + body)
		if answer.Kind != milterlink.Continue || len(changes) != 1 || changes[0] != (milterlink.Change{Kind: milterlink.AddRcpt, Path: "ann@example.com"}) {
			t.Errorf("%s: %+v, %+v", name, answer, changes)
		}
		if back != ours+"A: b\nX-New: yes\n\n"+body {
			t.Errorf("%s: %d bytes came back", name, len(back))
		}
	}
}

// A change of control/milters counts with the next transaction; without a
// file that can be read mail is refused for now.
func TestMiltersAreReadAgain(t *testing.T) {
	t.Parallel()
	h := startHost(t, "exit 0", nil)
	h.setMilters("unix:" + h.home + "/none accept")
	if a := h.ask().envelope(); a.Kind != milterlink.Continue {
		t.Errorf("accept: %+v", a)
	}
	h.setMilters("unix:" + h.home + "/none")
	if a := h.ask().envelope(); a.Code != 451 {
		t.Errorf("tempfail: %+v", a)
	}
	h.setMilters("this is none")
	a := h.ask()
	if got := a.envelope(); got.Code != 451 || !strings.Contains(h.log.String(), "control/milters") {
		t.Errorf("broken: %+v", got)
	}
	h.setMilters()
	if a := h.ask().envelope(); a.Kind != milterlink.Continue {
		t.Errorf("none: %+v", a)
	}
}

func TestMiltersRefuseAndDiscard(t *testing.T) {
	t.Parallel()
	h := startHost(t, "exit 0", nil)
	refuses := miltertest.Start(t, miltertest.Polite(map[byte][]byte{'B': miltertest.Packets(miltertest.Packet{Letter: 'y', Data: "554 5.7.1 spam\x00"})}))
	h.setMilters(refuses.Address)
	a := h.ask()
	a.envelope()
	if got, _, back := a.message(ours + "\nx\n"); got != (milterlink.Answer{Kind: milterlink.Refuse, Code: 554, Enhanced: "5.7.1", Text: "spam"}) || back != "" {
		t.Errorf("%+v, %q", got, back)
	}
	discards := miltertest.Start(t, miltertest.Polite(map[byte][]byte{'M': miltertest.Packets(miltertest.Packet{Letter: 'd'})}))
	h.setMilters(discards.Address)
	a = h.ask()
	a.envelope()
	if got, _, back := a.message(ours + "\nx\n"); got.Kind != milterlink.Discard || back != "" {
		t.Errorf("%+v, %q", got, back)
	}
	h.setMilters("unix:" + h.home + "/none accept")
	a = h.ask()
	a.envelope()
	if got, _, _ := a.message(ours + strings.Repeat("A: b\n", 20000) + "\nx\n"); got.Code != 552 {
		t.Errorf("long header: %+v", got)
	}
}

// A message that a milter wants in quarantine goes to its address, and says what
// it was; where there is no address it is refused for now.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	m := miltertest.Start(t, miltertest.Polite(map[byte][]byte{'E': miltertest.Packets(
		miltertest.Packet{Letter: 'h', Data: "X-New\x00yes\x00"}, miltertest.Packet{Letter: '+', Data: "<ann@example.com>\x00"},
		miltertest.Packet{Letter: 'q', Data: "looks\nbad\x00"}, miltertest.Packet{Letter: 'c'})}))
	without := startHost(t, "exit 0", nil)
	without.setMilters(m.Address)
	a := without.ask()
	a.envelope()
	if got, _, back := a.message(ours + "A: b\n\nx\n"); got.Code != 451 || got.Enhanced != "4.7.1" || back != "" {
		t.Errorf("without an address: %+v, %q", got, back)
	}

	h := startHost(t, "exit 0", func(s *settings) { s.quarantine = `"held here"@example.com` })
	h.setMilters(m.Address)
	a = h.ask()
	a.envelope()
	for range 30 {
		a.say(milterlink.AppendPath(nil, milterlink.Rcpt, "bob@example.com"))
	}
	got, changes, back := a.message(ours + "A: b\n\nx\n")
	want := []milterlink.Change{{Kind: milterlink.NewSender}, {Kind: milterlink.OnlyRcpt, Path: `"held here"@example.com`}}
	if got.Kind != milterlink.Continue || !slices.Equal(changes, want) {
		t.Errorf("%+v, %+v", got, changes)
	}
	text := ours + "X-Quarantine-Reason: looks?bad\nX-Quarantine-Sender: <joe@example.net>\n" +
		"X-Quarantine-Recipients: <jim@example.com>" + strings.Repeat(", <bob@example.com>", 19) + ", and 11 more\nA: b\nX-New: yes\n\nx\n"
	if back != text {
		t.Errorf("came back:\n%s\nwant\n%s", back, text)
	}
	if !strings.Contains(h.log.String(), "qmail-filter: quarantined ip=192.0.2.7 id=7-1 reason=looks") {
		t.Errorf("log: %s", h.log.String())
	}
}

func TestLoadQuarantine(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"": "", "held here@example.com": `"held here"@example.com`, "spam@[192.0.2.1]": "spam@[192.0.2.1]", "nowhere": "!", "@": "!", "a@": "!",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(dir+"/quarantine", []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := loadQuarantine(control.Dir(dir))
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%q: %q, %v; want %q", line, got, err, want)
		}
	}
}

// What qmail-smtpd never says ends the connection.
func TestMiltersBrokenProtocol(t *testing.T) {
	t.Parallel()
	h := startHost(t, "exit 0", nil)
	h.setMilters("unix:" + h.home + "/none accept")
	mail := milterlink.AppendPath(nil, milterlink.Mail, "a@b")
	for name, frames := range map[string][]byte{
		"RCPT first": milterlink.AppendPath(nil, milterlink.Rcpt, "a@b"), "text first": submit.AppendFrame(nil, milterlink.Message, []byte("x")),
		"end first": submit.AppendFrame(nil, milterlink.End, nil), "DATA first": submit.AppendFrame(nil, milterlink.Data, nil),
		"end without text": append(bytes.Clone(mail), submit.AppendFrame(nil, milterlink.End, nil)...),
		"MAIL twice":       append(bytes.Clone(mail), mail...), "unknown": submit.AppendFrame(nil, '?', nil),
		"line end": milterlink.AppendPath(nil, milterlink.Mail, "a\nb"), "too long": submit.AppendHeader(nil, milterlink.Mail, milterlink.MaxStrings+1),
		"RCPT behind text": append(submit.AppendFrame(bytes.Clone(mail), milterlink.Message, []byte("x")), milterlink.AppendPath(nil, milterlink.Rcpt, "a@b")...),
	} {
		a := h.ask()
		_, _ = a.conn.Write(frames) // it may hang up meanwhile
		for {
			answer, err := milterlink.ReadAnswer(a.conn)
			if err != nil {
				break
			}
			if name == "RCPT first" || name == "unknown" {
				t.Errorf("%s: answered %+v", name, answer)
			}
		}
	}
}
