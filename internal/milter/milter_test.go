package milter

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"postrider/internal/lineartest"
	"postrider/internal/milterwire"
	"postrider/internal/milterwire/miltertest"
	"postrider/internal/scratch"
)

type packet = miltertest.Packet

func pkt(letter byte, data string) packet { return packet{Letter: letter, Data: data} }

const received = "Received: from x (192.0.2.1)\n  by mx; date\n"

const sample = received + "Subject: hello\n\tyou\nX-A: 1\nTo: a@b\nx-a: 2\n\nbody\n.\nend\n"

// bench is what a test needs.
type bench struct {
	t    *testing.T
	dir  *scratch.Dir
	mu   sync.Mutex
	logs []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: scratch.At(t.TempDir(), 1<<30)}
	t.Cleanup(func() {
		if used := b.dir.Used(); used != 0 {
			t.Errorf("%d bytes are still kept", used)
		}
	})
	return b
}

func (b *bench) log(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.logs = append(b.logs, line)
}

// begin begins a transaction with milters, lines of control/milters.
func (b *bench) begin(lines ...string) *Transaction {
	b.t.Helper()
	var list List
	for _, line := range lines {
		if err := list.Add(line); err != nil {
			b.t.Fatal(err)
		}
	}
	client := Client{IP: netip.MustParseAddr("192.0.2.1"), Port: 99, Host: "client.example", Helo: "client.example", Macros: milterwire.Macros{"i": "1-1"}}
	t := Begin(list, client, b.log)
	b.t.Cleanup(t.Close)
	return t
}

