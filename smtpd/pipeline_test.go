package smtpd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/submitlink"
	"postrider/internal/wire/submit"
)

// scriptedSpool does with each of its connections, in order, what its function
// says; the last does so with all that follow.
type scriptedSpool struct {
	*fakeSpool
	serve []func(c *os.File, in *bufio.Reader)
}

// pool returns a submitter that is linked to s.
func (s *scriptedSpool) pool() *spool {
	p := newSpool()
	if err := p.relink(s.link()); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if l := p.current(); l != nil {
			l.Close()
		}
	})
	return p
}

func (s *scriptedSpool) link() *os.File {
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		s.t.Fatal(err)
	}
	channel, err := fdpass.NewPackets(theirs)
	if err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer channel.Close()
		for i := 0; ; i++ {
			c, err := submit.ReceiveConnection(channel)
			if err != nil {
				return
			}
			s.note(func() { s.opened++ })
			serve := s.serve[min(i, len(s.serve)-1)]
			go func() {
				defer c.Close()
				if _, err := c.Write(submit.AppendFrame(nil, submit.Ready, []byte(submit.Version))); err == nil {
					serve(c, bufio.NewReader(c))
				}
			}()
		}
	}()
	return ours
}

// take receives n messages; each is one of those taken.
func (s *scriptedSpool) take(in *bufio.Reader, n int) (all []queuedMessage) {
	for range n {
		m, err := s.receive(in)
		if err != nil {
			return all
		}
		s.note(func() { s.taken = append(s.taken, m) })
		all = append(all, m)
	}
	return all
}

func acceptAs(id int) []byte {
	return submit.AppendAnswer(nil, submit.Answer{Kind: submit.Accepted, ID: fmt.Sprintf("1795000000%010d", id)})
}

// acceptAll answers every message at once.
func (s *scriptedSpool) acceptAll(c *os.File, in *bufio.Reader) {
	for id := 1; len(s.take(in, 1)) == 1; id++ {
		if _, err := c.Write(acceptAs(id)); err != nil {
			return
		}
	}
}

const testEnvelope = "Fjoe@example.net\x00Tjim@example.com\x00"

// commitAll hands in texts at the same time and returns the errors.
func commitAll(p *spool, texts []string) []error {
	errs := make([]error, len(texts))
	var wg sync.WaitGroup
	for i, text := range texts {
		wg.Go(func() { _, errs[i] = p.commitShort([]byte(text), []byte(testEnvelope)) })
	}
	wg.Wait()
	return errs
}

func numbered(n int) (texts []string) {
	for i := range n {
		texts = append(texts, fmt.Sprintf("message %d", i))
	}
	return texts
}

// Many sessions at once share one connection, and each gets the answer to its
// own message.
func TestSessionsShareOneConnection(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	h.spool.note(func() {
		h.spool.answer = func(m queuedMessage) submit.Answer {
			_, body, _ := strings.Cut(m.text, "\n  by ")
			_, body, _ = strings.Cut(body, "\n")
			if strings.HasPrefix(body, "refuse") {
				return submit.Answer{Kind: submit.Permanent, ExitCode: 31, Text: strings.TrimSpace(body)}
			}
			return submit.Answer{Kind: submit.Accepted}
		}
	})
	const sessions, each = 30, 5
	var wg sync.WaitGroup
	for i := range sessions {
		c := h.dial()
		wg.Go(func() {
			c.play(hello)
			for j := range each {
				c.play("C: MAIL FROM:<joe@example.net>\nS: 250 *\nC: RCPT TO:<jim@example.com>\nS: 250 *\nC: DATA\nS: 354 *\n")
				if (i+j)%3 == 0 {
					text := fmt.Sprintf("refuse %d %d", i, j)
					c.send(text + "\r\n.\r\n")
					c.expect("554 5.3.0 " + text)
					continue
				}
				c.send(fmt.Sprintf("take %d %d\r\n.\r\n", i, j))
				c.expect("250 2.0.0 ok *")
			}
			c.play(bye)
		})
	}
	wg.Wait()
	seen := make(map[string]bool)
	for _, m := range h.spool.messages() {
		seen[m.text[strings.Index(m.text, "take"):]] = true
	}
	if want := sessions * each * 2 / 3; len(seen) != want || len(h.spool.messages()) != want {
		t.Errorf("%d messages, %d distinct, want %d", len(h.spool.messages()), len(seen), want)
	}
	if h.spool.opened != 1 {
		t.Errorf("%d connections", h.spool.opened)
	}
}

