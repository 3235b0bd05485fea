package spool

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/durable"
	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
	"postrider/internal/wire/submit"
)

// queue is a spool on a real directory, with the scheduler's end of its link.
type queue struct {
	t      *testing.T
	layout queuedir.Layout
	store  *Store
	server *server
	peer   *fdpass.Packets

	mu    sync.Mutex
	lines []string
}

func makeQueue(t *testing.T) queuedir.Layout {
	t.Helper()
	l := queuedir.At(t.TempDir())
	control := filepath.Join(filepath.Dir(l.Root), "control")
	for _, dir := range []string{l.Tmp(), l.BadUnacked(), l.Drop(), control} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := range queuedir.Buckets {
		if err := os.MkdirAll(l.NewDir(queuedir.BucketName(i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func startQueue(t *testing.T) *queue { return reopenQueue(t, makeQueue(t)) }

func reopenQueue(t *testing.T, l queuedir.Layout) *queue {
	t.Helper()
	q := &queue{t: t, layout: l}
	tree, err := durable.OpenTree(l.Root)
	if err != nil {
		t.Fatal(err)
	}
	group, err := durable.OpenGroup(l.Root)
	if err != nil {
		t.Fatal(err)
	}
	q.store = NewStore(tree, group, clock.Real(), q.log)
	if err := q.store.recover(); err != nil {
		t.Fatal(err)
	}
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	packets, err := fdpass.NewPackets(ours)
	if err != nil {
		t.Fatal(err)
	}
	if q.peer, err = fdpass.NewPackets(theirs); err != nil {
		t.Fatal(err)
	}
	link := newLink(q.store, packets, q.log)
	ended := make(chan struct{})
	go func() { link.run(); close(ended) }()
	q.server = newServer(q.store, link.announce, q.log, 10, func(uid uint32) string { return fmt.Sprintf("by uid %d", uid) })
	t.Cleanup(func() {
		q.server.refuse()
		q.server.wait(5*time.Second, nobodyWaits)
		q.peer.Close()
		<-ended
	})
	return q
}

func (q *queue) log(line string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lines = append(q.lines, line)
}

func (q *queue) logged(part string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, line := range q.lines {
		if bytes.Contains([]byte(line), []byte(part)) {
			return true
		}
	}
	return false
}

// connect returns a submitter's end, greeted.
func (q *queue) connect() *os.File {
	q.t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_STREAM)
	if err != nil {
		q.t.Fatal(err)
	}
	q.t.Cleanup(func() { theirs.Close() })
	q.server.start(&connection{server: q.server, f: ours, from: origin{uid: 1000, text: "by uid 1000"}, opened: time.Now()})
	if err := submit.ReadGreeting(theirs); err != nil {
		q.t.Fatal(err)
	}
	return theirs
}

// commit is draft.commit for those who have nothing else to do.
func commit(d *draft, nonce queuedir.Nonce) (entries.Message, error) {
	var m entries.Message
	result := make(chan error, 1)
	d.commit(nonce, func(committed entries.Message, err error) {
		m = committed
		result <- err
	})
	return m, <-result
}

func newNonce() queuedir.Nonce {
	var n queuedir.Nonce
	rand.Read(n[:])
	return n
}

// frames is a whole submission.
func frames(body, env string, nonce queuedir.Nonce) []byte {
	var b []byte
	for p := []byte(body); len(p) > 0; {
		n := min(len(p), submit.MaxFrame)
		b = submit.AppendFrame(b, submit.Message, p[:n])
		p = p[n:]
	}
	for p := []byte(env); len(p) > 0; {
		n := min(len(p), submit.MaxFrame)
		b = submit.AppendFrame(b, submit.Envelope, p[:n])
		p = p[n:]
	}
	return submit.AppendFrame(b, submit.Commit, nonce[:])
}

// submit hands in a message over c and returns the answer.
func (q *queue) submit(c *os.File, body, env string, nonce queuedir.Nonce) submit.Answer {
	q.t.Helper()
	if _, err := c.Write(frames(body, env, nonce)); err != nil {
		q.t.Fatal(err)
	}
	a, err := submit.ReadAnswer(c)
	if err != nil {
		q.t.Fatal(err)
	}
	return a
}

// hear returns the next messages of the spool for the scheduler.
func (q *queue) hear(n int) []entries.Message {
	q.t.Helper()
	var got []entries.Message
	buf := make([]byte, fdpass.MaxPacket)
	if err := q.peer.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		q.t.Fatal(err)
	}
	for len(got) < n {
		size, _, err := q.peer.Receive(buf, 0)
		if err != nil {
			q.t.Fatalf("after %d of %d messages: %v", len(got), n, err)
		}
		err = entries.Decode(buf[:size], func(m entries.Message) error {
			m.Envelope = bytes.Clone(m.Envelope)
			got = append(got, m)
			return nil
		})
		if err != nil {
			q.t.Fatal(err)
		}
	}
	return got
}

func (q *queue) say(m entries.Message) {
	q.t.Helper()
	if err := q.peer.Send(entries.Append(nil, m)); err != nil {
		q.t.Fatal(err)
	}
}

// message is an entry read back.
type message struct {
	body       string
	head       queuedir.Head
	recipients []string
}

func (q *queue) read(id queuedir.ID) message {
	q.t.Helper()
	m, err := readEntry(q.layout, id)
	if err != nil {
		q.t.Fatal(err)
	}
	return m
}

func readEntry(l queuedir.Layout, id queuedir.ID) (message, error) {
	e, err := queuedir.OpenEntry(l, id)
	if err != nil {
		return message{}, err
	}
	defer e.Close()
	if err := e.CheckBody(); err != nil {
		return message{}, err
	}
	f, err := e.Body()
	if err != nil {
		return message{}, err
	}
	defer f.Close()
	body, err := io.ReadAll(f)
	if err != nil {
		return message{}, err
	}
	r, err := e.Envelope()
	if err != nil {
		return message{}, err
	}
	m := message{body: string(body), head: r.Head}
	for {
		a, err := r.Next()
		if err == io.EOF {
			return m, nil
		}
		if err != nil {
			return message{}, err
		}
		m.recipients = append(m.recipients, a.String())
	}
}

// files lists all files of the queue, relative to it.
func (q *queue) files() []string {
	q.t.Helper()
	var names []string
	err := filepath.WalkDir(q.layout.Root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(q.layout.Root, path)
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		q.t.Fatal(err)
	}
	return names
}

// nobodyWaits is for a server that has no successor yet.
func nobodyWaits() bool { return false }
