package qmailremote

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/tcpto"
)

// success is a whole dialogue with one recipient at a peer without extensions.
const success = sent + "S 250 queued" + bye

// twoMX prefers 192.0.2.1 to 192.0.2.2.
var twoMX = []string{
	"d.example. 60 IN MX 20 mx2.d.example.",
	"d.example. 60 IN MX 10 mx1.d.example.",
	"mx1.d.example. 60 IN A 192.0.2.1",
	"mx2.d.example. 60 IN A 192.0.2.2",
}

const queuedBy2 = "r|K192.0.2.2 accepted message./Remote host said: 250 queued/|"

// TestNextHost shows which troubles of the first exchanger send the message to
// the second one (RFC 5321 section 5.1).
func TestNextHost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		first  string // what the first does; empty: it refuses the connection
		second string
		want   string
	}{
		{"connection refused", "", success, queuedBy2},
		{"greeting 421", "S 421 busy", success, queuedBy2},
		{"greeting 554", "S 554 go away" + bye, success, queuedBy2},
		{"no greeting", ". close", success, queuedBy2},
		{"name rejected", "S 220 p\nC EHLO me.example.org\nS 550 no\nC HELO me.example.org\nS 550 no" + bye, success, queuedBy2},
		{"MAIL 421", hello + "C MAIL FROM:<s@x.example>\nS 421 bye", success, queuedBy2},
		{"closed at MAIL", hello + "C MAIL FROM:<s@x.example>", success, queuedBy2},
		{"RCPT 421", begun + "S 421 bye", success, queuedBy2},
		{"closed at DATA", toData, success, queuedBy2},

		{"sender refused for now: final", hello + "C MAIL FROM:<s@x.example>\nS 451 grey" + bye, "",
			"ZConnected to 192.0.2.1 but sender was rejected./Remote host said: 451 grey/|"},
		{"recipient refused: final", begun + "S 550 who" + bye, "",
			"h192.0.2.1 does not like recipient./Remote host said: 550 who/|DGiving up on 192.0.2.1./|"},
		{"unclear end: final", sent + ". close", "",
			"r|ZConnected to 192.0.2.1 but connection died. Possible duplicate! (#4.4.2)/|"},
		{"message refused: final", sent + "S 452 full" + bye, "",
			"r|Z192.0.2.1 failed after I sent the message./Remote host said: 452 full/|"},
		{"both refuse the connection", "", "", "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)/|"},
		{"the last trouble is told", "S 421 one", "S 421 two",
			"ZConnected to 192.0.2.2 but greeting failed./Remote host said: 421 two/|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, twoMX...)
			if c.first != "" {
				h.peer("192.0.2.1", script(c.first))
			}
			if c.second != "" {
				h.peer("192.0.2.2", script(c.second))
			}
			if got := h.deliver(simpleMessage, "d.example", "r@d.example"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			h.end()
		})
	}
}

func TestNextHostLimits(t *testing.T) {
	t.Parallel()
	zone := []string{}
	for i := range 30 {
		zone = append(zone, fmt.Sprintf("d.example. 60 IN MX %d mx%d.d.example.", i, i),
			fmt.Sprintf("mx%d.d.example. 60 IN A 192.0.2.%d", i, i+1))
	}
	t.Run("addresses", func(t *testing.T) {
		t.Parallel()
		h := newHost(t, zone...)
		h.deliver(simpleMessage, "d.example", "r@d.example")
		if n := len(strings.Fields(h.dialed())); n != maxAddresses {
			t.Errorf("%d addresses tried", n)
		}
	})
	t.Run("sessions", func(t *testing.T) {
		t.Parallel()
		h := newHost(t, zone...)
		for i := range maxSessions {
			h.peer(fmt.Sprintf("192.0.2.%d", i+1), "S 421 no")
		}
		h.deliver(simpleMessage, "d.example", "r@d.example")
		if n := len(strings.Fields(h.dialed())); n != maxSessions {
			t.Errorf("%d sessions opened", n)
		}
		h.end()
	})
}

func TestShortage(t *testing.T) {
	t.Parallel()
	h := newHost(t, twoMX...)
	h.fails[at("192.0.2.1")] = os.NewSyscallError("socket", syscall.EMFILE)
	want := "ZSystem resources temporarily unavailable. (#4.3.0)/|"
	if got := h.deliver(simpleMessage, "d.example", "r@d.example"); got != want {
		t.Errorf("got %s", got)
	}
}

