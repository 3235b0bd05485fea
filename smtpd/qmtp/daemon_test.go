package qmtp

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/internal/netstring"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/submit"
)

// The way to the spool: short messages and long ones, many on one connection.
func TestDaemon(t *testing.T) {
	t.Parallel()
	h := startHost(t, qmtpProtocol, nil)
	c := h.dial()
	long := strings.Repeat("a line of text\n", 20000)
	c.send(vector + mail("\n"+long, "", "b@example.com") + vector)
	c.expect(ok, notHere, ok, ok, notHere)
	want := []string{vectorQueued, fmt.Sprintf("F Tb@example.com %q", long), vectorQueued}
	if got := h.spool.messages(); !slices.Equal(got, want) {
		t.Errorf("queued %.300q", got)
	}
	received := regexp.MustCompile(`^Received: from unknown \(127\.0\.0\.1\)\n  by mx\.example\.org with QMTP; [^\n]* -0000\nhi\n$`)
	if text := h.spool.taken[0].text; !received.MatchString(text) {
		t.Errorf("text %q", text)
	}
	c.conn.Close()
	h.stop()
	for _, want := range []string{
		"qmail-qmtpd: connect session=1 ip=127.0.0.1 port=",
		"qmail-qmtpd: refused session=1 ip=127.0.0.1 from=s@x rcpt=z@foo.org class=D rule=rcpthosts text=sorry,_that",
		"qmail-qmtpd: accepted session=1 ip=127.0.0.1 from=s@x rcpts=1 refused=1 bytes=3 id=17950000000000000001",
		"qmail-qmtpd: end session=1 ip=127.0.0.1 messages=3 refused=0 ms=",
	} {
		if !strings.Contains(h.log.String(), want) {
			t.Errorf("no line %q in\n%s", want, h.log)
		}
	}
}

func TestDaemonQMQP(t *testing.T) {
	t.Parallel()
	h := startHost(t, qmqpProtocol, nil)
	c := h.dial()
	c.send(qmqpVector)
	c.expect(ok, "<end>")
	// The spool hears that the client may relay.
	if got := h.spool.messages(); !slices.Equal(got, []string{strings.Replace(qmqpQueued, " T", " sc T", 1)}) {
		t.Errorf("queued %q", got)
	}
}

// Many recipients go to the spool while they arrive.
func TestManyRecipients(t *testing.T) {
	t.Parallel()
	h := startHost(t, qmtpProtocol, nil)
	var rcpts, want []string
	for i := range 20000 {
		rcpts = append(rcpts, fmt.Sprintf("user%d@example.com", i))
		want = append(want, ok)
	}
	c := h.dial()
	go c.send(mail("\nx\n", "s@x", rcpts...))
	c.expect(want...)
	if got := h.spool.messages(); len(got) != 1 || got[0] != "Fs@x T"+strings.Join(rcpts, " T")+` "x\n"` {
		t.Errorf("queued %d messages, %.100q", len(got), got)
	}
	if n := h.d.lent.used.Load(); n != 0 && h.wait(func() bool { return h.d.lent.used.Load() == 0 }) {
		t.Errorf("%d bytes are still lent", n)
	}
}

// wait waits until ok, and returns true if it never was.
func (h *host) wait(ok func() bool) (never bool) {
	for begun := time.Now(); !ok(); runtime.Gosched() {
		if time.Since(begun) > patience {
			return true
		}
	}
	return false
}