// What waits while others are being written goes in one write, and the
// answers may come in any pieces.
func TestAnswersInPieces(t *testing.T) {
	t.Parallel()
	const count = 40
	s := &scriptedSpool{fakeSpool: newFakeSpool(t)}
	s.serve = append(s.serve, func(c *os.File, in *bufio.Reader) {
		s.take(in, count)
		var all []byte
		for i := range count {
			all = append(all, acceptAs(i+1)...)
		}
		for len(all) > 0 {
			n := min(len(all), 7)
			if _, err := c.Write(all[:n]); err != nil {
				return
			}
			all = all[n:]
		}
		s.take(in, 1) // until the end
	})
	for i, err := range commitAll(s.pool(), numbered(count)) {
		if err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
}

// The spool dies with messages unanswered: those, and no others, are sent again
// with their nonces, to the next connection or the next spool.
func TestSpoolDiesWithMessagesUnanswered(t *testing.T) {
	t.Parallel()
	const count, answered = 10, 3
	for _, tc := range []struct {
		name   string
		relink bool
	}{{"the connection ends", false}, {"the spool is another", true}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := &scriptedSpool{fakeSpool: newFakeSpool(t)}
			next := &scriptedSpool{fakeSpool: newFakeSpool(t)}
			next.serve = append(next.serve, next.acceptAll)
			if !tc.relink {
				next = s
			}
			p := newSpool()
			s.serve = append(s.serve, func(c *os.File, in *bufio.Reader) {
				s.take(in, count)
				for i := range answered {
					c.Write(acceptAs(i + 1))
				}
				if tc.relink {
					if err := p.relink(next.link()); err != nil {
						t.Error(err)
					}
				}
			}, s.acceptAll)
			if err := p.relink(s.link()); err != nil {
				t.Fatal(err)
			}
			defer func() { p.current().Close() }()
			for i, err := range commitAll(p, numbered(count)) {
				if err != nil {
					t.Errorf("message %d: %v", i, err)
				}
			}
			texts, nonces := s.taken, s.nonces
			if tc.relink {
				texts, nonces = append(texts, next.taken...), append(nonces, next.nonces...)
			}
			if len(texts) != count+count-answered || len(nonces) != len(texts) {
				t.Fatalf("%d messages were sent, with %d nonces", len(texts), len(nonces))
			}
			// The answers went to the first three.
			again := make(map[queuedMessage]string)
			for i := count; i < len(texts); i++ {
				again[texts[i]] = nonces[i]
			}
			for i := range count {
				if nonce, sent := again[texts[i]]; sent != (i >= answered) || sent && nonce != nonces[i] {
					t.Errorf("message %d (%v): sent again: %v, with the same nonce: %v", i, texts[i], sent, nonce == nonces[i])
				}
			}
		})
	}
}

// A spool that is replaced answers what it has, and ends; its successor does not
// know what was answered. So no answer may be lost because the next message could
// not be written, or the successor takes one again that has its answer. Mutation:
// without hearOut that happens some times in the rounds.
func TestAnswerBeforeTheEndIsHeard(t *testing.T) {
	t.Parallel()
	s := &scriptedSpool{fakeSpool: newFakeSpool(t)}
	p := newSpool()
	relink := func() {
		if err := p.relink(s.link()); err != nil {
			t.Error(err)
		}
	}
	s.serve = append(s.serve, func(c *os.File, in *bufio.Reader) {
		if len(s.take(in, 1)) == 1 {
			c.Write(acceptAs(1))
			c.Close()
			relink()
		}
	})
	relink()
	defer func() { p.current().Close() }()
	const rounds = 3000
	for round := range rounds {
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				// The second at any moment of the first one's life.
				for begun := time.Now(); i > 0 && time.Since(begun) < time.Duration(round%100)*2*time.Microsecond; {
				}
				if _, err := p.commitShort([]byte("x"), []byte(testEnvelope)); err != nil {
					t.Errorf("round %d, message %d: %v", round, i, err)
				}
			})
		}
		wg.Wait()
	}
	distinct := make(map[string]bool)
	for _, nonce := range s.nonces {
		distinct[nonce] = true
	}
	if again := len(s.nonces) - len(distinct); len(distinct) != 2*rounds || again > 0 {
		t.Errorf("%d messages arrived, want %d; %d came again that had an answer", len(distinct), 2*rounds, again)
	}
}

// Whoever comes after the spool left an idle connection gets another, also
// before anybody has noticed.
func TestConnectionBreaksWhileIdle(t *testing.T) {
	t.Parallel()
	s := &scriptedSpool{fakeSpool: newFakeSpool(t)}
	s.serve = append(s.serve, func(c *os.File, in *bufio.Reader) {
		s.take(in, 1)
		c.Write(acceptAs(1))
	})
	p := s.pool()
	const count = 30
	for i := range count {
		if _, err := p.commitShort([]byte("x"), []byte(testEnvelope)); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if i%2 == 0 {
			awaitBroken(t, p)
		}
	}
	distinct := make(map[string]bool)
	for _, nonce := range s.nonces {
		distinct[nonce] = true
	}
	if len(distinct) != count {
		t.Errorf("%d messages arrived, want %d", len(distinct), count)
	}
}

func awaitBroken(t *testing.T, p *spool) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		broken := p.short.isBroken()
		p.mu.Unlock()
		if broken {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the connection goes on")
		}
	}
}

