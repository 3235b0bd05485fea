package submitlink

import (
	"bufio"
	"errors"
	"io"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fate"
	"postrider/internal/fdpass"
	"postrider/internal/wire/submit"
)

// spool is the other end. What it says to a connection are its greeting, and its
// answer to what comes then; nothing is that it closes the connection.
type spool struct {
	greet, answer func(n int) []byte // n connections were there before

	mu    sync.Mutex
	count int
}

func ready(int) []byte { return submit.AppendFrame(nil, submit.Ready, []byte(submit.Version)) }

func accept(int) []byte {
	return submit.AppendAnswer(nil, submit.Answer{Kind: submit.Accepted, ID: "1"})
}

func nothing(int) []byte { return nil }

// lost says nothing on the first n of m connections, and text on the others.
func lost(n, m int, text func(int) []byte) func(int) []byte {
	return func(count int) []byte {
		if count%m < n {
			return nil
		}
		return text(count)
	}
}

// link returns the submitter's end of a link to s; end is what ends it.
func (s *spool) link(t *testing.T) (ours *os.File, end func()) {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	channel, err := fdpass.NewPackets(theirs)
	if err != nil {
		t.Fatal(err)
	}
	end = func() { channel.Close() }
	t.Cleanup(end)
	go func() {
		for {
			c, err := submit.ReceiveConnection(channel)
			if err != nil {
				return
			}
			s.mu.Lock()
			n := s.count
			s.count++
			s.mu.Unlock()
			go s.serve(c, n)
		}
	}()
	return ours, end
}

func (s *spool) serve(c *os.File, n int) {
	defer c.Close()
	if text := s.greet(n); len(text) > 0 {
		c.Write(text) // who is gone does not read
		in := bufio.NewReader(c)
		if _, err := in.ReadByte(); err != nil {
			return
		}
		if text := s.answer(n); len(text) > 0 {
			c.Write(text)
			io.Copy(io.Discard, in) // until the other end goes
		}
	}
}

func linkTo(t *testing.T, f *os.File) *Link {
	t.Helper()
	l := New(Limits{Commits: 2, Streams: 16, Spare: 1})
	link, err := l.Relink(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { link.Close() })
	return l
}

// handIn hands a message in over a connection of its own.
func handIn(l *Link) (submit.Answer, bool, error) {
	c, err := l.ConnectNow()
	if err != nil {
		return submit.Answer{}, false, err
	}
	defer c.File.Close()
	answer, err := c.Exchange([][]byte{[]byte("one "), []byte("message")})
	return answer, true, err
}

// fullLink returns a submit link to a spool that is there and takes nothing.
func fullLink(t *testing.T) *os.File {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	link, err := fdpass.NewPackets(ours)
	if err != nil {
		t.Fatal(err)
	}
	for sent := true; sent; {
		if sent, err = link.TrySend([]byte{submit.ChannelByte}); err != nil {
			t.Fatal(err)
		}
	}
	return ours
}

// Only a spool that ended is waited for: after other trouble, be it ours or that
// of a spool that is there, no new one comes.
func TestTroubleIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	to := func(s *spool) *os.File { f, _ := s.link(t); return f }
	for _, c := range []struct {
		name     string
		link     func() *os.File
		connects bool
		taken    bool
	}{
		{"no connection can be handed over", func() *os.File { return fullLink(t) }, false, false},
		{"the greeting is none", func() *os.File {
			return to(&spool{greet: func(int) []byte { return submit.AppendFrame(nil, '?', nil) }})
		}, false, false},
		{"it is busy", func() *os.File {
			return to(&spool{greet: func(int) []byte { return submit.AppendFrame(nil, submit.Busy, nil) }})
		}, false, false},
		{"the answer is none", func() *os.File {
			return to(&spool{greet: ready, answer: func(int) []byte { return submit.AppendAnswer(nil, submit.Answer{Kind: '?'}) }})
		}, true, false},
		{"each second connection is lost", func() *os.File {
			return to(&spool{answer: accept, greet: lost(1, 2, ready)})
		}, true, true},
		{"each second answer is lost", func() *os.File {
			return to(&spool{greet: ready, answer: lost(1, 2, accept)})
		}, true, true},
		{"three of four connections are lost", func() *os.File {
			return to(&spool{answer: accept, greet: lost(3, 4, ready)})
		}, true, true},
		{"three of four answers are lost", func() *os.File {
			return to(&spool{greet: ready, answer: lost(3, 4, accept)})
		}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := linkTo(t, c.link())
			begun := time.Now()
			_, err := l.Again(func() (submit.Answer, bool, error) { return handIn(l) })
			if (err == nil) != c.taken || err != nil && fate.ClassOf(err) != fate.Temporary {
				t.Errorf("a short message: %v", err)
			}
			connection, err := l.Connect()
			if (err == nil) != c.connects {
				t.Errorf("a connection for a long one: %v", err)
			}
			if err == nil {
				connection.File.Close()
			}
			if waited := time.Since(begun); waited >= Wait {
				t.Errorf("after %v", waited)
			}
		})
	}
}