// TestSlow has peers that stop speaking: each wait ends by itself.
func TestSlow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, script, want string }{
		{"no greeting", "~ hang", "ZConnected to 192.0.2.1 but greeting failed./|"},
		{"half a greeting", "S- 22\n~ hang", "ZConnected to 192.0.2.1 but greeting failed./Remote host said: 22/|"},
		{"no answer to MAIL", hello + "C MAIL FROM:<s@x.example>\n~ hang", "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/|"},
		{"no answer to the message", sent + "~ hang", "r|ZConnected to 192.0.2.1 but connection died. Possible duplicate! (#4.4.2)/|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, oneMX...)
			h.set.remoteTimeout = 100 * time.Millisecond
			h.peer("192.0.2.1", script(c.script))
			if got := h.deliver(simpleMessage, "d.example", "r@d.example"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestSlowWithoutEnd has a peer that answers each command just in time: the
// whole is bounded too.
func TestSlowWithoutEnd(t *testing.T) {
	t.Parallel()
	h := newHost(t, oneMX...)
	h.set.connectTimeout, h.set.remoteTimeout = 100*time.Millisecond, 100*time.Millisecond
	steps := hello + "C MAIL FROM:<s@x.example>\nS 250 ok\n"
	var list []string
	for i := range 100 {
		list = append(list, fmt.Sprintf("r%d@d.example", i))
		steps += "C RCPT TO:<" + list[i] + ">\nW 60\nS 250 ok\n"
	}
	h.peer("192.0.2.1", script(steps))
	start := time.Now()
	if got := h.deliver(simpleMessage, "d.example", list...); got != "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/|" {
		t.Errorf("got %s", got)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

// TestMessageCut has a peer that is lost in the middle of a large message: the
// end mark was not sent, so the next host may have the message.
func TestMessageCut(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789abcde\n", 1<<20)
	for _, end := range []string{"~ hang", "M 100000\n! reset", "M 100000\n. close"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, twoMX...)
			h.set.remoteTimeout = 300 * time.Millisecond
			h.peer("192.0.2.1", script(toData+"S 354 go\n"+end))
			h.peer("192.0.2.2", script(toData+fmt.Sprintf("S 354 go\nM %d\nC .\nS 250 queued", len(large)+1<<20)))
			if got := h.deliver(large, "d.example", "r@d.example"); got != queuedBy2 {
				t.Errorf("got %s", got)
			}
		})
	}
}

// TestEarlyRefusal has a peer that refuses the message before its end.
func TestEarlyRefusal(t *testing.T) {
	t.Parallel()
	h := newHost(t, oneMX...)
	// The reply is there before the end mark: whether the client notices it
	// in the middle or at the end, it is the verdict.
	h.peer("192.0.2.1", toData+"S 354 go\nM 100000\nS 552 too big\nM 900000\n. close")
	got := h.deliver(strings.Repeat("0123456789abcde\n", 1<<16), "d.example", "r@d.example")
	want := "r|D192.0.2.1 failed after I sent the message./Remote host said: 552 too big/|"
	if got != want {
		t.Errorf("got %s", got)
	}
}

// TestCalledOff ends the context of a delivery at several moments.
func TestCalledOff(t *testing.T) {
	t.Parallel()
	const died = "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/|"
	for _, c := range []struct {
		name, script, want string
		atEnd              bool // when the message has been read
	}{
		{"while MAIL waits", hello + "C MAIL FROM:<s@x.example>\n@ event\n~ hang", died, false},
		{"before the end mark", toData + "S 354 go\nM 1", died, true},
		{"after the end mark the answer counts", sent + "@ event\nS 250 queued" + bye,
			"r|K192.0.2.1 accepted message./Remote host said: 250 queued/|", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, twoMX...)
			h.peer("192.0.2.1", script(c.script))
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			h.event = cancel
			b := message(t, simpleMessage)
			if c.atEnd {
				b.r = cancelAtEnd{b.r, cancel}
			}
			m := mail{sender: addr(t, "s@x.example"), body: b, recipients: recipients(t, "r@d.example")}
			o, _ := h.client.deliver(ctx, "d.example", m)
			if got := show(o); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if got := h.dialed(); got != "192.0.2.1" {
				t.Errorf("dialed %s", got)
			}
		})
	}
}

func TestAddressesOnTheWire(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"joe@d.example", "joe@d.example"},
		{"se nder@d.example", `"se nder"@d.example`},
		{`a"b@d.example`, `"a\"b"@d.example`},
		{".a@d.example", `".a"@d.example`},
		{"a@b@d.example", `"a@b"@d.example`},
		{"#@[]", "#@[]"},
		{"joe", "joe"},
		{".joe.", ".joe."},
		{"a b", `"a b"`},
		{"a>b", `"a>b"`},
		{"", ""},
	} {
		a := addr(t, c.in)
		if got := wireAddress(a); got != c.want {
			t.Errorf("%q goes out as %q, want %q", c.in, got, c.want)
		}
	}
	for _, s := range []string{"a@d.example> SIZE=1", "a@b c", "a@<x>", "a@x\x01"} {
		if sendable(addr(t, s)) {
			t.Errorf("%q is sendable", s)
		}
	}
}