// A spool that answers what nobody asked, or says no answer at all, is not
// believed any more: the connection ends, and nobody gets that answer.
func TestAnswerToNothing(t *testing.T) {
	t.Parallel()
	for name, said := range map[string][]byte{
		"an answer": acceptAs(77),
		"no answer": submit.AppendFrame(nil, 'Q', []byte("nonsense")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &scriptedSpool{fakeSpool: newFakeSpool(t)}
			s.serve = append(s.serve, func(c *os.File, in *bufio.Reader) {
				s.take(in, 1)
				c.Write(acceptAs(1))
				c.Write(said)
				s.take(in, 1) // until the end
			}, s.acceptAll)
			p := s.pool()
			if _, err := p.commitShort([]byte("x"), []byte(testEnvelope)); err != nil {
				t.Fatal(err)
			}
			awaitBroken(t, p)
			id, err := p.commitShort([]byte("y"), []byte(testEnvelope))
			opened := 0
			s.note(func() { opened = s.opened })
			if err != nil || strings.HasSuffix(id, "77") || opened != 2 {
				t.Errorf("got %s, %v over %d connections", id, err, opened)
			}
		})
	}
}

// The text of a message is the session's again when its commit returns: until
// then it is not changed, also when the spool leaves while messages are being
// written, or does not read on. What arrives whole is as it was.
func TestTextIsKeptUntilWritten(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(c *os.File){
		"it leaves": func(*os.File) {},
		"it says nonsense and reads no more": func(c *os.File) {
			c.Write(submit.AppendFrame(nil, 'Q', nil))
			time.Sleep(10 * time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &scriptedSpool{fakeSpool: newFakeSpool(t)}
			answer := func(c *os.File, in *bufio.Reader, count int) {
				for id := range count {
					m, err := s.receive(in)
					if err != nil {
						return
					}
					if !strings.HasPrefix(strings.Repeat(m.text[:1], 100<<10), m.text) {
						t.Error("a message was changed while it was written")
					}
					if _, err := c.Write(acceptAs(id + 1)); err != nil {
						return
					}
				}
			}
			s.serve = append(s.serve,
				func(c *os.File, in *bufio.Reader) { answer(c, in, 30); leave(c) },
				func(c *os.File, in *bufio.Reader) { answer(c, in, 1<<20) })
			commitAndReuse(t, s.pool())
		})
	}
}

// commitAndReuse hands in messages and writes over each as soon as it may.
func commitAndReuse(t *testing.T, p *spool) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range maxCommits {
		wg.Go(func() {
			text := make([]byte, 60<<10)
			for round := range 4 {
				copy(text, bytes.Repeat([]byte{'a' + byte(i+round)%26}, len(text)))
				if _, err := p.commitShort(text, []byte(testEnvelope)); err != nil {
					t.Error(err)
				}
				copy(text, bytes.Repeat([]byte{'#'}, len(text)))
			}
		})
	}
	wg.Wait()
}

// A message that is being written when the spool breaks the protocol ends soon,
// though the spool does not read on.
func TestBreakEndsTheWriting(t *testing.T) {
	t.Parallel()
	s := &scriptedSpool{fakeSpool: newFakeSpool(t)}
	ended := make(chan struct{})
	s.serve = append(s.serve, func(c *os.File, in *bufio.Reader) {
		in.Peek(1)
		c.Write(submit.AppendFrame(nil, 'Q', nil))
		<-ended
	}, s.acceptAll)
	p := s.pool()
	large := strings.Repeat("x", submit.MaxFrame) // and more than a socket takes
	start := time.Now()
	errs := commitAll(p, []string{large, large, large, large})
	close(ended)
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if waited := time.Since(start); waited > patience {
		t.Errorf("waited for %v", waited)
	}
}

// Without a spool a short message is not taken.
func TestCommitWithoutSpool(t *testing.T) {
	t.Parallel()
	p := newSpool()
	start := time.Now()
	if _, err := p.commitShort([]byte("x"), []byte(testEnvelope)); !errors.Is(err, submitlink.ErrNoSpool) {
		t.Errorf("got %v", err)
	}
	if waited := time.Since(start); waited >= submitlink.Wait {
		t.Errorf("waited for %v", waited)
	}
}

// A message that never left is refused at once if the spool is there and busy,
// or away for too long.
func TestUnsentIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spool func(channel *fdpass.Packets)
	}{
		{"away", func(channel *fdpass.Packets) { channel.Close() }},
		{"busy", func(channel *fdpass.Packets) {
			for {
				f, err := submit.ReceiveConnection(channel)
				if err != nil {
					return
				}
				_, _ = f.Write(submit.AppendFrame(nil, submit.Busy, nil)) // as the client sees
				f.Close()
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
			if err != nil {
				t.Fatal(err)
			}
			channel, err := fdpass.NewPackets(theirs)
			if err != nil {
				t.Fatal(err)
			}
			defer channel.Close()
			p := newSpool()
			if c.name == "away" {
				p.link.Absence.Limit = 0
			}
			if err := p.relink(ours); err != nil {
				t.Fatal(err)
			}
			go c.spool(channel)
			begun := time.Now()
			_, err = p.commitShort([]byte("x\n"), []byte("Fa@b\x00Tc@d\x00"))
			if !errors.Is(err, errUnsent) || queueReply(err).code != 451 {
				t.Errorf("got %v", err)
			}
			if waited := time.Since(begun); waited >= submitlink.Wait {
				t.Errorf("after %v", waited)
			}
		})
	}
}
