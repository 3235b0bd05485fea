package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
	"postrider/internal/wire/submit"
)

const goodEnvelope = "Fa@example.org\x00Tb@example.net\x00\x00"

func TestEnvelopesAreJudged(t *testing.T) {
	t.Parallel()
	q := startQueue(t)
	c := q.connect() // one connection for all: each refusal leaves it usable
	long := strings.Repeat("x", 1002)
	for _, tc := range []struct {
		name, env string
		kind      byte
		code      int
	}{
		{"good", goodEnvelope, submit.Accepted, 0},
		{"null sender, empty recipient", "F\x00T\x00\x00", submit.Accepted, 0},
		{"double bounce", "F#@[]\x00Ta\x00\x00", submit.Accepted, 0},
		{"bytes after the end", goodEnvelope + "rubbish", submit.Accepted, 0},
		{"longest address", "F" + long + "\x00\x00", submit.Accepted, 0},
		{"address too long", "F" + long + "x\x00\x00", submit.Permanent, exitTooLong},
		{"recipient too long", "Fa\x00T" + long + "x\x00\x00", submit.Permanent, exitTooLong},
		{"line end in address", "Fa\nb@c\x00\x00", submit.Permanent, exitRefused},
		{"empty domain", "Fa\x00Tb@\x00\x00", submit.Permanent, exitRefused},
		{"none", "", submit.Temporary, exitGrammar},
		{"no F", "Ta\x00\x00", submit.Temporary, exitGrammar},
		{"unknown record", "Fa\x00Xb\x00\x00", submit.Temporary, exitGrammar},
		{"no end", "Fa\x00Tb\x00", submit.Temporary, exitGrammar},
		{"cut in an address", "Fa\x00Tb", submit.Temporary, exitGrammar},
	} {
		a := q.submit(c, "Subject: x\n\n", tc.env, newNonce())
		if a.Kind != tc.kind || a.ExitCode != tc.code {
			t.Errorf("%s: answer %c %d %q", tc.name, a.Kind, a.ExitCode, a.Text)
		}
	}
	if len(q.store.inflight) != 0 || q.store.memory.left.Load() != messageMemory {
		t.Errorf("%d in flight, %d bytes of memory not given back", len(q.store.inflight), messageMemory-q.store.memory.left.Load())
	}
	for _, name := range q.files() {
		if strings.HasPrefix(name, "tmp/") {
			t.Errorf("left over: %s", name)
		}
	}
}

// Every split of the stream gives the same entry.
func TestFramesOfAnySize(t *testing.T) {
	t.Parallel()
	q := startQueue(t)
	c := q.connect()
	body := strings.Repeat("line of text\n", 20)
	for _, size := range []int{1, 2, 3, 7, 100} {
		var b []byte
		for p := []byte(body); len(p) > 0; {
			n := min(size, len(p))
			b = submit.AppendFrame(b, submit.Message, p[:n])
			p = p[n:]
		}
		b = submit.AppendFrame(b, submit.Message, nil)
		for p := []byte(goodEnvelope); len(p) > 0; {
			n := min(size, len(p))
			b = submit.AppendFrame(b, submit.Envelope, p[:n])
			p = p[n:]
		}
		nonce := newNonce()
		b = submit.AppendFrame(b, submit.Commit, nonce[:])
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		a, err := submit.ReadAnswer(c)
		if err != nil {
			t.Fatal(err)
		}
		m := q.read(accepted(t, a))
		if _, got, _ := strings.Cut(m.body, "\n"); got != body || strings.Join(m.recipients, ",") != "b@example.net" {
			t.Errorf("frames of %d bytes: body of %d bytes, recipients %q", size, len(got), m.recipients)
		}
	}
}

func TestSubmittersWhoBreakTheProtocol(t *testing.T) {
	t.Parallel()
	q := startQueue(t)
	nonce := newNonce()
	begun := submit.AppendFrame(nil, submit.Message, []byte("x"))
	for name, bytes := range map[string][]byte{
		"unknown frame":          submit.AppendFrame(nil, 'Q', nil),
		"frame too long":         submit.AppendHeader(nil, submit.Message, submit.MaxFrame+1),
		"short nonce":            submit.AppendFrame(begun, submit.Commit, nonce[:15]),
		"message after envelope": submit.AppendFrame(submit.AppendFrame(nil, submit.Envelope, []byte("F")), submit.Message, nil),
		"cut in a header":        begun[:3],
		"cut in a payload":       begun[:5],
		"left without commit":    begun,
	} {
		c := q.connect()
		if _, err := c.Write(bytes); err != nil {
			t.Fatal(err)
		}
		if err := closeWrite(c); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c); len(got) != 0 && err == nil {
			t.Errorf("%s: answered %q", name, got)
		}
	}
	q.server.refuse()
	q.server.done.Wait()
	if len(q.files()) != 0 || len(q.store.inflight) != 0 {
		t.Errorf("left over: %q, %d in flight", q.files(), len(q.store.inflight))
	}
}

