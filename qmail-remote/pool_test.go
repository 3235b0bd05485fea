package qmailremote

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"postrider/internal/smtpwire"
)

// again is a further transaction on the same connection.
const again = "\nC MAIL FROM:<s@x.example>\nS 250 ok\nC RCPT TO:<r@d.example>\nS 250 ok\nC DATA\nS 354 go\nD Subject: x||hi\nS 250 again"

const (
	ok1    = "r|K192.0.2.1 accepted message./Remote host said: 250 queued/|"
	again1 = "r|K192.0.2.1 accepted message./Remote host said: 250 again/|"
)

// TestReuse delivers several messages to one peer, one after the other.
func TestReuse(t *testing.T) {
	t.Parallel()
	const mailRefused = "\nC MAIL FROM:<s@x.example>\nS 550 no more"
	for _, c := range []struct {
		name    string
		scripts []string // a connection each
		want    []string
	}{
		{"the same connection", []string{sent + "S 250 queued" + again + again + bye}, []string{ok1, again1, again1}},
		{"RSET after a refused recipient",
			[]string{begun + "S 550 who\nC RSET\nS 250 ok" + again + bye},
			[]string{"h192.0.2.1 does not like recipient./Remote host said: 550 who/|DGiving up on 192.0.2.1./|", again1}},
		{"RSET after a refused DATA",
			[]string{toData + "S 451 no\nC RSET\nS 250 ok" + again + bye},
			[]string{"r|Z192.0.2.1 failed on DATA command./Remote host said: 451 no/|", again1}},
		{"RSET in one piece with what follows",
			[]string{offers("PIPELINING") + "1 3\nS 250 ok\nS 550 who\nS 503 none\n1 4\nS 250 reset\nS 250 ok\nS 250 ok\nS 354 go\nD Subject: x||hi\nS 250 again" + bye},
			[]string{"h192.0.2.1 does not like recipient./Remote host said: 550 who/|DGiving up on 192.0.2.1./|", again1}},
		{"no RSET after a refused message",
			[]string{sent + "S 550 spam" + again + bye},
			[]string{"r|D192.0.2.1 failed after I sent the message./Remote host said: 550 spam/|", again1}},

		{"closed while idle", []string{sent + "S 250 queued\n. close", success}, []string{ok1, ok1}},
		{"421 while idle", []string{sent + "S 250 queued\nS 421 idle too long", success}, []string{ok1, ok1}},
		{"closed at MAIL", []string{sent + "S 250 queued\nC MAIL FROM:<s@x.example>", success}, []string{ok1, ok1}},
		{"421 at MAIL", []string{sent + "S 250 queued\nC MAIL FROM:<s@x.example>\nS 421 enough", success}, []string{ok1, ok1}},
		{"sender refused", []string{sent + "S 250 queued" + mailRefused + bye, success}, []string{ok1, ok1}},
		{"sender refused on a fresh one too", []string{sent + "S 250 queued" + mailRefused + bye, hello + strings.TrimPrefix(mailRefused, "\n") + bye},
			[]string{ok1, "DConnected to 192.0.2.1 but sender was rejected./Remote host said: 550 no more/|"}},
		{"closed in the recipients", []string{sent + "S 250 queued\nC MAIL FROM:<s@x.example>\nS 250 ok\nC RCPT TO:<r@d.example>", success}, []string{ok1, ok1}},
		{"closed at DATA", []string{sent + "S 250 queued\nC MAIL FROM:<s@x.example>\nS 250 ok\nC RCPT TO:<r@d.example>\nS 250 ok\nC DATA", success}, []string{ok1, ok1}},
		{"unclear end: no second try", []string{sent + "S 250 queued\nC MAIL FROM:<s@x.example>\nS 250 ok\nC RCPT TO:<r@d.example>\nS 250 ok\nC DATA\nS 354 go\nD Subject: x||hi"},
			[]string{ok1, "r|ZConnected to 192.0.2.1 but connection died. Possible duplicate! (#4.4.2)/|"}},
		{"unasked words: not used again", []string{sent + `S- 250 queued\r\n250 surprise\r\n`, success}, []string{ok1, ok1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, oneMX...)
			p := h.peer("192.0.2.1", scripts(c.scripts)...)
			for i, want := range c.want {
				if i > 0 && strings.Contains(c.name, "while idle") {
					p.awaitOne()
				}
				if got := h.deliver(simpleMessage, "d.example", "r@d.example"); got != want {
					t.Errorf("message %d: got  %s\nwant %s", i, got, want)
				}
			}
			h.end()
		})
	}
}

