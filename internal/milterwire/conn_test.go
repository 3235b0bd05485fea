package milterwire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/internal/milterwire/miltertest"
)

// patience bounds every wait of a test: it is reached only when one fails.
const patience = 30 * time.Second

type packet = miltertest.Packet

func pkt(letter byte, data string) packet { return packet{Letter: letter, Data: data} }

// dial returns a link to a milter, and what that is told.
func dial(t testing.TB, answer miltertest.Answer) (Link, *miltertest.Milter) {
	t.Helper()
	ours, theirs := net.Pipe()
	m := &miltertest.Milter{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.Serve(theirs, answer)
	}()
	t.Cleanup(func() {
		ours.Close()
		<-ended
	})
	return ours, m
}

func open(t testing.TB, answer miltertest.Answer) (*Conn, *miltertest.Milter) {
	t.Helper()
	link, m := dial(t, answer)
	c, err := Open(link, patience)
	if err != nil {
		t.Fatal(err)
	}
	c.Until(time.Now().Add(patience))
	return c, m
}

var someMacros = Macros{"j": "mx.example", "i": "7-1", "{client_addr}": "192.0.2.1"}

// converse goes through a transaction and stops at what is not Continue.
func converse(c *Conn, body io.Writer) (changes []Change, replaced bool, a Action, err error) {
	for _, step := range []func() (Action, error){
		func() (Action, error) { return c.Connect(someMacros, "client.example", '4', 25, "192.0.2.1") },
		func() (Action, error) { return c.Helo(someMacros, "client.example") },
		func() (Action, error) { return c.Mail(someMacros, "joe@example.net", []string{"SIZE=10"}) },
		func() (Action, error) { return c.Rcpt(someMacros, "jim@example.com", nil) },
		func() (Action, error) { return c.Data(someMacros) },
		func() (Action, error) { return c.Header("Subject", " hello\n\tyou") },
		func() (Action, error) { return c.EndOfHeader(someMacros) },
		func() (Action, error) { return c.Body([]byte("body\r\n")) },
	} {
		if a, err = step(); err != nil || a.Verdict != Continue {
			return nil, false, a, err
		}
	}
	return c.End(someMacros, body)
}

func TestConversation(t *testing.T) {
	t.Parallel()
	end := miltertest.Packets(
		pkt('p', ""), pkt('h', "X-Seen\x00yes\x00"), pkt('m', "\x00\x00\x00\x02Subject\x00\x00"),
		pkt('i', "\x00\x00\x00\x01X-Top\x00a\r\n b\x00"), pkt('+', "<a@b>\x00"), pkt('2', "<c@d>\x00NOTIFY=NEVER\x00"),
		pkt('-', "<jim@example.com>\x00"), pkt('e', "<>\x00"), pkt('b', "new "), pkt('b', "body\r\n"),
		pkt('q', "odd\x00"), pkt('y', "550-5.7.9 no\r\n550 5.7.9 never\x00"))
	c, m := open(t, miltertest.Polite(map[byte][]byte{'E': end}))
	var body bytes.Buffer
	changes, replaced, a, err := converse(c, &body)
	if err != nil || a.Verdict != Refuse || a.Reply != (Reply{550, "5.7.9", "no\nnever"}) || !replaced || body.String() != "new body\r\n" {
		t.Errorf("%v, %q, %+v, %v", replaced, &body, a, err)
	}
	want := []Change{
		{Kind: AddHeader, Name: "X-Seen", Value: "yes"}, {Kind: ChangeHeader, Name: "Subject", Index: 2},
		{Kind: InsertHeader, Name: "X-Top", Value: "a\n b", Index: 1}, {Kind: AddRcpt, Address: "a@b"}, {Kind: AddRcpt, Address: "c@d"},
		{Kind: DeleteRcpt, Address: "jim@example.com"}, {Kind: ChangeFrom}, {Kind: Quarantine, Value: "odd"},
	}
	if !reflect.DeepEqual(changes, want) {
		t.Errorf("changes %+v, want %+v", changes, want)
	}
	c.Quit(false)
	told := m.Told()
	for _, want := range []packet{
		pkt('D', "Cj\x00mx.example\x00{client_addr}\x00192.0.2.1\x00"), pkt('C', "client.example\x004\x00\x19192.0.2.1\x00"), pkt('H', "client.example\x00"),
		pkt('D', "Mi\x007-1\x00"), pkt('M', "<joe@example.net>\x00SIZE=10\x00"), pkt('R', "<jim@example.com>\x00"), pkt('T', ""),
		pkt('L', "Subject\x00hello\n\tyou\x00"), pkt('N', ""), pkt('B', "body\r\n"), pkt('E', ""),
	} {
		if !slices.Contains(told, want) {
			t.Errorf("the milter was not told %q %q; told %q", want.Letter, want.Data, told)
		}
	}
}