func TestTheSameMessageTwice(t *testing.T) {
	t.Parallel()
	q := startQueue(t)
	nonce := newNonce()
	first := accepted(t, q.submit(q.connect(), "x", goodEnvelope, nonce))
	second := accepted(t, q.submit(q.connect(), "x", goodEnvelope, nonce))
	if first != second {
		t.Errorf("became %s and %s", first, second)
	}
	other := accepted(t, q.submit(q.connect(), "x", goodEnvelope, queuedir.Nonce{}))
	if another := accepted(t, q.submit(q.connect(), "x", goodEnvelope, queuedir.Nonce{})); another == other {
		t.Error("messages without a nonce were taken for one")
	}
	if n := len(q.files()); n != 3 {
		t.Errorf("%d entries", n)
	}
}

// Many at once: each gets its own entry, all are announced, and there are
// fewer syncs than messages.
func TestManySubmittersAtOnce(t *testing.T) {
	t.Parallel()
	q := startQueue(t)
	q.server.limit = 100
	const submitters, each = 20, 10
	ids := make(chan queuedir.ID, submitters*each)
	var wg sync.WaitGroup
	for i := range submitters {
		c := q.connect()
		wg.Go(func() {
			for j := range each {
				a := q.submit(c, fmt.Sprintf("message %d %d\n", i, j), goodEnvelope, newNonce())
				id, err := queuedir.ParseID(a.ID)
				if err != nil {
					t.Errorf("answer %+v", a)
				}
				ids <- id
			}
		})
	}
	wg.Wait()
	close(ids)
	want := make(map[queuedir.ID]bool)
	buckets := make(map[string]bool)
	for id := range ids {
		want[id] = true
		buckets[id.Bucket()] = true
	}
	if len(want) != submitters*each || len(q.files()) != submitters*each {
		t.Errorf("%d ids, %d files", len(want), len(q.files()))
	}
	for _, m := range q.hear(submitters * each) {
		if m.Kind != entries.Announced || !want[m.ID] {
			t.Errorf("heard %+v", m)
		}
		delete(want, m.ID)
	}
	if len(want) != 0 {
		t.Errorf("%d were not announced", len(want))
	}
	if most := submitters*each/namesInRow + 2; len(buckets) > most {
		t.Errorf("%d buckets: each is one more directory to sync", len(buckets))
	}
}

// dialPublic connects to the spool's public socket as ourselves.
func (q *queue) listen() (path string) {
	q.t.Helper()
	path = q.layout.Socket()
	l, err := fdpass.Listen(path, 0o666, 100)
	if err != nil {
		q.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { q.server.acceptPublic(l); close(ended) }()
	q.t.Cleanup(func() {
		q.server.refuse()
		l.Close()
		<-ended
	})
	return path
}

func TestPublicSocketLimits(t *testing.T) {
	t.Parallel()
	q := startQueue(t)
	q.server.limit = connectionsPerUID + 5
	path := q.listen()
	type greeted struct {
		c   io.ReadWriteCloser
		err error
	}
	dial := func() greeted {
		c, err := fdpass.Dial(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return greeted{c, submit.ReadGreeting(c)}
	}
	var open []greeted
	for range connectionsPerUID {
		g := dial()
		if g.err != nil {
			t.Fatalf("connection %d: %v", len(open), g.err)
		}
		open = append(open, g)
	}
	if g := dial(); g.err != submit.ErrBusy {
		t.Errorf("one more than a uid may have: %v", g.err)
	}
	// The daemons are served all the same.
	accepted(t, q.submit(q.connect(), "x", goodEnvelope, newNonce()))
	// One leaves, one may come.
	open[0].c.Close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		g := dial()
		if g.err == nil {
			break
		}
		if g.err != submit.ErrBusy || time.Now().After(deadline) {
			t.Fatalf("after one left: %v", g.err)
		}
	}
}

func TestIdentityOfThePublicSocket(t *testing.T) {
	t.Parallel()
	q := startQueue(t)
	c, err := fdpass.Dial(q.listen())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := submit.ReadGreeting(c); err != nil {
		t.Fatal(err)
	}
	m := q.read(accepted(t, q.submit(c, "x", goodEnvelope, newNonce())))
	uid := unix.Geteuid()
	if m.head.UID != uint32(uid) || !strings.Contains(m.body, fmt.Sprintf(" invoked by uid %d); ", uid)) {
		t.Errorf("uid %d, body %q", m.head.UID, m.body)
	}
}

// A connection that is handed over a channel has the channel's identity.
func TestIdentityOfAChannel(t *testing.T) {
	t.Parallel()
	q := startQueue(t)
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	channel, err := fdpass.NewPackets(ours)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := fdpass.NewPackets(theirs)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- q.server.acceptHanded(channel, origin{text: "for bounce"}) }()
	c, err := submit.Connect(peer)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := submit.ReadGreeting(c); err != nil {
		t.Fatal(err)
	}
	m := q.read(accepted(t, q.submit(c, "x", goodEnvelope, newNonce())))
	if !strings.Contains(m.body, " invoked for bounce); ") || m.head.UID != uint32(unix.Geteuid()) {
		t.Errorf("uid %d, body %q", m.head.UID, m.body)
	}
	peer.Close()
	if err := <-ended; err != io.EOF {
		t.Errorf("after the daemon left: %v", err)
	}
}

