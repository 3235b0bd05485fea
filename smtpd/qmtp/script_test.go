package qmtp

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"postrider/internal/clock"
	"postrider/internal/netstring"
)

// memoryQueue keeps messages.
type memoryQueue struct {
	taken []queuedMessage
	open  int // submissions that did not end
	fail  error
}

type memorySubmission struct {
	q      *memoryQueue
	m      queuedMessage
	sealed bool // its envelope was begun
	ended  bool
}

func (q *memoryQueue) begin(origin) (submission, error) {
	q.open++
	return &memorySubmission{q: q}, nil
}

func (s *memorySubmission) Write(p []byte) (int, error) {
	if s.sealed || s.ended {
		panic("text out of place")
	}
	s.m.text += string(p)
	return len(p), s.q.fail
}

func (s *memorySubmission) Sender(a string) error {
	if s.sealed || s.ended {
		panic("sender out of place")
	}
	s.sealed = true
	s.m.envelope = "F" + a + "\x00"
	return nil
}

func (s *memorySubmission) Recipient(a string) error {
	if !s.sealed || s.ended {
		panic("recipient out of place")
	}
	s.m.envelope += "T" + a + "\x00"
	return nil
}

func (s *memorySubmission) Commit() (string, error) {
	s.end()
	s.m.envelope += "\x00"
	s.q.taken = append(s.q.taken, s.m)
	return fmt.Sprintf("1795000000%010d", len(s.q.taken)), nil
}

func (s *memorySubmission) Abort() { s.end() }

func (s *memorySubmission) end() {
	if s.ended {
		panic("ended twice")
	}
	s.ended = true
	s.q.open--
}

// script is a client that has sent pieces, each of which is one read, and then
// closed its side.
type script struct {
	pieces  []string
	answers strings.Builder
}

func (c *script) Read(p []byte) (int, error) {
	for len(c.pieces) > 0 {
		n := copy(p, c.pieces[0])
		if c.pieces[0] = c.pieces[0][n:]; c.pieces[0] == "" {
			c.pieces = c.pieces[1:]
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, io.EOF
}

func (c *script) Write(p []byte) (int, error)      { return c.answers.Write(p) }
func (c *script) SetReadDeadline(time.Time) error  { return nil }
func (c *script) SetWriteDeadline(time.Time) error { return nil }

// testSession returns a session on c.
func testSession(t testing.TB, p protocol, c conn, files map[string]string) (*session, *memoryQueue) {
	t.Helper()
	return sessionWith(testSettings(t, p, files), p, c)
}

func testSettings(t testing.TB, p protocol, files map[string]string) *settings {
	t.Helper()
	s, err := p.load(controlDir(t, files))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sessionWith(settings *settings, p protocol, c conn) (*session, *memoryQueue) {
	q := &memoryQueue{}
	s := &session{service: &service{protocol: p, clock: clock.Real(), log: &recordedLog{}, lent: &budget{}},
		conn: c, settings: settings, queue: q,
		peer: peer{ip: "192.0.2.1", host: unknown, local: "mx.example.org"}}
	s.start()
	return s, q
}

// outcome is what became of a session.
type outcome struct {
	answers string // with TIME and ID for what differs
	queued  []string
	err     error
	log     string
}

// converse lets a session read pieces.
func converse(t testing.TB, p protocol, files map[string]string, pieces ...string) outcome {
	t.Helper()
	c := &script{pieces: pieces}
	s, q := testSession(t, p, c, files)
	return s.outcome(t, q, c)
}

func (s *session) outcome(t testing.TB, q *memoryQueue, c *script) outcome {
	t.Helper()
	o := outcome{err: s.run(), log: s.log.(*recordedLog).String()}
	if q.open != 0 {
		t.Errorf("a message was neither queued nor dropped")
	}
	if n := s.lent.used.Load(); n != 0 {
		t.Errorf("%d bytes are still lent", n)
	}
	for _, m := range q.taken {
		o.queued = append(o.queued, m.String())
	}
	o.answers = answerID.ReplaceAllString(c.answers.String(), "Kok TIME qp ID,")
	return o
}

var answerID = regexp.MustCompile(`38:Kok [0-9]{10} qp [0-9]{20},`)

// encoded is an answer as outcome has it.
func encoded(a string) string {
	if a == ok {
		return ok + ","
	}
	return string(netstring.Append(nil, a))
}
