package smtpd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/fdpass"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/submit"
)

// patience bounds every wait of a test: it is reached only when one fails.
const patience = 20 * time.Second

// message that a fake spool was given.
type queuedMessage struct {
	text     string
	envelope string
}

// sender, recipients and body as a test names them; the Received line is cut.
func (m queuedMessage) String() string {
	records := strings.Split(strings.TrimSuffix(m.envelope, "\x00\x00"), "\x00")
	_, body, _ := strings.Cut(m.text, "\n  by ")
	_, body, _ = strings.Cut(body, "\n")
	return strings.Join(records, " ") + " " + strconv.Quote(body)
}

// fakeSpool is the other end of the submit protocol.
type fakeSpool struct {
	t      testing.TB
	answer func(queuedMessage) submit.Answer // nil: accepted
	greet  func() []byte                     // nil: ready

	mu       sync.Mutex
	taken    []queuedMessage
	aborted  int // connections that ended inside a message
	opened   int // connections
	inside   int // connections that are inside a message
	maxFrame int
	changed  *sync.Cond
}

func newFakeSpool(t testing.TB) *fakeSpool {
	f := &fakeSpool{t: t}
	f.changed = sync.NewCond(&f.mu)
	return f
}

// link returns the submitter's end of a submit link to f.
func (f *fakeSpool) link() *os.File {
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		f.t.Fatal(err)
	}
	channel, err := fdpass.NewPackets(theirs)
	if err != nil {
		f.t.Fatal(err)
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
	return ours
}

func (f *fakeSpool) note(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	f.changed.Broadcast()
}

// await waits until ok, called with the lock held, is true.
func (f *fakeSpool) await(what string, ok func() bool) {
	f.t.Helper()
	deadline := time.AfterFunc(patience, func() { f.note(func() {}) })
	defer deadline.Stop()
	start := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for !ok() {
		if time.Since(start) > patience {
			f.t.Fatalf("the spool never saw: %s", what)
		}
		f.changed.Wait()
	}
}

func (f *fakeSpool) messages() []queuedMessage {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]queuedMessage(nil), f.taken...)
}

func (f *fakeSpool) serve(c *os.File) {
	defer c.Close()
	f.note(func() { f.opened++ })
	greeting := submit.AppendFrame(nil, submit.Ready, []byte(submit.Version))
	f.note(func() {
		if f.greet != nil {
			greeting = f.greet()
		}
	})
	if _, err := c.Write(greeting); err != nil || len(greeting) == 0 {
		return
	}
	in := bufio.NewReaderSize(c, 128<<10)
	for {
		m, err := f.receive(in)
		if err != nil {
			if err != io.EOF {
				f.note(func() { f.aborted++; f.inside-- })
			}
			return
		}
		if f.respond(c, m) != nil {
			return
		}
	}
}

func (f *fakeSpool) respond(c *os.File, m queuedMessage) error {
	a := submit.Answer{Kind: submit.Accepted}
	f.note(func() {
		if f.answer != nil {
			a = f.answer(m)
		}
		f.inside--
		if a.Kind == submit.Accepted {
			f.taken = append(f.taken, m)
			a.ID = fmt.Sprintf("1795000000%010d", len(f.taken))
		}
	})
	_, err := c.Write(submit.AppendAnswer(nil, a))
	return err
}

func (f *fakeSpool) receive(in *bufio.Reader) (queuedMessage, error) {
	var text, envelope strings.Builder
	for first := true; ; first = false {
		kind, n, err := submit.ReadHeader(in)
		if err != nil {
			if err == io.EOF && !first {
				err = io.ErrUnexpectedEOF
			}
			return queuedMessage{}, err
		}
		if first {
			f.note(func() { f.inside++ })
		}
		f.note(func() { f.maxFrame = max(f.maxFrame, n) })
		var to io.Writer = &text
		switch kind {
		case submit.Envelope:
			to = &envelope
		case submit.Commit:
			if _, err := in.Discard(n); err != nil || n != 16 {
				return queuedMessage{}, io.ErrUnexpectedEOF
			}
			return queuedMessage{text.String(), envelope.String()}, nil
		}
		if _, err := io.CopyN(to, in, int64(n)); err != nil {
			return queuedMessage{}, io.ErrUnexpectedEOF
		}
	}
}

// current returns the link that is used now.
func (p *spool) current() *fdpass.Packets {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link
}

// recordedLog keeps the lines.
type recordedLog struct {
	mu    sync.Mutex
	lines []string
	full  bool // no more lines are kept
}

func (l *recordedLog) Line(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.full {
		l.lines = append(l.lines, s)
	}
}

func (l *recordedLog) Status(s string) { l.Line(s) }

func (l *recordedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

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
	log     *recordedLog
	channel *parent.Channel
	ended   chan error
}

func startHost(t testing.TB, files map[string]string) *host {
	t.Helper()
	return startHostThatDrains(t, files, drainTime)
}

func startHostThatDrains(t testing.TB, files map[string]string, drain time.Duration) *host {
	t.Helper()
	h := &host{t: t, home: controlDir(t, files), spool: newFakeSpool(t), log: &recordedLog{}, ended: make(chan error, 1)}
	h.d = newDaemon(h.home, &service{clock: clock.Real(), log: h.log, lent: &budget{}})
	h.d.drain = drain
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
	h.send(parent.Frame{Kind: parent.Listener, Name: parent.ListenSMTP, File: f})
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