// A message that is being received when the spool is told to stop is finished;
// connections at rest end.
func TestDrain(t *testing.T) {
	t.Parallel()
	q := startQueue(t)
	resting, busy := q.connect(), q.connect()
	whole := frames("message\n", goodEnvelope, newNonce())
	if _, err := busy.Write(whole[:7]); err != nil {
		t.Fatal(err)
	}
	q.untilBusy(1)
	q.server.refuse()
	if n, err := resting.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("a connection at rest goes on")
	}
	if _, err := busy.Write(whole[7:]); err != nil {
		t.Fatal(err)
	}
	a, err := submit.ReadAnswer(busy)
	if err != nil {
		t.Fatal(err)
	}
	accepted(t, a)
	if n, err := busy.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("the connection goes on after its message")
	}
	q.server.wait(time.Minute, nobodyWaits)
}

// TestDrainForgetsNobody: a connection that was just admitted is among those
// that are waited for.
func TestDrainForgetsNobody(t *testing.T) {
	t.Parallel()
	for round := range 5000 {
		s := newServer(nil, nil, func(string) {}, 10, nil)
		ours, theirs, err := fdpass.Pair(unix.SOCK_STREAM)
		if err != nil {
			t.Fatal(err)
		}
		go s.start(&connection{server: s, f: theirs, opened: time.Now()})
		for !s.hasConnection() {
			runtime.Gosched()
		}
		s.refuse()
		if !s.wait(time.Minute, nobodyWaits) {
			t.Fatal("the connection does not end")
		}
		if s.hasConnection() {
			t.Fatalf("round %d: all are said to have ended, and one has not", round)
		}
		ours.Close()
	}
}

// TestDrainIsNotBusy: who connects while the spool begins to leave is told
// nothing, so that he goes to its successor. "Busy" would be his client's answer.
func TestDrainIsNotBusy(t *testing.T) {
	t.Parallel()
	for round := range 5000 {
		s := newServer(nil, nil, func(string) {}, 10, nil)
		ours, theirs, err := fdpass.Pair(unix.SOCK_STREAM)
		if err != nil {
			t.Fatal(err)
		}
		begun := make(chan struct{})
		go func() {
			close(begun)
			s.start(&connection{server: s, f: theirs, opened: time.Now()})
		}()
		<-begun
		for range round % 50 {
			s.isDraining()
		}
		s.refuse()
		if err := submit.ReadGreeting(ours); errors.Is(err, submit.ErrBusy) {
			t.Fatalf("round %d: the spool says that it is busy", round)
		}
		ours.Close()
	}
}

func (s *server) hasConnection() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.resting) > 0
}

// untilBusy waits until n messages are being received.
func (q *queue) untilBusy(n int) {
	q.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		q.store.mu.Lock()
		now := len(q.store.inflight)
		q.store.mu.Unlock()
		if now == n {
			return
		}
	}
	q.t.Fatal("the messages did not begin")
}

// Many slow submitters hold little memory: what does not fit is in files, and
// becomes the same entries.
func TestMemoryIsShared(t *testing.T) {
	t.Parallel()
	q := startQueue(t)
	q.server.limit = 1000
	q.store.memory = newBudget(100 << 10)
	body := bytes.Repeat([]byte("0123456789abcde\n"), 2000) // 32,000 bytes: inline
	const submitters = 20
	var conns []io.ReadWriter
	for range submitters {
		c := q.connect()
		if _, err := c.Write(submit.AppendFrame(nil, submit.Message, body)); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	q.untilBusy(submitters)
	for i, c := range conns {
		nonce := newNonce()
		env := goodEnvelope
		if i%2 == 0 { // a streamed envelope behind a spilled body
			env = "F\x00" + strings.Repeat("Trecipient@example.net\x00", 5000) + "\x00"
		}
		b := submit.AppendFrame(nil, submit.Envelope, []byte(env))
		if _, err := c.Write(submit.AppendFrame(b, submit.Commit, nonce[:])); err != nil {
			t.Fatal(err)
		}
		a, err := submit.ReadAnswer(c)
		if err != nil {
			t.Fatal(err)
		}
		id := accepted(t, a)
		m := q.read(id)
		if _, got, _ := strings.Cut(m.body, "\n"); got != string(body) || len(m.recipients) != strings.Count(env, "T") {
			t.Errorf("body of %d bytes, %d recipients", len(got), len(m.recipients))
		}
	}
	for _, name := range q.files() {
		if strings.HasSuffix(name, ".body") || strings.HasPrefix(name, "tmp/") {
			t.Errorf("%s: a small message is one file", name)
		}
	}
	if left := q.store.memory.left.Load(); left != 100<<10 {
		t.Errorf("%d bytes were not given back", 100<<10-left)
	}
}