// whole passes a message by milters and returns what it then is.
func (b *bench) whole(text string, lines ...string) (Outcome, string) {
	b.t.Helper()
	t := b.begin(lines...)
	for _, a := range []milterwire.Action{t.Mail("joe@example.net", nil), t.Rcpt("jim@example.com", nil), t.Data()} {
		if a.Verdict == milterwire.Refuse {
			return Outcome{Action: a}, ""
		}
	}
	file, err := b.dir.Create()
	if err != nil {
		b.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write([]byte(text)); err != nil {
		b.t.Fatal(err)
	}
	m, err := NewMessage(file, file.Size())
	if err != nil {
		b.t.Fatal(err)
	}
	o, release := t.End(m, b.dir.Create)
	defer release()
	var out bytes.Buffer
	if _, err := m.WriteTo(&out); err != nil {
		b.t.Fatal(err)
	}
	return o, out.String()
}

// ends is a milter that says something at the end of a message.
func ends(t *testing.T, list ...packet) *miltertest.Milter {
	t.Helper()
	return miltertest.Start(t, miltertest.Polite(map[byte][]byte{'E': miltertest.Packets(list...)}))
}

func TestLines(t *testing.T) {
	t.Parallel()
	for line, ok := range map[string]bool{
		"unix:/run/x": true, "inet:127.0.0.1:11332": true, "inet:[::1]:11332 accept timeout=5": true, "inet:localhost:1 reject": true, "unix:/x tempfail": true,
		"unix:run/x": false, "inet:127.0.0.1": false, "inet::25": false, "inet:x:0": false, "inet:x:70000": false, "/run/x": false, "local:/x": false,
		"unix:/x maybe": false, "unix:/x timeout=0": false, "unix:/x timeout=601": false, "unix:/x timeout": false, "": false,
	} {
		if err := new(List).Add(line); (err == nil) != ok {
			t.Errorf("%q: %v", line, err)
		}
	}
	var full List
	for range MaxMilters {
		if err := full.Add("unix:/run/x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := full.Add("unix:/run/x"); err == nil {
		t.Error("too many are taken")
	}
}

// What milters do not change stays as it is.
func TestUnchanged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := miltertest.Start(t, miltertest.Polite(nil))
	large := received + "\n" + strings.Repeat("0123456789\n", 300000)
	for name, text := range map[string]string{
		"usual": sample, "large": large, "no body": received + "A: b\n", "no header": received + "\nbody\n", "no empty line": received + "A: b\nno field\n\nx\n",
		"only ours": received, "body without end": received + "\nx", "blank before colon": received + "A : b\n\nx\n", "early continuation": received + "\n x\n",
	} {
		if o, got := b.whole(text, m.Address, m.Address); o.Verdict != milterwire.Continue || got != text || o.Changes != 0 {
			t.Errorf("%s: %+v, %d bytes: %.100q", name, o, len(got), got)
		}
	}
}

func TestMilterSeesTheMessage(t *testing.T) {
	t.Parallel()
	m := miltertest.Start(t, miltertest.Polite(nil))
	newBench(t).whole(sample, m.Address)
	if got, want := m.Text('L'), "Subject\x00hello\n\tyou\x00X-A\x001\x00To\x00a@b\x00x-a\x002\x00"; got != want {
		t.Errorf("header %q, want %q", got, want)
	}
	if got, want := m.Text('B'), "body\r\n.\r\nend\r\n"; got != want {
		t.Errorf("body %q, want %q", got, want)
	}
	if got := m.Text('M') + m.Text('R') + m.Text('H'); got != "<joe@example.net>\x00<jim@example.com>\x00client.example\x00" {
		t.Errorf("envelope %q", got)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	fields := "Subject: hello\n\tyou\nX-A: 1\nTo: a@b\nx-a: 2\n"
	rest := "\nbody\n.\nend\n"
	for name, c := range map[string]struct {
		changes []packet
		want    string
	}{
		"add":           {[]packet{pkt('h', "X-New\x00v\x00")}, fields + "X-New: v\n" + rest},
		"insert first":  {[]packet{pkt('i', "\x00\x00\x00\x00X-New\x00v\x00")}, "X-New: v\n" + fields + rest},
		"insert second": {[]packet{pkt('i', "\x00\x00\x00\x02X-New\x00v\x00")}, "Subject: hello\n\tyou\nX-New: v\nX-A: 1\nTo: a@b\nx-a: 2\n" + rest},
		"insert last":   {[]packet{pkt('i', "\xff\xff\xff\xffX-New\x00v\x00")}, fields + "X-New: v\n" + rest},
		"change":        {[]packet{pkt('m', "\x00\x00\x00\x02X-A\x00v\x00")}, "Subject: hello\n\tyou\nX-A: 1\nTo: a@b\nX-A: v\n" + rest},
		"change none":   {[]packet{pkt('m', "\x00\x00\x00\x03X-A\x00v\x00")}, fields + "X-A: v\n" + rest},
		"delete":        {[]packet{pkt('m', "\x00\x00\x00\x01subject\x00\x00")}, "X-A: 1\nTo: a@b\nx-a: 2\n" + rest},
		"delete both":   {[]packet{pkt('m', "\x00\x00\x00\x01X-A\x00\x00"), pkt('m', "\x00\x00\x00\x02X-A\x00\x00")}, "Subject: hello\n\tyou\nTo: a@b\n" + rest},
		"delete none":   {[]packet{pkt('m', "\x00\x00\x00\x01X-B\x00\x00")}, fields + rest},
		"no injection":  {[]packet{pkt('h', "X-New\x00v\r\n\r\nBcc: x\x00")}, fields + "X-New: v\n\tBcc: x\n" + rest},
		"body":          {[]packet{pkt('b', "new\r"), pkt('b', "\nline\rend")}, fields + "\nnew\nline\nend\n"},
		"empty body":    {[]packet{pkt('b', "")}, fields + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, got := newBench(t).whole(sample, ends(t, append(c.changes, pkt('c', ""))...).Address)
			if o.Verdict != milterwire.Continue || got != received+c.want {
				t.Errorf("%+v, %q, want %q", o, got, received+c.want)
			}
		})
	}
}

// The next milter sees what the one before has made of a message.
func TestOneAfterAnother(t *testing.T) {
	t.Parallel()
	first := ends(t, pkt('h', "X-First\x00yes\x00"), pkt('b', "changed\r\n"), pkt('-', "<jim@example.com>\x00"), pkt('a', ""))
	second := ends(t, pkt('m', "\x00\x00\x00\x01X-First\x00seen\x00"), pkt('+', "<ann@example.com>\x00"), pkt('c', ""))
	o, got := newBench(t).whole(received+"A: b\n\nx\n", first.Address, second.Address)
	if want := received + "A: b\nX-First: seen\n\nchanged\n"; got != want || o.Verdict != milterwire.Continue {
		t.Errorf("%+v, %q, want %q", o, got, want)
	}
	if len(o.Envelope) != 2 || o.Envelope[0].Kind != milterwire.DeleteRcpt || o.Envelope[1].Address != "ann@example.com" {
		t.Errorf("changes of the envelope: %+v", o.Envelope)
	}
	if second.Text('B') != "changed\r\n" || !strings.Contains(second.Text('L'), "X-First\x00yes\x00") {
		t.Errorf("the second one saw %q", second.Text('B'))
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		letter  byte
		answer  packet
		verdict milterwire.Verdict
		code    int
	}{
		"refused at connect": {'C', pkt('r', ""), milterwire.Refuse, 550},
		"refused at HELO":    {'H', pkt('t', ""), milterwire.Refuse, 451},
		"refused at MAIL":    {'M', pkt('y', "553 5.1.8 who\x00"), milterwire.Refuse, 553},
		"refused at DATA":    {'T', pkt('r', ""), milterwire.Refuse, 550},
		"refused by header":  {'L', pkt('r', ""), milterwire.Refuse, 550},
		"refused by body":    {'B', pkt('y', "554 5.7.1 spam\x00"), milterwire.Refuse, 554},
		"discarded at RCPT":  {'R', pkt('d', ""), milterwire.Discard, 0},
		"discarded at end":   {'E', pkt('d', ""), milterwire.Discard, 0},
		"quarantine":         {'E', pkt('q', "odd\x00"), milterwire.Continue, 0},
		"accepted at MAIL":   {'M', pkt('a', ""), milterwire.Continue, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := miltertest.Packets(c.answer)
			if c.answer.Letter == 'q' {
				answer = append(answer, miltertest.Continue...)
			}
			m := miltertest.Start(t, miltertest.Polite(map[byte][]byte{c.letter: answer}))
			other := miltertest.Start(t, miltertest.Polite(nil))
			o, _ := newBench(t).whole(sample, m.Address, other.Address)
			if o.Verdict != c.verdict || o.Reply.Code != c.code || (o.Quarantine == "odd") != (c.answer.Letter == 'q') {
				t.Errorf("%+v", o)
			}
			if asked := other.Text('E') != "" || strings.Contains(other.Text('B'), "body"); asked != (c.verdict == milterwire.Continue) {
				t.Errorf("the next milter was asked: %v", asked)
			}
		})
	}
}

