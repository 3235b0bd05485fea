package qmailsend

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/address"
	"postrider/internal/control"
	"postrider/internal/fdpass"
	"postrider/internal/logline"
	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
	"postrider/internal/wire/spawn"
	"postrider/internal/wire/submit"
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
func (c *manualClock) awaitWait(t *testing.T, at time.Time) {
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
}

func newLogTail(t *testing.T) (*logTail, *logline.Writer) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	tail := &logTail{}
	tail.changed.L = &tail.mu
	log := logline.NewWriter(w)
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
func (l *logTail) await(t *testing.T, prefix string) string {
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

// all returns every line so far but the status lines.
func (l *logTail) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []string
	for _, line := range l.lines {
		if !strings.HasPrefix(line, "status: ") {
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

// testMessage is a message as the spool would queue it.
type testMessage struct {
	id         queuedir.ID
	sender     string
	recipients []string
	body       string
}

func (m testMessage) envelope(t testing.TB) []byte {
	t.Helper()
	sender, err := address.New(m.sender)
	if err != nil {
		t.Fatal(err)
	}
	b := queuedir.AppendHead(nil, queuedir.Head{Sender: sender, UID: 1000, Arrived: m.id.Time()})
	for _, r := range m.recipients {
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
	inline := len(m.body) <= queuedir.MaxInlineBody
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

// bounced is a message that the scheduler submitted.
type bounced struct {
	sender, recipient, body string
	nonce                   string
}

// testSpool is the spool's side.
type testSpool struct {
	t       *testing.T
	host    host
	packets *fdpass.Packets

	mu        sync.Mutex
	changed   sync.Cond
	removed   map[queuedir.ID]int
	queried   int
	bad       []queuedir.ID
	bounces   []bounced
	refuse    bool // bounces
	hold      bool // answers to Remove
	denied    map[queuedir.ID]bool
	submitted int
	announced int
	nonces    []string
	silent    bool // to queries
}

func newTestSpool(t *testing.T, h host) *testSpool {
	p := &testSpool{t: t, host: h, removed: make(map[queuedir.ID]int), denied: make(map[queuedir.ID]bool)}
	p.changed.L = &p.mu
	return p
}

// connect makes a fresh entries link.
func (p *testSpool) connect(s *scheduler) {
	ours, theirs := pair(p.t)
	packets, err := fdpass.NewPackets(ours)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.packets = packets
	p.mu.Unlock()
	p.t.Cleanup(func() { packets.Close() })
	go p.serve(packets)
	if err := s.attachSpool(theirs); err != nil {
		p.t.Fatal(err)
	}
}

func (p *testSpool) serve(packets *fdpass.Packets) {
	buf := make([]byte, fdpass.MaxPacket)
	for {
		n, _, err := packets.Receive(buf, 0)
		if err != nil {
			return
		}
		err = entries.Decode(buf[:n], func(m entries.Message) error {
			if answer, ok := p.answer(m); ok {
				return packets.Send(entries.Append(nil, answer))
			}
			return nil
		})
		if err != nil {
			return
		}
	}
}

func (p *testSpool) answer(m entries.Message) (entries.Message, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.changed.Broadcast()
	answer := entries.Message{ID: m.ID}
	switch m.Kind {
	case entries.Query:
		p.queried++
		if p.silent {
			return answer, false
		}
		answer.Kind = entries.NotCommitted
		if _, err := os.Stat(p.host.layout.Entry(m.ID)); err == nil && !p.denied[m.ID] {
			answer.Kind = entries.Committed
		}
	case entries.Remove:
		p.removed[m.ID]++
		if p.hold {
			return answer, false
		}
		_ = os.Remove(p.host.layout.Entry(m.ID))
		answer.Kind = entries.Removed
	case entries.Quarantine:
		p.bad = append(p.bad, m.ID)
		_ = os.Rename(p.host.layout.Entry(m.ID), p.host.layout.Bad()+"/"+m.ID.String())
		answer.Kind = entries.Quarantined
	}
	return answer, true
}

// accept queues and announces m.
func (p *testSpool) accept(m testMessage) {
	p.t.Helper()
	p.host.queue(p.t, m)
	p.announce(m)
}

func (p *testSpool) announce(m testMessage) {
	p.t.Helper()
	a := entries.Message{Kind: entries.Announced, ID: m.id, UID: 1000, Size: int64(len(m.body))}
	if envelope := m.envelope(p.t); len(envelope) <= entries.MaxInlineEnvelope {
		a.Envelope = envelope
	}
	p.mu.Lock()
	packets := p.packets
	p.announced++
	p.mu.Unlock()
	if err := packets.Send(entries.Append(nil, a)); err != nil {
		p.t.Fatal(err)
	}
}

// until waits until cond holds; cond runs under the lock.
func (p *testSpool) until(what string, cond func() bool) {
	p.t.Helper()
	timeout := time.AfterFunc(patience, p.changed.Broadcast)
	defer timeout.Stop()
	deadline := time.Now().Add(patience)
	p.mu.Lock()
	defer p.mu.Unlock()
	for !cond() {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain: %s", what)
		}
		p.changed.Wait()
	}
}

func (p *testSpool) untilRemoved(id queuedir.ID) {
	p.t.Helper()
	p.until("removal of "+id.String(), func() bool { return p.removed[id] > 0 })
}

// connectSubmit makes a fresh submit channel.
func (p *testSpool) connectSubmit(s *scheduler) {
	ours, theirs := pair(p.t)
	channel, err := fdpass.NewPackets(ours)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { channel.Close() })
	go func() {
		for {
			f, err := submit.ReceiveConnection(channel)
			if err != nil {
				return
			}
			go p.takeBounces(f)
		}
	}()
	if err := s.attachSubmit(theirs); err != nil {
		p.t.Fatal(err)
	}
}

func (p *testSpool) takeBounces(f *os.File) {
	defer f.Close()
	if _, err := f.Write(submit.AppendFrame(nil, submit.Ready, []byte(submit.Version))); err != nil {
		return
	}
	var message, envelope bytes.Buffer
	for {
		kind, n, err := submit.ReadHeader(f)
		if err != nil {
			return
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(f, payload); err != nil {
			return
		}
		switch kind {
		case submit.Message:
			message.Write(payload)
		case submit.Envelope:
			envelope.Write(payload)
		case submit.Commit:
			answer := p.takeBounce(message.String(), envelope.String(), fmt.Sprintf("%x", payload))
			message.Reset()
			envelope.Reset()
			if _, err := f.Write(submit.AppendAnswer(nil, answer)); err != nil {
				return
			}
		}
	}
}

func (p *testSpool) takeBounce(message, envelope, nonce string) submit.Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.changed.Broadcast()
	p.submitted++
	p.nonces = append(p.nonces, nonce)
	if p.refuse {
		return submit.Answer{Kind: submit.Temporary, ExitCode: 53, Text: "disk full"}
	}
	fields := strings.Split(envelope, "\x00")
	p.bounces = append(p.bounces, bounced{
		sender: strings.TrimPrefix(fields[0], "F"), recipient: strings.TrimPrefix(fields[1], "T"), body: message, nonce: nonce,
	})
	return submit.Answer{Kind: submit.Accepted, ID: bounceID(len(p.bounces)).String()}
}

func bounceID(n int) queuedir.ID { return queuedir.NewID(testStart.Add(-time.Hour), n, 99) }

// testAgent is qmail-lspawn or a remote worker: it answers each delivery as
// the test says, or keeps it.
type testAgent struct {
	t       *testing.T
	packets *fdpass.Packets
	verdict func(spawn.Job, spawn.Recipient) (spawn.Class, string) // class 0: no answer yet

	mu      sync.Mutex
	changed sync.Cond
	jobs    []spawn.Job
	bodies  []string
	slots   int
	kept    []spawn.Recipient // without an answer
	most    int               // deliveries at a time
}

// connectAgent attaches a fresh agent.
func connectAgent(t *testing.T, s *scheduler, c channelID, number int, verdict func(spawn.Job, spawn.Recipient) (spawn.Class, string)) *testAgent {
	t.Helper()
	ours, theirs := pair(t)
	packets, err := fdpass.NewPackets(ours)
	if err != nil {
		t.Fatal(err)
	}
	ag := &testAgent{t: t, packets: packets, verdict: verdict}
	ag.changed.L = &ag.mu
	t.Cleanup(func() { packets.Close() })
	go ag.serve()
	name := "spawn.local"
	if c == remote {
		name = fmt.Sprintf("spawn.remote.%d", number)
	}
	if err := s.attachAgent(name, theirs, c, number); err != nil {
		t.Fatal(err)
	}
	return ag
}

func (ag *testAgent) serve() {
	buf := make([]byte, fdpass.MaxPacket)
	for {
		n, files, err := ag.packets.Receive(buf, fdpass.MaxFiles)
		if err != nil {
			return
		}
		slots, jobs, err := spawn.DecodeJobs(buf[:n])
		if err != nil || len(jobs) != len(files) {
			ag.t.Errorf("%d jobs, %d files: %v", len(jobs), len(files), err)
			return
		}
		if results := ag.take(slots, jobs, files); len(results) > 0 {
			if err := ag.packets.Send(spawn.AppendResults(nil, results)); err != nil {
				return
			}
		}
	}
}

func (ag *testAgent) take(slots int, jobs []spawn.Job, files []*os.File) []spawn.Result {
	ag.mu.Lock()
	defer ag.mu.Unlock()
	defer ag.changed.Broadcast()
	defer fdpass.CloseAll(files)
	ag.slots = slots
	var results []spawn.Result
	for i, j := range jobs {
		body, err := io.ReadAll(files[i])
		if err != nil {
			ag.t.Error(err)
		}
		ag.jobs = append(ag.jobs, j)
		ag.bodies = append(ag.bodies, string(body))
		for _, r := range j.Recipients {
			class, text := ag.verdict(j, r)
			if class == 0 {
				ag.kept = append(ag.kept, r)
				ag.most = max(ag.most, len(ag.kept))
				continue
			}
			results = append(results, spawn.Result{Delivery: r.Delivery, Class: class, Text: text})
		}
	}
	return results
}

// until waits until cond holds; cond runs under the lock.
func (ag *testAgent) until(what string, cond func() bool) {
	ag.t.Helper()
	timeout := time.AfterFunc(patience, ag.changed.Broadcast)
	defer timeout.Stop()
	deadline := time.Now().Add(patience)
	ag.mu.Lock()
	defer ag.mu.Unlock()
	for !cond() {
		if time.Now().After(deadline) {
			ag.t.Fatalf("waited in vain: %s", what)
		}
		ag.changed.Wait()
	}
}

// untilKept waits until n deliveries have no answer.
func (ag *testAgent) untilKept(n int) {
	ag.t.Helper()
	ag.until(fmt.Sprintf("%d deliveries", n), func() bool { return len(ag.kept) >= n })
}

// answer answers the first n kept deliveries.
func (ag *testAgent) answer(n int, class spawn.Class, text string) {
	ag.t.Helper()
	ag.mu.Lock()
	var results []spawn.Result
	for _, r := range ag.kept[:n] {
		results = append(results, spawn.Result{Delivery: r.Delivery, Class: class, Text: text})
	}
	ag.kept = ag.kept[n:]
	ag.mu.Unlock()
	if err := ag.packets.Send(spawn.AppendResults(nil, results)); err != nil {
		ag.t.Fatal(err)
	}
}

// recipients returns every recipient that was given out, in order.
func (ag *testAgent) recipients() []string {
	ag.mu.Lock()
	defer ag.mu.Unlock()
	var all []string
	for _, j := range ag.jobs {
		for _, r := range j.Recipients {
			all = append(all, r.Address.String())
		}
	}
	return all
}

func always(class spawn.Class, text string) func(spawn.Job, spawn.Recipient) (spawn.Class, string) {
	return func(spawn.Job, spawn.Recipient) (spawn.Class, string) { return class, text }
}

func pair(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	return ours, theirs
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
func newRig(t *testing.T, h host, clock *manualClock) *rig {
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
func (r *rig) untilEmpty(t *testing.T) {
	t.Helper()
	r.spool.until("the end of all messages", func() bool {
		return len(r.spool.removed)+len(r.spool.bad) >= r.spool.announced
	})
	r.until(t, "an empty table", func() bool { return len(r.s.messages) == 0 })
}

// until waits until cond, which runs in the scheduler, holds.
func (r *rig) until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for ok := false; ; {
		if r.inside(func() { ok = cond() }); ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s; log:\n%s", what, strings.Join(r.log.all(), "\n"))
		}
		runtime.Gosched()
	}
}

// untilIdle waits until nothing is in hand, nor would be at this time.
func (r *rig) untilIdle(t *testing.T) {
	t.Helper()
	r.until(t, "nothing in hand", func() bool {
		n := len(r.s.actives) + r.s.atWork + r.s.loads
		for _, w := range r.s.ways {
			n += w.loading[firsts] + w.loading[retries]
		}
		return n == 0 && r.s.next() > r.s.now()
	})
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
	var lines []string
	for _, line := range l.lines {
		if strings.HasPrefix(line, "status: ") {
			lines = append(lines, line)
		}
	}
	return lines
}