// A spool that ended is waited for, with a message that it may have had.
func TestSpoolIsReplaced(t *testing.T) {
	t.Parallel()
	var end func()
	linked := make(chan struct{}) // end is known
	first := &spool{greet: ready, answer: func(int) []byte { <-linked; end(); return nil }}
	f, end := first.link(t)
	close(linked)
	l := linkTo(t, f)
	sent, done := make(chan bool, 10), make(chan error, 1)
	go func() {
		_, err := l.Again(func() (submit.Answer, bool, error) {
			answer, had, err := handIn(l)
			sent <- had
			return answer, had, err
		})
		done <- err
	}()
	if !<-sent || <-sent {
		t.Error("it is not handed in once to a spool that ends")
	}
	next, _ := (&spool{greet: ready, answer: accept}).link(t)
	link, err := l.Relink(next)
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if err := <-done; err != nil || !<-sent {
		t.Errorf("the next one: %v", err)
	}
}

// A message at which every spool ends is handed in four times.
func TestMessageThatEndsSpools(t *testing.T) {
	t.Parallel()
	f, _ := (&spool{greet: ready, answer: nothing}).link(t)
	l := linkTo(t, f)
	handed := 0
	_, err := l.Again(func() (submit.Answer, bool, error) {
		answer, sent, err := handIn(l)
		if handed++; handed%2 == 0 { // and the next one comes
			f, _ := (&spool{greet: ready, answer: nothing}).link(t)
			l.Absence.Begin()
			if _, err := l.Relink(f); err != nil {
				t.Error(err)
			}
		}
		return answer, sent, err
	})
	if err == nil || handed != maxLost {
		t.Errorf("handed in %d times, %v", handed, err)
	}
}

// When the spool was away for long, nobody waits; with the next link it is there.
func TestSpoolIsGone(t *testing.T) {
	t.Parallel()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	l := New(Limits{Commits: 1, Streams: 8})
	l.Absence.Limit = 0
	if err := l.Ready(); !errors.Is(err, ErrNoSpool) {
		t.Errorf("before there is one: %v", err)
	}
	if _, err := l.Relink(ours); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Connect(); !errors.Is(err, ErrNoSpool) {
		t.Errorf("connect to nobody: got %v", err)
	}
	if err := l.Ready(); !errors.Is(err, ErrNoSpool) || l.Current() != nil {
		t.Errorf("without a spool: got %v", err)
	}
	f, _ := (&spool{greet: ready}).link(t)
	link, err := l.Relink(f)
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if err := l.Ready(); err != nil {
		t.Errorf("with a new link: %v", err)
	}
}

// Idle connections are used again while they live and their link is the one.
func TestSpareConnections(t *testing.T) {
	t.Parallel()
	s := &spool{greet: ready, answer: accept}
	f, _ := s.link(t)
	l := linkTo(t, f)
	connect := func() Connection {
		t.Helper()
		c, err := l.Connect()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first, second := connect(), connect()
	l.Keep(first)
	l.Keep(second) // there is room for one
	if _, err := second.File.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("more are kept than wanted: %v", err)
	}
	if again := connect(); again != first || s.count != 2 {
		t.Errorf("it was not used again, %d were made", s.count)
	}
	if l.Replaced(first) {
		t.Error("replaced by nothing")
	}
	next, _ := s.link(t)
	link, err := l.Relink(next)
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if !l.Replaced(first) {
		t.Error("the link was replaced")
	}
	l.Keep(first)
	if third := connect(); third == first {
		t.Error("a connection over the link before is used")
	}
}

// A client has its part of the connections, one that is trusted all.
func TestPlaces(t *testing.T) {
	t.Parallel()
	p := newPlaces(1, 16)
	one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	var got []bool
	for range 3 {
		got = append(got, p.Enter(one, false) == nil)
	}
	got = append(got, p.Enter(other, false) == nil)
	p.Leave(one)
	got = append(got, p.Enter(one, false) == nil)
	if want := []bool{true, true, false, true, true}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	taken := 0
	for p.Enter(one, true) == nil {
		taken++
	}
	if taken != 13 {
		t.Errorf("%d more", taken)
	}
	if err := p.Enter(other, false); !errors.Is(err, errManyStreams) {
		t.Errorf("got %v", err)
	}
	if err := p.Turn(); err != nil {
		t.Error(err)
	}
	p.Done()
	if err := p.Turn(); err != nil {
		t.Error(err)
	}
}

// A write of more pieces than the kernel takes at a time.
func TestManyFramesInOneWrite(t *testing.T) {
	t.Parallel()
	ours, theirs, err := fdpass.Pair(unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	const pieces = 5000
	var frames [][]byte
	for i := range pieces {
		frames = append(frames, []byte{byte(i)}, nil)
	}
	sent := make(chan error, 1)
	go func() {
		sent <- Connection{File: theirs}.Send(frames)
		theirs.Close()
	}()
	got := make([]byte, 0, pieces)
	buf := make([]byte, 1000)
	for {
		n, err := ours.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			break
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if len(got) != pieces {
		t.Fatalf("%d of %d arrived", len(got), pieces)
	}
	for i, b := range got {
		if b != byte(i) {
			t.Fatalf("piece %d is another", i)
		}
	}
}