func TestRcptIsRefusedAlone(t *testing.T) {
	t.Parallel()
	m := miltertest.Start(t, func(p packet) ([]byte, bool) {
		if p.Letter == 'R' && strings.HasPrefix(p.Data, "<no") {
			return miltertest.Packets(pkt('y', "550 5.1.1 nobody\x00")), false
		}
		return miltertest.Polite(nil)(p)
	})
	tx := newBench(t).begin(m.Address)
	for _, a := range []milterwire.Action{tx.Mail("", nil), tx.Rcpt("yes@x", nil)} {
		if a.Verdict != milterwire.Continue {
			t.Errorf("%+v", a)
		}
	}
	if a := tx.Rcpt("no@x", nil); a.Reply.Code != 550 {
		t.Errorf("%+v", a)
	}
	if a := tx.Rcpt("other@x", nil); a.Verdict != milterwire.Continue {
		t.Errorf("%+v", a)
	}
}

// A milter that fails counts as its line says, and has changed nothing.
func TestFailures(t *testing.T) {
	t.Parallel()
	failing := map[string]func(t *testing.T) string{
		"not there": func(t *testing.T) string { return "unix:" + t.TempDir() + "/none" },
		"hangs up": func(t *testing.T) string {
			return miltertest.Start(t, func(p packet) ([]byte, bool) { return miltertest.Options(0), p.Letter == 'O' }).Address
		},
		"silent": func(t *testing.T) string {
			return miltertest.Start(t, miltertest.Polite(map[byte][]byte{'T': nil})).Address + " timeout=1"
		},
		"dies inside its changes": func(t *testing.T) string {
			half := miltertest.Packets(pkt('h', "X-Half\x00x\x00"), pkt('b', "half"), pkt('-', "<jim@example.com>\x00"))
			return miltertest.Start(t, func(p packet) ([]byte, bool) {
				if p.Letter == 'E' {
					return half, true
				}
				return miltertest.Polite(nil)(p)
			}).Address
		},
	}
	for name, start := range failing {
		for word, want := range map[string]milterwire.Verdict{"": milterwire.Refuse, " reject": milterwire.Refuse, " accept": milterwire.Continue} {
			t.Run(name+word, func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				o, got := b.whole(sample, start(t)+word)
				if o.Verdict != want || want == milterwire.Continue && (got != sample || len(o.Envelope) > 0) || len(b.logs) != 1 {
					t.Errorf("%+v, %q, log %q", o, got, b.logs)
				}
				if code := map[string]int{"": 451, " reject": 554}[word]; o.Reply.Code != code {
					t.Errorf("reply %+v", o.Reply)
				}
			})
		}
	}
}

func TestLargeBody(t *testing.T) {
	t.Parallel()
	piece := miltertest.Packets(pkt('b', strings.Repeat("x", 1<<19)))
	m := miltertest.Start(t, miltertest.Polite(map[byte][]byte{'E': append(bytes.Repeat(piece, maxGrowth>>19+1), miltertest.Continue...)}))
	b := newBench(t)
	if o, _ := b.whole(sample, m.Address); o.Reply.Code != 451 || len(b.logs) != 1 || !strings.Contains(b.logs[0], errBody.Error()) {
		t.Errorf("%+v, log %q", o, b.logs)
	}
}

func TestLongHeaders(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, text := range map[string]string{
		"field": received + "A: " + strings.Repeat("x", MaxHeader) + "\n\n", "fields": received + strings.Repeat("A:\n", MaxFields+1) + "\n",
		"lines": received + "A:\n" + strings.Repeat("\tx\n", MaxHeader/3) + "\n",
	} {
		file, err := b.dir.Create()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := NewMessage(file, file.Size()); !errors.Is(err, ErrHeader) {
			t.Errorf("%s: %v", name, err)
		}
		file.Close()
	}
}

// R43: headers of the largest size, and of many lines.
func TestHeadersAreReadInLinearTime(t *testing.T) {
	b := newBench(t)
	lineartest.Check(t, MaxHeader-100, func(text string) {
		file, err := b.dir.Create()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.Write([]byte(received + text)); err != nil {
			t.Fatal(err)
		}
		_, _ = NewMessage(file, file.Size()) // whether it is valid does not matter here
	}, lineartest.Units("A: b\n", "A:\n", "\n", ":", "a", "\r", "\x00", "A:\n\tx\n"), []lineartest.Input{{Head: "A:\n", Unit: "\tx\n"}, {Head: "A:\n", Unit: " \n"}, {Head: "A: ", Unit: "b"}})
}