// awaitOne waits until the first script has run and its end has reached us:
// on loopback a close is seen as soon as it returns.
func (p *peer) awaitOne() { <-p.one }

// TestReuseAmongEquals: of equal exchangers the one with a connection is taken.
func TestReuseAmongEquals(t *testing.T) {
	t.Parallel()
	zone := []string{}
	for i := range 9 {
		zone = append(zone, fmt.Sprintf("d.example. 60 IN MX 10 mx%d.d.example.", i), fmt.Sprintf("mx%d.d.example. 60 IN A 192.0.2.%d", i, i+1))
	}
	h := newHost(t, zone...)
	h.peer("192.0.2.5", script(sent+"S 250 queued"+strings.Repeat(again, 5)+bye))
	for range 6 {
		if got := h.deliver(simpleMessage, "d.example", "r@d.example"); !strings.HasPrefix(got, "r|K192.0.2.5 ") {
			t.Fatal(got)
		}
	}
	h.end()
}

// TestReuseNotBeforeBetter: an idle connection to a worse exchanger does not
// keep mail from the better one.
func TestReuseNotBeforeBetter(t *testing.T) {
	t.Parallel()
	h := newHost(t, twoMX...)
	h.peer("192.0.2.2", success)
	h.deliver(simpleMessage, "d.example", "r@d.example")
	h.peer("192.0.2.1", success)
	if got := h.deliver(simpleMessage, "d.example", "r@d.example"); got != ok1 {
		t.Error(got)
	}
	h.end()
}

// TestPoolLimits counts what is kept.
func TestPoolLimits(t *testing.T) {
	t.Parallel()
	now := newManualClock()
	p := newPool(now, 0)
	l := listenLocal(t)
	key := poolKey{addr: at("192.0.2.1")}

	s := idle(t, l, key, now)
	p.put(s)
	if got := p.take(key); got != s {
		t.Fatalf("take = %v", got)
	}
	if p.take(key) != nil || p.take(poolKey{addr: at("192.0.2.2")}) != nil {
		t.Error("took what is not there")
	}

	s.uses = maxUses
	p.put(s)
	if p.has(key) {
		t.Error("kept after its last use")
	}

	old := idle(t, l, key, now)
	now.add(maxAge)
	p.put(old)
	if p.has(key) {
		t.Error("kept after its age")
	}

	for range maxIdleHost + 5 {
		p.put(idle(t, l, key, now))
	}
	if len(p.idle[key]) != maxIdleHost || p.total != maxIdleHost {
		t.Errorf("%d kept for one host, %d in all", len(p.idle[key]), p.total)
	}
	p.close()
	p.put(idle(t, l, key, now))
	if p.has(key) || p.total != 0 {
		t.Error("kept after the end")
	}
}

// TestPoolExpiry: a connection that nobody wants gets a QUIT.
func TestPoolExpiry(t *testing.T) {
	t.Parallel()
	now := newManualClock()
	p := newPool(now, time.Second)
	l := listenLocal(t)
	key := poolKey{addr: at("192.0.2.1")}
	s := idle(t, l, key, now)
	peer := <-l.accepted
	p.put(s)
	now.awaitWait()
	now.add(idleFor)
	line := make([]byte, 6)
	peer.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := peer.Read(line); err != nil || string(line[:n]) != "QUIT\r\n" {
		t.Errorf("got %q, %v", line[:n], err)
	}
	if p.take(key) != nil || p.total != 0 {
		t.Error("still there")
	}
}

type localListener struct {
	net.Listener
	accepted chan net.Conn
}

func listenLocal(t *testing.T) localListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	accepted := make(chan net.Conn, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	return localListener{l, accepted}
}

// idle returns a session that is connected to l and at rest.
func idle(t *testing.T, l localListener, key poolKey, now *manualClock) *session {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &session{conn: conn, key: key, replies: smtpwire.NewReplyReader(conn), timeout: time.Second, born: now.Now()}
}

func scripts(list []string) (all []script) {
	for _, s := range list {
		all = append(all, script(s))
	}
	return all
}
