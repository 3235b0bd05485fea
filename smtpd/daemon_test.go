package smtpd

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/parent"
)

func TestSessionLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files map[string]string
		most  int
		reply string
	}{
		{"in all", map[string]string{"concurrencysmtp": "3\n"}, 3, "421 4.3.2 too many connections, try again later (#4.3.2)"},
		{"from one address", map[string]string{"concurrencysmtpip": "2\n"}, 2, "421 4.7.0 too many connections from your address (#4.7.0)"},
		{"0 holds all", map[string]string{"concurrencysmtp": "0\n"}, 0, "421 4.3.2 *"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := startHost(t, c.files)
			var open []*client
			for range c.most {
				open = append(open, h.dial())
				open[len(open)-1].expect("220 mx.example.org ESMTP")
			}
			h.dial().play("S: " + c.reply + "\nS: <end>")
			for _, one := range open {
				one.play("C: QUIT\nS: 221 *\nS: <end>")
			}
			if c.most == 0 {
				return
			}
			h.free(c.most - 1)
			h.dial().expect("220 mx.example.org ESMTP")
		})
	}
}

// free waits until at most n sessions are counted: a session is counted until
// after its connection was closed.
func (h *host) free(n int) {
	h.t.Helper()
	for start := time.Now(); time.Since(start) < patience; {
		open, _ := h.d.limits.Open()
		if open <= n {
			return
		}
		time.Sleep(time.Millisecond)
	}
	h.t.Fatal("sessions are not freed")
}

// R60: slow sessions leave room for a normal one.
func TestSlowSessionsLeaveRoom(t *testing.T) {
	t.Parallel()
	h := startHost(t, map[string]string{"concurrencysmtpip": "1000\n"})
	for i := range 200 {
		c := h.dial()
		defer c.conn.Close() // they are in the way of nothing but the end of the test
		switch i % 4 {
		case 0: // says nothing
		case 1:
			c.send("NO")
		case 2:
			c.play("S: 220 *\nC: MAIL FROM:<a@b.c>\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *\nC: DATA\nS: 354 *\nR: Subj")
		case 3:
			c.play("S: 220 *\nC: MAIL FROM:<a@b.c>\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *\nC: DATA\nS: 354 *")
			c.send(strings.Repeat("x", 10000))
		}
	}
	h.dial().play(transaction + "C: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: 250 *" + bye)
	big := h.dial()
	big.play(transaction + "C: DATA\nS: 354 *")
	big.send("\r\n" + strings.Repeat("x", 1<<20) + "\r\n.\r\n")
	big.play("S: 250 *" + bye)
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	idle := h.dial()
	idle.play(hello)
	busy := h.dial()
	busy.play(transaction + "C: DATA\nS: 354 go ahead\n")
	chosen := h.dial()
	chosen.play(transaction)
	if err := h.channel.Close(); err != nil {
		t.Fatal(err)
	}
	idle.play("S: 421 4.3.2 going down, try again soon (#4.3.2)\nS: <end>")
	busy.play("R: x\\r\\n.\\r\\n\nS: 250 2.0.0 ok *\nS: 421 4.3.2 *\nS: <end>")
	chosen.play("C: DATA\nS: 354 *\nR: y\\r\\n.\\r\\nNOOP\\r\\n\nS: 250 2.0.0 ok *\nS: 250 2.0.0 ok\nS: 421 4.3.2 *\nS: <end>")
	if c, err := net.Dial("tcp", h.addr); err == nil {
		c.Close()
		t.Error("the daemon still listens")
	}
	h.stop()
	if n := len(h.spool.messages()); n != 2 {
		t.Errorf("%d messages queued, want 2", n)
	}
}