func TestUnsendable(t *testing.T) {
	t.Parallel()
	h := newHost(t, oneMX...)
	h.peer("192.0.2.1", hello+"C MAIL FROM:<s@x.example>\nS 250 ok\nC RCPT TO:<r@d.example>\nS 250 ok\nC RCPT TO:<q@d.example>\nS 550 q\nC DATA\nS 354 go\nD hi\nS 250 queued"+bye)
	got := h.deliver("hi\n", "d.example", "a@d.example >", "r@d.example", "b@d example", "q@d.example")
	want := "hSorry, this address cannot be sent by SMTP. (#5.1.3)/|r|hSorry, this address cannot be sent by SMTP. (#5.1.3)/|" +
		"h192.0.2.1 does not like recipient./Remote host said: 550 q/|K192.0.2.1 accepted message./Remote host said: 250 queued/|"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	h.end()

	if got := h.deliver("hi\n", "d.example", "b@d example"); got != "hSorry, this address cannot be sent by SMTP. (#5.1.3)/|DGiving up./|" {
		t.Errorf("got %s", got)
	}
	o, _ := h.client.deliver(context.Background(), "d.example", mail{sender: addr(t, "s@x >"), body: message(t, ""), recipients: recipients(t, "r@d.example")})
	if got := show(o); got != "DSorry, the sender address cannot be sent by SMTP. (#5.1.7)/|" {
		t.Errorf("got %s", got)
	}
}

func TestDownHosts(t *testing.T) {
	t.Parallel()
	now := newManualClock()
	d := newDownHosts(now, nil)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	steps := []struct {
		do   func()
		skip bool
	}{
		{func() {}, false},
		{func() { d.timedOut(a) }, false},
		{func() { now.add(downGap - time.Second); d.timedOut(a) }, false}, // counts as one
		{func() { now.add(2 * time.Second); d.timedOut(a) }, true},
		{func() { now.add(downFor - time.Second) }, true},
		{func() { now.add(downSpread + time.Second) }, false},
		{func() { d.timedOut(a) }, true},
		{func() { d.answered(a) }, false},
		{func() { now.add(downGap); d.timedOut(a) }, false},
	}
	for i, s := range steps {
		s.do()
		if d.skip(a) != s.skip || d.skip(b) {
			t.Fatalf("step %d: skip %v, of another host %v", i, d.skip(a), d.skip(b))
		}
	}
	for i := range 2 * maxDown {
		d.timedOut(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	}
	if len(d.hosts) > maxDown {
		t.Errorf("%d hosts are remembered", len(d.hosts))
	}
}

// TestTimeoutSkipsHost: two timeouts, then the address is not dialed again.
func TestTimeoutSkipsHost(t *testing.T) {
	t.Parallel()
	h := newHost(t, oneMX...)
	now := newManualClock()
	h.client.down = newDownHosts(now, nil)
	h.fails[at("192.0.2.1")] = os.NewSyscallError("connect", syscall.ETIMEDOUT)
	for range 4 {
		if got := h.deliver("hi\n", "d.example", "r@d.example"); got != "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)/|" {
			t.Errorf("got %s", got)
		}
		now.add(2 * downGap)
	}
	if got := h.dialed(); got != "192.0.2.1 192.0.2.1" {
		t.Errorf("dialed %s", got)
	}
}

// TestSharedDownHosts: what one worker knows counts for all, and nothing does
// once the table is emptied.
func TestSharedDownHosts(t *testing.T) {
	t.Parallel()
	now, home := newManualClock(), t.TempDir()
	if err := os.MkdirAll(filepath.Dir(home+"/"+tcpto.File), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(home+"/"+tcpto.File, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open := func() *tcpto.Table {
		table, err := tcpto.Open(home, true)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { table.Close() })
		return table
	}
	a, b := newDownHosts(now, open()), newDownHosts(now, open())
	for _, addr := range []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")} {
		a.timedOut(addr)
		now.add(2 * downGap)
		b.timedOut(addr)
		if !a.skip(addr) || !b.skip(addr) {
			t.Errorf("%s: skip %v, %v", addr, a.skip(addr), b.skip(addr))
		}
		a.answered(addr)
		if a.skip(addr) || b.skip(addr) {
			t.Errorf("%s: skipped though it has answered", addr)
		}
		a.timedOut(addr)
		now.add(2 * downGap)
		a.timedOut(addr)
		if err := open().Clear(); err != nil {
			t.Fatal(err)
		}
		if a.skip(addr) || b.skip(addr) {
			t.Errorf("%s: skipped though the table is empty", addr)
		}
	}
}
