package smtpd

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/fdpass"
	"postrider/internal/sessions"
	"postrider/internal/wire/parent"
)

// defaultControl is what a test host's control directory holds; a file with
// the text "-" is left out.
var defaultControl = map[string]string{
	"me":        "mx.example.org\n",
	"rcpthosts": "example.com\n.sub.example.com\n",
}

// controlDir makes a home directory with the given control files.
func controlDir(t testing.TB, files map[string]string) string {
	t.Helper()
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "control"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range defaultControl {
		if _, other := files[name]; !other {
			setControl(t, home, name, text)
		}
	}
	for name, text := range files {
		if text != "-" {
			setControl(t, home, name, text)
		}
	}
	return home
}

func setControl(t testing.TB, home, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(home, "control", name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// host is a running daemon with a fake spool behind it.
type host struct {
	t       testing.TB
	d       *daemon
	home    string
	addr    string
	spool   *fakeSpool
	lookup  *fakeLookup
	policy  *fakePolicy
	log     *recordedLog
	channel *parent.Channel
	ended   chan error
}

func startHost(t testing.TB, files map[string]string) *host {
	t.Helper()
	return startHostThatDrains(t, files, sessions.DrainTime)
}

func startHostThatDrains(t testing.TB, files map[string]string, drain time.Duration) *host {
	t.Helper()
	h := &host{t: t, home: controlDir(t, files), spool: newFakeSpool(t), lookup: &fakeLookup{}, policy: &fakePolicy{}, log: &recordedLog{}, ended: make(chan error, 1)}
	h.d = newDaemon(h.home, &service{clock: clock.Real(), log: h.log, lent: &budget{}})
	h.d.sessions.Drain = drain
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
	h.lookup.link(h)
	h.policy.link(h)
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
	h.listenAs()
}

// listenAs makes a port with these words, to which the next clients go.
func (h *host) listenAs(words ...string) {
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
	h.send(parent.Frame{Kind: parent.Listener, Name: parent.ListenerName(parent.ListenSMTP, words), File: f})
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

// client is a connection to a server; replies are read as they come.
type client struct {
	t     testing.TB
	conn  net.Conn
	lines chan string // closed at the end of the connection
}

func (h *host) dial() *client {
	h.t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	return newClient(h.t, c)
}

func newClient(t testing.TB, conn net.Conn) *client {
	c := &client{t: t, conn: conn, lines: make(chan string, 1<<16)}
	go func() {
		defer close(c.lines)
		in := bufio.NewReader(conn)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			c.lines <- line
		}
	}()
	return c
}

func (c *client) send(text string) {
	// A server that hung up is seen by the next expect.
	_, _ = io.WriteString(c.conn, text)
}

// next returns the next line of the server without its end; "<end>" when it
// has hung up.
func (c *client) next() string {
	c.t.Helper()
	select {
	case line, more := <-c.lines:
		if !more {
			return "<end>"
		}
		if !strings.HasSuffix(line, "\r\n") {
			c.t.Fatalf("reply %q does not end with CR LF", line)
		}
		return strings.TrimSuffix(line, "\r\n")
	case <-time.After(patience):
		c.t.Fatal("the server says nothing")
		return ""
	}
}

// reply returns the next reply, several lines joined by "|".
func (c *client) reply() string {
	c.t.Helper()
	var lines []string
	for {
		line := c.next()
		lines = append(lines, line)
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(lines, "|")
		}
	}
}

// expect reads a reply and compares it. A want that ends with "*" is a prefix.
func (c *client) expect(want string) {
	c.t.Helper()
	got := c.reply()
	if prefix, open := strings.CutSuffix(want, "*"); open && strings.HasPrefix(got, prefix) || got == want {
		return
	}
	c.t.Errorf("got reply %q, want %q", got, want)
}

// play runs a dialogue. A line "C: text" is sent with CR LF; "R: text" is sent
// raw, with Go's escapes; "S: text" is the reply expected next.
func (c *client) play(script string) {
	c.t.Helper()
	for line := range strings.Lines(script) {
		line = strings.TrimRight(strings.TrimLeft(line, "\t "), "\n")
		switch kind, text, _ := strings.Cut(line, ": "); kind {
		case "C", "C:":
			c.send(text + "\r\n")
		case "R":
			raw, err := strconv.Unquote(`"` + text + `"`)
			if err != nil {
				c.t.Fatalf("%s: %v", line, err)
			}
			c.send(raw)
		case "S":
			c.expect(text)
		case "":
		default:
			c.t.Fatalf("line of the script: %q", line)
		}
		if c.t.Failed() {
			c.t.Fatalf("after %q", line)
		}
	}
}