// A session that does not end by itself is cut off after the drain time.
func TestShutdownCutsOff(t *testing.T) {
	t.Parallel()
	const drain = 200 * time.Millisecond
	h := startHostThatDrains(t, nil, drain)
	c := h.dial()
	c.play(transaction + "C: DATA\nS: 354 go ahead\n")
	start := time.Now()
	if err := h.channel.Close(); err != nil {
		t.Fatal(err)
	}
	c.play("S: 421 4.3.2 *\nS: <end>")
	h.stop()
	if took := time.Since(start); took < drain {
		t.Errorf("ended after %v", took)
	}
}

func TestForeignFrames(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	a, b, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	h.send(parent.Frame{Kind: parent.Link, Name: parent.Entries, File: a})
	if _, err := h.channel.Send(parent.Frame{Kind: parent.Go}); err != nil {
		t.Fatal(err)
	}
	h.listen()
	h.dial().play("S: 220 *" + bye)
	if !strings.Contains(h.log.String(), "entries") {
		t.Errorf("log:\n%s", h.log)
	}
}

// One event is one line of printable ASCII, whatever clients send (R57).
func TestLog(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	h.dial().play(`
		S: 220 *
		R: EHLO a\tb%s=1 ip=6.6.6.6\r\n
		S: 250-*
		R: MAIL FROM:<\"evil\\\\ code=250 \xc3\xb6\"@example.net> SMTPUTF8\r\n
		S: 250 *
		C: RCPT TO:<x@example.net>
		S: 553 *
		C: RCPT TO:<jim@example.com>
		S: 250 *
		C: DATA
		S: 354 *
		R: x\r\n.\r\n
		S: 250 *
		R: \x1b]0;title\x07\r\n
		S: 500 *
	` + bye)
	h.stop()
	lines := strings.Split(h.log.String(), "\n")
	want := []string{"connect", "refused", "accepted", "refused", "end"}
	if len(lines) != len(want) {
		t.Fatalf("log:\n%s", h.log)
	}
	for i, line := range lines {
		prefix := fmt.Sprintf("qmail-smtpd: %s session=1 ip=127.0.0.1 ", want[i])
		if !strings.HasPrefix(line, prefix) || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("line %q", line)
		}
	}
	if !strings.Contains(lines[2], ` helo=a_b_s=1_ip=6.6.6.6 from=evil\_code=250___@example.net rcpts=1 bytes=2 id=17950000000000000001`) {
		t.Errorf("accepted: %s", lines[2])
	}
	if !strings.Contains(lines[1], " code=553 ") || !strings.Contains(lines[1], " command=RCPT_TO:<x@example.net>") {
		t.Errorf("refused: %s", lines[1])
	}
	if !strings.Contains(lines[4], " messages=1 refused=2 ") || !strings.HasSuffix(lines[4], " why=quit") {
		t.Errorf("end: %s", lines[4])
	}
}

func TestMemoryIsReturned(t *testing.T) {
	t.Parallel()
	b := &budget{}
	var held [][]byte
	for {
		buf := b.borrow(largeBuffer)
		if buf == nil {
			break
		}
		held = append(held, buf)
	}
	if int64(len(held)) != mostFor(largeBuffer)/largeBuffer {
		t.Errorf("%d large buffers", len(held))
	}
	for _, buf := range held {
		b.back(buf)
	}
	b.back(nil)
	if b.used.Load() != 0 {
		t.Errorf("%d octets are still lent", b.used.Load())
	}
	if b.borrow(smallBuffer) == nil || b.take(maxBorrowed) {
		t.Error("the bound moved")
	}
}

// When memory is short a message goes through a tiny buffer, a new one has
// to come again, and nothing is lost.
func TestShortMemory(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	if !h.d.lent.take(maxBorrowed - tinyBuffer - 1<<10) {
		t.Fatal("no memory")
	}
	c := h.dial()
	c.play(transaction + "C: DATA\nS: 354 go ahead\n")
	late := h.dial()
	late.play(transaction + "C: DATA\nS: 451 4.3.1 too much mail at once, try again soon (#4.3.1)\n")
	text := strings.Repeat(strings.Repeat("x", 98)+"\r\n", 3000)
	c.send(text + ".\r\n")
	c.play("S: 250 2.0.0 ok *" + bye)
	if m := h.spool.messages(); len(m) != 1 || !strings.HasSuffix(m[0].text, "\n"+strings.ReplaceAll(text, "\r", "")) {
		t.Error("the message differs")
	}
	late.play("C: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: 250 *" + bye)
}

