package qmtp

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/fdpass"
	"postrider/internal/netstring"
	"postrider/internal/wire/parent"
)

// patience bounds every wait of a test: it is reached only when one fails.
const patience = 20 * time.Second

// controlDir makes a home directory with control files; one with the text "-"
// is left out.
func controlDir(t testing.TB, files map[string]string) string {
	t.Helper()
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "control"), 0o755); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"me": "mx.example.org\n", "rcpthosts": "example.com\n"}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		if text == "-" {
			continue
		}
		if err := os.WriteFile(filepath.Join(home, "control", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

var (
	qmtpProtocol = protocol{program: "qmail-qmtpd", name: "QMTP", listener: parent.ListenQMTP, concurrency: "concurrencyqmtp", load: qmtpSettings, serve: serveQMTP, verifies: true}
	qmqpProtocol = protocol{program: "qmail-qmqpd", name: "QMQP", listener: parent.ListenQMQP, concurrency: "concurrencyqmqp", load: qmqpSettings, serve: serveQMQP, emptyEnvelopes: true}
)

// host is a running daemon with a fake spool behind it.
type host struct {
	t       testing.TB
	d       *daemon
	home    string
	addr    string
	spool   *fakeSpool
	log     *recordedLog
	channel *parent.Channel
	ended   chan error
}

func startHost(t testing.TB, p protocol, files map[string]string) *host {
	t.Helper()
	h := &host{t: t, home: controlDir(t, files), spool: newFakeSpool(t), log: &recordedLog{}, ended: make(chan error, 1)}
	h.d = newDaemon(h.home, &service{protocol: p, clock: clock.Real(), log: h.log, lent: &budget{}})
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	if h.channel, err = parent.NewChannel(ours); err != nil {
		t.Fatal(err)
	}
	child, err := parent.NewChannel(theirs)
	if err != nil {
		t.Fatal(err)
	}
	go func() { h.ended <- h.d.run(child) }()
	h.relink()
	if p.verifies {
		h.linkLookup()
	}
	h.listen()
	t.Cleanup(h.stop)
	return h
}

func (h *host) send(f parent.Frame) {
	h.t.Helper()
	sent, err := h.channel.Send(f)
	if err != nil || !sent {
		h.t.Fatalf("control channel: %v, %v", sent, err)
	}
	f.File.Close()
}

func (h *host) relink() {
	h.t.Helper()
	h.send(parent.Frame{Kind: parent.Link, Name: parent.Submit, File: h.spool.link()})
}

func (h *host) listen() {
	h.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		h.t.Fatal(err)
	}
	h.addr = l.Addr().String()
	h.send(parent.Frame{Kind: parent.Listener, Name: h.d.protocol.listener, File: f})
}

// stop ends the daemon and fails if it does not end well. It may be called
// twice.
func (h *host) stop() {
	_ = h.channel.Close()
	select {
	case err := <-h.ended:
		if err != nil {
			h.t.Errorf("daemon: %v", err)
		}
		h.ended <- nil
	case <-time.After(patience):
		h.t.Error("the daemon does not end")
	}
}

// client is a connection to a daemon.
type client struct {
	t    testing.TB
	conn *net.TCPConn
	in   *bufio.Reader
}

func (h *host) dial() *client {
	h.t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		h.t.Fatal(err)
	}
	return &client{h.t, c.(*net.TCPConn), bufio.NewReader(c)}
}

func (c *client) send(text string) {
	// A server that hung up is seen by what is read next.
	_, _ = io.WriteString(c.conn, text)
}

var (
	unixTime = regexp.MustCompile(`^Kok [0-9]{10} qp `)
	queueID  = regexp.MustCompile(`[0-9]{20}$`)
)

// next returns the next answer, with TIME and ID for what differs; "<end>" when
// the server has hung up.
func (c *client) next() string {
	c.t.Helper()
	s, err := netstring.Open(c.in, 1000)
	if err == io.EOF || err != nil && strings.Contains(err.Error(), "reset") {
		return "<end>"
	}
	if err != nil {
		c.t.Fatalf("answer: %v", err)
	}
	b, err := io.ReadAll(s)
	if err != nil || s.Close() != nil {
		c.t.Fatalf("answer: %q, %v", b, err)
	}
	return queueID.ReplaceAllString(unixTime.ReplaceAllString(string(b), "Kok TIME qp "), "ID")
}

// expect reads answers and compares them.
func (c *client) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.next(); got != w {
			c.t.Errorf("got answer %q, want %q", got, w)
		}
	}
}

const (
	ok      = "Kok TIME qp ID"
	notHere = "Dsorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"
)

// mail is a message of QMTP.
func mail(text, sender string, recipients ...string) string {
	var all []byte
	for _, r := range recipients {
		all = netstring.Append(all, r)
	}
	return string(netstring.Append(netstring.Append(netstring.Append(nil, text), sender), string(all)))
}

// request is one of QMQP.
func request(text, sender string, recipients ...string) string {
	all := netstring.Append(netstring.Append(nil, text), sender)
	for _, r := range recipients {
		all = netstring.Append(all, r)
	}
	return string(netstring.Append(nil, string(all)))
}

// recordedLog keeps the lines.
type recordedLog struct {
	mu    sync.Mutex
	lines []string
}

func (l *recordedLog) Line(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, s)
}

func (l *recordedLog) Status(s string) { l.Line(s) }

func (l *recordedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}