func TestWhoMayConnect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		p     protocol
		files map[string]string
		taken bool
		line  string
	}{
		{"qmtp", qmtpProtocol, nil, true, ""},
		{"qmtp denied", qmtpProtocol, map[string]string{"tcp.smtp": "127.:deny\n"}, false, "qmail-qmtpd: denied ip=127.0.0.1 rule=tcp.smtp"},
		{"qmtp full", qmtpProtocol, map[string]string{"concurrencyqmtp": "0\n"}, false, "qmail-qmtpd: turned away ip=127.0.0.1 rule=concurrencyqmtp"},
		{"qmtp full of one", qmtpProtocol, map[string]string{"concurrencyqmtpip": "0\n"}, false, "qmail-qmtpd: turned away ip=127.0.0.1 rule=concurrencyqmtpip"},
		{"qmtp without controls", qmtpProtocol, map[string]string{"rcpthosts": "a\x00\n"}, false, "qmail-qmtpd: alert: unable to read controls, no mail is taken: "},
		{"qmqp from this host", qmqpProtocol, nil, true, ""},
		{"qmqp from one that is listed", qmqpProtocol, map[string]string{"qmqphosts": "127.0.0.0/8\n"}, true, ""},
		{"qmqp from another", qmqpProtocol, map[string]string{"qmqphosts": "192.0.2.1\n"}, false, "qmail-qmqpd: denied ip=127.0.0.1 rule=qmqphosts"},
		{"qmqp from nobody", qmqpProtocol, map[string]string{"qmqphosts": ""}, false, "qmail-qmqpd: denied ip=127.0.0.1 rule=qmqphosts"},
		{"qmqp with a list that is broken", qmqpProtocol, map[string]string{"qmqphosts": "127.0.0.1\nlocalhost\n"}, false, "qmail-qmqpd: alert: unable to read controls"},
		{"qmqp full", qmqpProtocol, map[string]string{"concurrencyqmqp": "0\n"}, false, "qmail-qmqpd: turned away ip=127.0.0.1 rule=concurrencyqmqp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := startHost(t, c.p, c.files)
			client := h.dial()
			if c.taken {
				client.send(map[string]string{"QMTP": vector, "QMQP": qmqpVector}[c.p.name])
				client.expect(ok)
			} else {
				client.expect("<end>")
			}
			if !strings.Contains(h.log.String(), c.line) {
				t.Errorf("log:\n%s", h.log)
			}
		})
	}
}

// The variables of a rule count.
func TestRule(t *testing.T) {
	t.Parallel()
	h := startHost(t, qmtpProtocol, map[string]string{"tcp.smtp": `127.:allow,RELAYCLIENT="",TCPREMOTEHOST="h.example",TCPREMOTEINFO="joe"` + "\n"})
	c := h.dial()
	c.send(mail("\nx\n", "s@x", "a@foo.org"))
	c.expect(ok)
	if text := h.spool.taken[0].text; !strings.HasPrefix(text, "Received: from h.example (joe@127.0.0.1)\n  by mx.example.org with QMTP; ") {
		t.Errorf("text %q", text)
	}
	h = startHost(t, qmtpProtocol, map[string]string{"tcp.smtp": `127.:allow,QMAILQUEUE="/bin/filter"` + "\n"})
	c = h.dial()
	c.send(mail("\nx\n", "s@x", "a@example.com"))
	c.expect("Zthe mail filter for your address is not available (#4.3.5)")
}

// A change of a control file counts for the next connection.
func TestControlsChange(t *testing.T) {
	t.Parallel()
	h := startHost(t, qmtpProtocol, nil)
	c := h.dial()
	c.send(mail("\nx\n", "s@x", "a@foo.org"))
	c.expect(notHere)
	if err := os.WriteFile(filepath.Join(h.home, "control", "rcpthosts"), []byte("foo.org\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if h.wait(func() bool {
		c := h.dial()
		defer c.conn.Close()
		c.send(mail("\nx\n", "s@x", "a@foo.org"))
		return c.next() == ok
	}) {
		t.Error("the change never counts")
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text, why string
		files           map[string]string
	}{
		{"silence between messages", vector, "why=timeout", map[string]string{"timeoutsmtpd": "1\n"}},
		{"silence inside a message", vector + "100:\nx", "why=timeout", map[string]string{"timeoutsmtpd": "1\n"}},
		{"the session", vector, "why=session_time_over", map[string]string{"timeoutsmtpdsession": "1\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := startHost(t, qmtpProtocol, c.files)
			client := h.dial()
			client.send(c.text)
			client.expect(ok, notHere, "<end>")
			h.stop()
			if !strings.Contains(h.log.String(), c.why) {
				t.Errorf("log:\n%s", h.log)
			}
		})
	}
}

// A client that never stops, but sends slower than the lowest rate, is cut off.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	h := startHost(t, qmtpProtocol, map[string]string{"timeoutsmtpd": "1\n", "minratesmtp": "1000000\n"})
	c := h.dial()
	c.send("1000000:\n")
	ended := make(chan string, 1)
	go func() { ended <- c.next() }()
	for {
		select {
		case <-ended:
			h.stop()
			if !strings.Contains(h.log.String(), "why=too_slow") {
				t.Errorf("log:\n%s", h.log)
			}
			return
		case <-time.After(10 * time.Millisecond):
			c.send("x")
		}
	}
}

// The daemon ends as soon as no message is in hand.
func TestStop(t *testing.T) {
	t.Parallel()
	h := startHost(t, qmtpProtocol, nil)
	idle, busy := h.dial(), h.dial()
	idle.send(vector)
	idle.expect(ok, notHere)
	busy.send(vector + vector[:20])
	busy.expect(ok, notHere)
	_ = h.channel.Close()
	idle.expect("<end>")
	busy.send(vector[20:])
	busy.expect(ok, notHere, "<end>")
	h.stop()
}