// TestOneClientLeavesRoomForLongMessages: of the connections to the spool a
// client has some, but one that may relay.
func TestOneClientLeavesRoomForLongMessages(t *testing.T) {
	t.Parallel()
	h := startHost(t, map[string]string{"tcp.smtp": "127.0.0.2:allow,RELAYCLIENT=\"\"\n:allow\n"})
	link, clients := h.d.spool.link, []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}
	for range maxStreams / 8 {
		for _, addr := range clients {
			if err := link.Enter(addr, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	long := strings.Repeat(strings.Repeat("x", 98)+"\r\n", 3000) + ".\r\n"
	c := h.dial()
	c.play(transaction + "C: DATA\nS: 354 go ahead\n")
	c.send(long)
	c.play("S: 451 4.3.2 qq trouble: too many large messages at once (#4.3.2)\nC: MAIL FROM:<joe@example.net>\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *\nC: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: 250 *" + bye)
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conn, err := d.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	trusted := newClient(t, conn)
	trusted.play(transaction + "C: DATA\nS: 354 go ahead\n")
	trusted.send(long)
	trusted.play("S: 250 2.0.0 ok *" + bye)
	h.free(0)
	for _, addr := range clients { // what their messages had is given back, and no more
		link.Leave(addr)
		if link.Enter(addr, false) != nil || link.Enter(addr, false) == nil {
			t.Errorf("%v has not the places that it had before", addr)
		}
	}
}

// TestLongEnvelopesLeaveRoom: the recipients of some take no memory that the
// first recipients of others need.
func TestLongEnvelopesLeaveRoom(t *testing.T) {
	t.Parallel()
	b := &budget{}
	s := &session{service: &service{lent: b}}
	for s.growEnvelope(1000) {
		s.envelope = append(s.envelope, make([]byte, 1000)...)
	}
	if used := b.used.Load(); used > maxBorrowed/2 || used < maxBorrowed/8 {
		t.Errorf("one envelope takes %d octets", used)
	}
	other := &session{service: s.service}
	for other.growEnvelope(1000) {
		other.envelope = append(other.envelope, make([]byte, 1000)...)
	}
	third := &session{service: s.service}
	for range modestEnvelope / 1000 / 2 {
		if !third.growEnvelope(1000) {
			t.Fatalf("no room behind %d octets", len(third.envelope))
		}
		third.envelope = append(third.envelope, make([]byte, 1000)...)
	}
}

// Who is connected when another process takes over is served to the end, as
// long as it may take; then the daemon is gone.
func TestReplaced(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	c := h.dial()
	c.play(transaction)
	h.send(parent.Frame{Kind: parent.Drain})
	for { // the socket is ours alone here, so that it ends with the daemon's
		conn, err := net.Dial("tcp", h.addr)
		if err != nil {
			break
		}
		conn.Close()
	}
	c.play("C: DATA\nS: 354 go ahead\nR: x\\r\\n.\\r\\n\nS: 250 *\nC: MAIL FROM:<>\nS: 250 *\nC: RSET\nS: 250 *\n")
	select {
	case err := <-h.ended:
		t.Fatalf("it ended before its session: %v", err)
	default:
	}
	c.play("C: QUIT\nS: 221 *\n")
	select {
	case err := <-h.ended:
		if err != nil {
			t.Errorf("it ends with %v", err)
		}
		h.ended <- nil
	case <-time.After(patience):
		t.Error("it does not end with its last session")
	}
}
