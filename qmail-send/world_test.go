package qmailsend

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/internal/address"
	"postrider/internal/control"
	"postrider/internal/esmtp"
	"postrider/internal/logline"
	"postrider/internal/precedence"
	"postrider/internal/queuedir"
)

// The tests run a scheduler against a spool, a qmail-lspawn and qmail-remote
// workers that live in the test, joined by real sockets, on a clock that the
// test moves.

// patience bounds every wait of a test for something that must happen.
const patience = 60 * time.Second

// testStart is when tests begin.
var testStart = time.Date(2026, 11, 22, 0, 37, 36, 0, time.UTC)

// manualClock stands still until it is moved.
type manualClock struct {
	mu      sync.Mutex
	changed sync.Cond
	now     time.Time
	waits   map[chan time.Time]time.Time
}

func newManualClock() *manualClock {
	c := &manualClock{now: testStart, waits: make(map[chan time.Time]time.Time)}
	c.changed.L = &c.mu
	return c
}

func (c *manualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *manualClock) At(t time.Time) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := make(chan time.Time, 1)
	if t.After(c.now) {
		c.waits[ch] = t
	} else {
		ch <- c.now
	}
	c.changed.Broadcast()
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waits, ch)
	}
}

// advance moves the clock to t.
func (c *manualClock) advance(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
	for ch, at := range c.waits {
		if !at.After(t) {
			delete(c.waits, ch)
			ch <- t
		}
	}
}

// awaitWait waits until somebody waits for the time at.
func (c *manualClock) awaitWait(t testing.TB, at time.Time) {
	t.Helper()
	timeout := time.AfterFunc(patience, c.changed.Broadcast)
	defer timeout.Stop()
	deadline := time.Now().Add(patience)
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		var all []string
		for _, w := range c.waits {
			if w.Equal(at) {
				return
			}
			all = append(all, w.Format(time.RFC3339Nano))
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody waits for %s, but for %v", at.Format(time.RFC3339Nano), all)
		}
		c.changed.Wait()
	}
}

// logTail collects log lines.
type logTail struct {
	mu      sync.Mutex
	changed sync.Cond
	lines   []string
	read    int // lines that await has passed
	log     *logline.Writer
	markers int
}

const marker = "end of what was logged so far "

// catchUp waits until all that was logged has arrived; the caller holds mu.
func (l *logTail) catchUp() {
	l.markers++
	last := marker + strconv.Itoa(l.markers)
	l.log.Line(last)
	for !slices.Contains(l.lines, last) {
		l.changed.Wait()
	}
}

func newLogTail(t testing.TB) (*logTail, *logline.Writer) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	tail := &logTail{}
	tail.changed.L = &tail.mu
	log := logline.NewWriter(w)
	tail.log = log
	done := make(chan struct{})
	go func() {
		defer close(done)
		for scanner := bufio.NewScanner(r); scanner.Scan(); {
			tail.mu.Lock()
			tail.lines = append(tail.lines, scanner.Text())
			tail.changed.Broadcast()
			tail.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		log.Close()
		w.Close()
		<-done
		r.Close()
	})
	return tail, log
}

// await returns the next line that begins with prefix.
func (l *logTail) await(t testing.TB, prefix string) string {
	t.Helper()
	timeout := time.AfterFunc(patience, l.changed.Broadcast)
	defer timeout.Stop()
	deadline := time.Now().Add(patience)
	l.mu.Lock()
	defer l.mu.Unlock()
	from := l.read
	for {
		for l.read < len(l.lines) {
			line := l.lines[l.read]
			l.read++
			if strings.HasPrefix(line, prefix) {
				return line
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no log line %q; since the last wait:\n%s", prefix, strings.Join(l.lines[from:], "\n"))
		}
		l.changed.Wait()
	}
}

// end returns the last lines of all.
func (l *logTail) end() string {
	lines := l.all()
	return strings.Join(lines[max(0, len(lines)-100):], "\n")
}

// all returns every line so far but the status lines.
func (l *logTail) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.catchUp()
	var lines []string
	for _, line := range l.lines {
		if !strings.HasPrefix(line, "status: ") && !strings.HasPrefix(line, marker) {
			lines = append(lines, line)
		}
	}
	return lines
}