// The spool dies when it has a message and before it answers: the next one is
// given the same message with the same nonce, and its answer is the client's.
func TestAnswerIsLost(t *testing.T) {
	t.Parallel()
	h := startHost(t, qmtpProtocol, nil)
	dying := h.spool
	dying.note(func() { dying.hangUp = true })
	c := h.dial()
	c.send(vector)
	dying.await("the message", func() bool { return len(dying.taken) > 0 })
	h.spool = newFakeSpool(t)
	h.relink()
	c.expect(ok, notHere)
	if next := h.spool.messages(); len(next) != 1 || next[0] != dying.messages()[0] || h.spool.nonces[0] != dying.nonces[0] {
		t.Errorf("got %v with %q, want %v with %q", next, h.spool.nonces, dying.messages(), dying.nonces)
	}
}

// A message that a client breaks off is dropped by the spool, whatever was
// handed on.
func TestBrokenOff(t *testing.T) {
	t.Parallel()
	h := startHost(t, qmtpProtocol, nil)
	c := h.dial()
	c.send("1000000:\n" + strings.Repeat("x", 500000))
	h.spool.await("a part of the message", func() bool { return h.spool.octets > 400000 })
	c.conn.Close()
	h.spool.await("its end", func() bool { return h.spool.aborted == 1 })
	if len(h.spool.messages()) != 0 {
		t.Error("it was queued")
	}
}

func TestSpoolRefuses(t *testing.T) {
	t.Parallel()
	h := startHost(t, qmtpProtocol, nil)
	h.spool.note(func() {
		h.spool.answer = func(queuedMessage) submit.Answer { return submit.Answer{Kind: submit.Temporary, ExitCode: 53} }
	})
	c := h.dial()
	c.send(vector)
	c.expect("Zqq write error or disk full (#4.3.0)", notHere)
}

// R42: what is announced, or sent, does not grow the process.
func TestMemory(t *testing.T) {
	h := startHost(t, qmtpProtocol, map[string]string{"timeoutsmtpd": "30\n"})
	h.spool.note(func() { h.spool.forgets = true })
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	c := h.dial()
	const sent = 64 << 20
	c.send(string(netstring.AppendHeader(nil, 1<<30)) + "\n")
	piece := strings.Repeat("x", 1<<20)
	for range sent >> 20 {
		c.send(piece)
	}
	h.spool.await("what was sent", func() bool { return h.spool.octets > sent-maxKept-idleBuffer-pieceSize })
	if after := heap(); after > before+4<<20 {
		t.Errorf("%d bytes more after %d were sent", after-before, sent)
	}
	c.conn.Close()
}

// What sessions hold together is bounded: those that get no memory are told to
// come again.
func TestMemoryIsShared(t *testing.T) {
	t.Parallel()
	h := startHost(t, qmtpProtocol, nil)
	if !h.d.lent.take(maxMemory) {
		t.Fatal("no memory")
	}
	for range maxStreams {
		if err := h.d.spool.link.Enter(netip.Addr{}, true); err != nil {
			t.Fatal(err)
		}
	}
	c := h.dial()
	c.send(mail("\nx\n", "s@x", "z@foo.org"))
	c.expect("<end>") // no room for the verdict on its recipients
	h.d.lent.give(64)
	c = h.dial()
	c.send(mail("\nx\n", "s@x", "a@example.com"))
	c.expect("Zqq trouble: too many large messages at once (#4.3.2)")
	for range maxStreams {
		h.d.spool.link.Leave(netip.Addr{})
	}
	c.send(mail("\nx\n", "s@x", "a@example.com"))
	c.expect(ok) // handed on piece by piece
	if got := h.spool.messages(); !slices.Equal(got, []string{`Fs@x Ta@example.com "x\n"`}) {
		t.Errorf("queued %q", got)
	}
}

// Who is connected when another process takes over is served to the end; then
// the daemon is gone.
func TestReplaced(t *testing.T) {
	t.Parallel()
	h := startHost(t, qmtpProtocol, nil)
	c := h.dial()
	c.send(mail("\nx\n", "s@x", "a@example.com"))
	c.expect(ok)
	h.send(parent.Frame{Kind: parent.Drain})
	for {
		conn, err := net.Dial("tcp", h.addr)
		if err != nil {
			break
		}
		conn.Close()
	}
	c.send(mail("\ny\n", "s@x", "a@example.com"))
	c.expect(ok)
	c.conn.Close()
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