// A milter can leave out steps, or give no verdict about them.
func TestStepsThatAreNotWanted(t *testing.T) {
	t.Parallel()
	const protocol = noConnect | noHelo | silentMail | silentHeader | noBody | leadingSpace
	negotiated := miltertest.Options(protocol)
	negotiated = append(negotiated, "\x00\x00\x00\x02j {x}\x00"...) // macros of MAIL
	binary.BigEndian.PutUint32(negotiated, uint32(len(negotiated)-4))
	c, m := open(t, miltertest.Polite(map[byte][]byte{'O': negotiated, 'M': nil, 'L': nil}))
	if _, _, a, err := converse(c, io.Discard); err != nil || a.Verdict != Continue || c.WantsBody() || !c.LeadingSpace() {
		t.Errorf("%+v, %v", a, err)
	}
	if got := m.Text('C') + m.Text('H') + m.Text('B'); got != "" {
		t.Errorf("told %q", got)
	}
	if !slices.Contains(m.Told(), pkt('D', "Mj\x00mx.example\x00")) || m.Text('L') != "Subject\x00 hello\n\tyou\x00" {
		t.Errorf("told %q", m.Told())
	}
}

func TestOldVersion(t *testing.T) {
	t.Parallel()
	old := miltertest.Packets(pkt('O', "\x00\x00\x00\x02\x00\x00\x00\x1f\x00\x00\x00\x00"))
	c, m := open(t, miltertest.Polite(map[byte][]byte{'O': old, 'T': miltertest.Packets(pkt('r', ""))}))
	if _, _, a, err := converse(c, io.Discard); err != nil || a.Verdict != Continue || m.Text('M') == "" {
		t.Errorf("%+v, %v: told %q", a, err, m.Told())
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	for answer, want := range map[packet]Action{
		pkt('a', ""): {Verdict: Accept}, pkt('d', ""): {Verdict: Discard}, pkt('r', ""): {Refuse, Rejected}, pkt('t', ""): {Refuse, TryAgain},
		pkt('y', "451 4.2.2 full\x00"): {Refuse, Reply{451, "4.2.2", "full"}}, pkt('y', "554\x00"): {Refuse, Reply{554, "5.7.1", ""}},
		pkt('y', "550 4.1.1 other\r\n\x00"): {Refuse, Reply{550, "5.7.1", "4.1.1 other"}}, pkt('y', "421 bye \x01\xff\x00"): {Refuse, Reply{421, "4.7.1", "bye ??"}},
	} {
		for _, step := range "CHMRTLNB" {
			c, _ := open(t, miltertest.Polite(map[byte][]byte{byte(step): miltertest.Packets(answer)}))
			if _, _, a, err := converse(c, io.Discard); err != nil || a != want {
				t.Errorf("%c answered %q: %+v, %v", step, answer, a, err)
			}
		}
	}
}

func TestSkip(t *testing.T) {
	t.Parallel()
	c, m := open(t, miltertest.Polite(map[byte][]byte{'O': miltertest.Options(canSkip), 'B': miltertest.Packets(pkt('s', ""))}))
	for range 3 {
		if a, err := c.Body([]byte("x")); err != nil || a.Verdict != Continue {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	if c.WantsBody() || m.Text('B') != "x" {
		t.Errorf("told %q", m.Text('B'))
	}
}

// Whatever a milter says, it is an error, soon, and of bounded size.
func TestBrokenMilters(t *testing.T) {
	t.Parallel()
	reply := func(s string) []byte { return miltertest.Packets(pkt('y', s)) }
	for name, c := range map[string]struct {
		letter byte
		answer []byte
	}{
		"empty packet":       {'O', []byte{0, 0, 0, 0}},
		"huge packet":        {'O', []byte{0xff, 0xff, 0xff, 0xff, 'O'}},
		"no negotiation":     {'O', miltertest.Continue},
		"short negotiation":  {'O', miltertest.Packets(pkt('O', "\x00\x00\x00\x06"))},
		"new version":        {'O', miltertest.Packets(pkt('O', "\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00"))},
		"old version":        {'O', miltertest.Packets(pkt('O', "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00"))},
		"unknown protocol":   {'O', miltertest.Options(1 << 25)},
		"half a macro list":  {'O', miltertest.Packets(pkt('O', "\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))},
		"macros of nowhere":  {'O', miltertest.Packets(pkt('O', "\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09x\x00"))},
		"many macros":        {'O', miltertest.Packets(pkt('O', "\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"+strings.Repeat("a ", maxMacros+1)+"\x00"))},
		"unknown letter":     {'M', miltertest.Packets(pkt('Z', ""))},
		"change too early":   {'M', miltertest.Packets(pkt('h', "X\x00y\x00"))},
		"skip not agreed":    {'B', miltertest.Packets(pkt('s', ""))},
		"skip of MAIL":       {'M', miltertest.Packets(pkt('s', ""))},
		"always busy":        {'M', bytes.Repeat(miltertest.Packets(pkt('p', "")), maxProgress+1)},
		"busy at the end":    {'E', bytes.Repeat(miltertest.Packets(pkt('p', "")), maxProgress+1)},
		"reply without NUL":  {'M', reply("550 no")},
		"reply without code": {'M', reply("no\x00")},
		"positive reply":     {'M', reply("250 2.0.0 ok\x00")},
		"two codes":          {'M', reply("550-no\r\n451 maybe\x00")},
		"long reply":         {'M', reply("550 " + strings.Repeat("x", maxReplyLine) + "\x00")},
		"many lines":         {'M', reply(strings.Repeat("550-x\r\n", maxReplyLines+1) + "\x00")},
		"index missing":      {'E', miltertest.Packets(pkt('m', "\x00"))},
		"no name":            {'E', miltertest.Packets(pkt('h', "\x00x\x00"))},
		"name with a colon":  {'E', miltertest.Packets(pkt('h', "A: b\x00x\x00"))},
		"name with a line":   {'E', miltertest.Packets(pkt('h', "A\nB\x00x\x00"))},
		"not ended":          {'E', miltertest.Packets(pkt('h', "A\x00x"))},
		"three strings":      {'E', miltertest.Packets(pkt('h', "A\x00x\x00y\x00"))},
		"address with lines": {'E', miltertest.Packets(pkt('+', "<a@b>\r\nRCPT TO:<c@d>\x00"))},
		"long address":       {'E', miltertest.Packets(pkt('+', strings.Repeat("a", maxAddress+1)+"\x00"))},
		"many changes":       {'E', bytes.Repeat(miltertest.Packets(pkt('h', "A\x00x\x00")), maxChanges+1)},
		"says a lot":         {'E', bytes.Repeat(miltertest.Packets(pkt('h', "A\x00"+strings.Repeat("x", 1<<19)+"\x00")), 9)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			link, _ := dial(t, miltertest.Polite(map[byte][]byte{c.letter: c.answer}))
			conn, err := Open(link, patience)
			if err == nil {
				conn.Until(time.Now().Add(patience))
				_, _, _, err = converse(conn, io.Discard)
			}
			if !errors.Is(err, ErrProtocol) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A milter that is silent, or only says that it needs time, is given up.
func TestSlowMilters(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string][]byte{"silent": nil, "busy": miltertest.Packets(pkt('p', ""))} {
		link, _ := dial(t, miltertest.Polite(map[byte][]byte{'M': answer}))
		c, err := Open(link, patience)
		if err != nil {
			t.Fatal(err)
		}
		c.Until(time.Now().Add(50 * time.Millisecond))
		if _, _, _, err := converse(c, io.Discard); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A value stays in its field, whatever a milter puts in it.
func TestValuesStayInTheirField(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"a\r\nBcc: x": "a\n\tBcc: x", "a\nb": "a\n\tb", "a\n\nbody": "a\n\tbody", "a\r\n\r\n\r\nb": "a\n\tb", "a\rb": "a\n\tb",
		"a\n \nb": "a\n\tb", "a\n": "a", "\n": "", "": "", "a\r\n\tb": "a\n\tb",
	} {
		c, err := parseChange('h', []byte("X\x00"+value+"\x00"))
		if err != nil || c.Value != want {
			t.Errorf("%q became %q, want %q (%v)", value, c.Value, want, err)
		}
	}
}