func (l *logTail) count(prefix string) int {
	n := 0
	for _, line := range l.all() {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

// host is a queue and control files on disk.
type host struct {
	layout  queuedir.Layout
	control control.Dir
}

func newHost(t testing.TB, files map[string]string) host {
	t.Helper()
	home := t.TempDir()
	h := host{layout: queuedir.At(home), control: control.Dir(filepath.Join(home, "control"))}
	dirs := []string{string(h.control), h.layout.Bad(), h.layout.Root + "/lock"}
	for i := range queuedir.Buckets {
		name := queuedir.BucketName(i)
		dirs = append(dirs, h.layout.NewDir(name), h.layout.InfoDir(name))
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h.set(t, "me", "me.example.org\n")
	h.set(t, "locals", "loc.example.org\n")
	for name, content := range files {
		h.set(t, name, content)
	}
	return h
}

func (h host) set(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(string(h.control), name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// blockProgress makes that no progress file can be made, and takes that back;
// there is none.
func (h host) blockProgress(t testing.TB, on bool) {
	t.Helper()
	for i := range queuedir.Buckets {
		dir := h.layout.InfoDir(queuedir.BucketName(i))
		var err error
		if on {
			err = errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600))
		} else {
			err = errors.Join(os.Remove(dir), os.Mkdir(dir, 0o700))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// testMessage is a message as the spool would queue it.
type testMessage struct {
	id         queuedir.ID
	sender     string
	recipients []string
	body       string
	outside    bool // the body is a file of its own though it is short
	facts      esmtp.Message
	wishes     []esmtp.Recipient // none, or one for each recipient
}

func (m testMessage) envelope(t testing.TB) []byte {
	t.Helper()
	sender, err := address.New(m.sender)
	if err != nil {
		t.Fatal(err)
	}
	var look precedence.Look // as the spool does
	_, _ = look.Write([]byte(m.body))
	b := queuedir.AppendHead(nil, queuedir.Head{Sender: sender, UID: 1000, Arrived: m.id.Time(), Facts: m.facts, Bulk: look.Bulk()})
	for i, r := range m.recipients {
		if m.wishes != nil {
			b = m.wishes[i].Append(b)
		}
		recipient, err := address.New(r)
		if err != nil {
			t.Fatal(err)
		}
		b = queuedir.AppendRecipient(b, recipient)
	}
	return b
}

// queue writes the entry of m.
func (h host) queue(t testing.TB, m testMessage) {
	t.Helper()
	envelope := m.envelope(t)
	inline := len(m.body) <= queuedir.MaxInlineBody && !m.outside
	var b []byte
	if inline {
		b = []byte(m.body)
	} else if err := os.WriteFile(h.layout.Body(m.id), []byte(m.body), 0o600); err != nil {
		t.Fatal(err)
	}
	b = append(b, envelope...)
	b = queuedir.AppendFooter(b, queuedir.Footer{
		Inline: inline, BodySize: int64(len(m.body)), EnvelopeSize: int64(len(envelope)),
		BodyCRC: queuedir.Checksum(0, []byte(m.body)),
	}, queuedir.Checksum(0, envelope))
	tmp := h.layout.Bad() + "/" + m.id.String() + ".tmp" // a scan must not see half of it
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, h.layout.Entry(m.id)); err != nil {
		t.Fatal(err)
	}
}

// rig is a running scheduler with all its peers.
type rig struct {
	host  host
	clock *manualClock
	log   *logTail
	s     *scheduler
	spool *testSpool
}

// newRig starts a scheduler on h; the test connects agents.
func newRig(t testing.TB, h host, clock *manualClock) *rig {
	t.Helper()
	tail, log := newLogTail(t)
	set, err := readSettings(h.control)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newScheduler(clock, log, h.layout, h.control, set)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{host: h, clock: clock, log: tail, s: s, spool: newTestSpool(t, h)}
	go s.run()
	t.Cleanup(r.stop)
	return r
}

// stop ends the scheduler as a crash would: nothing is written.
func (r *rig) stop() {
	r.s.post(func() { r.s.exitDone = true })
	<-r.s.stopped
}

// connect attaches spool and submit channel.
func (r *rig) connect() {
	r.spool.connect(r.s)
	r.spool.connectSubmit(r.s)
}

// inside runs f in the scheduler.
func (r *rig) inside(f func()) {
	done := make(chan struct{})
	r.s.post(func() { f(); close(done) })
	<-done
}

// untilEmpty waits until all that was announced is done and no message is
// known any more.
func (r *rig) untilEmpty(t testing.TB) {
	t.Helper()
	r.spool.until("the end of all messages", func() bool {
		return len(r.spool.removed)+len(r.spool.bad) >= r.spool.announced
	})
	r.until(t, "an empty table", func() bool { return len(r.s.messages) == 0 })
}

// until waits until cond, which runs in the scheduler, holds.
func (r *rig) until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for ok := false; ; {
		if r.inside(func() { ok = cond() }); ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s; log:\n%s", what, r.log.end())
		}
		runtime.Gosched()
	}
}

// untilIdle waits until nothing is in hand, nor would be at this time.
func (r *rig) untilIdle(t testing.TB) {
	t.Helper()
	r.until(t, "nothing in hand", r.s.idle)
}

// idle reports whether nothing is in hand, nor would be at this time.
func (s *scheduler) idle() bool {
	n := len(s.actives) + s.atWork + s.loads
	for _, w := range s.ways {
		n += w.loading[firsts] + w.loading[retries]
	}
	return n == 0 && s.next() > s.now()
}

func id(n int) queuedir.ID {
	return queuedir.NewID(testStart.Add(time.Duration(n)*time.Microsecond), n/100, n)
}

func gone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// status returns the status lines so far.
func (l *logTail) status() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.catchUp()
	var lines []string
	for _, line := range l.lines {
		if strings.HasPrefix(line, "status: ") {
			lines = append(lines, line)
		}
	}
	return lines
}
