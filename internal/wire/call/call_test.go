package call

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
)

const patient = time.Minute

func pair(t *testing.T) (client, server *os.File) {
	t.Helper()
	client, server, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

// serve links c to a server and returns what that will have returned.
func serve(t *testing.T, c *Client, most int, handle func([]byte) []byte) chan error {
	t.Helper()
	ours, theirs := pair(t)
	ended := make(chan error, 1)
	go func() { ended <- Serve(theirs, most, handle) }()
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	return ended
}

func echo(q []byte) []byte { return append([]byte("re: "), q...) }

func TestManyAsk(t *testing.T) {
	t.Parallel()
	c := NewClient("peer")
	serve(t, c, 8, echo)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			q := fmt.Sprint("question ", i)
			for {
				a, err := c.Ask([]byte(q), patient)
				if errors.Is(err, ErrBusy) {
					continue // the socket holds fewer than all
				}
				if err != nil || string(a) != "re: "+q {
					t.Errorf("%q: %q, %v", q, a, err)
				}
				return
			}
		})
	}
	all.Wait()
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	c := NewClient("peer")
	if _, err := c.Ask([]byte("?"), patient); !errors.Is(err, ErrNoLink) {
		t.Errorf("without a link: %v", err)
	}
	for _, q := range [][]byte{nil, make([]byte, MaxBody+1)} {
		if _, err := c.Ask(q, patient); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%d bytes: %v", len(q), err)
		}
	}
	release := make(chan struct{})
	serve(t, c, 2, func(q []byte) []byte {
		if string(q) == "slow" {
			<-release
		}
		return echo(q)
	})
	if _, err := c.Ask([]byte("slow"), time.Millisecond); !errors.Is(err, ErrLate) {
		t.Errorf("a slow peer: %v", err)
	}
	c.mu.Lock()
	if len(c.open) != 0 {
		t.Errorf("%d questions are open that nobody waits for", len(c.open))
	}
	c.mu.Unlock()
	close(release) // its late answer is passed over
	if a, err := c.Ask([]byte("next"), patient); err != nil || string(a) != "re: next" {
		t.Errorf("after a late answer: %q, %v", a, err)
	}
	if a, err := c.Ask(bytes.Repeat([]byte{'x'}, MaxBody-4), patient); err != nil || len(a) != MaxBody {
		t.Errorf("the largest answer: %d bytes, %v", len(a), err)
	}
	c = NewClient("peer")
	serve(t, c, 1, func(q []byte) []byte { return q[:1] })
	if a, err := c.Ask(make([]byte, MaxBody), patient); err != nil || len(a) != 1 {
		t.Errorf("the largest question: %d bytes, %v", len(a), err)
	}
}

func TestPeerIsReplaced(t *testing.T) {
	t.Parallel()
	c := NewClient("peer")
	asked, release := make(chan struct{}), make(chan struct{})
	first := serve(t, c, 1, func(q []byte) []byte {
		close(asked)
		<-release
		return echo(q)
	})
	lost := make(chan error, 1)
	go func() {
		_, err := c.Ask([]byte("to the first"), patient)
		lost <- err
	}()
	<-asked
	serve(t, c, 1, echo)
	if err := <-lost; err != nil {
		t.Errorf("asked before, and not asked again: %v", err)
	}
	if a, err := c.Ask([]byte("to the second"), patient); err != nil || string(a) != "re: to the second" {
		t.Errorf("asked after: %q, %v", a, err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("the first server: %v", err)
	}
}

// A peer that ended is waited for, and no question ends two.
func TestPeerComesBack(t *testing.T) {
	t.Parallel()
	c := NewClient("peer")
	// doom links to a peer that ends once it is asked.
	doom := func() (ended chan struct{}) {
		ours, theirs := pair(t)
		if err := c.Relink(ours); err != nil {
			t.Fatal(err)
		}
		link, err := fdpass.NewPackets(theirs)
		if err != nil {
			t.Fatal(err)
		}
		ended = make(chan struct{})
		go func() {
			_, _, _ = link.Receive(make([]byte, 100), 0)
			link.Close()
			close(ended)
		}()
		return ended
	}
	asked := func(q string) chan error {
		answered := make(chan error, 1)
		go func() {
			a, err := c.Ask([]byte(q), patient)
			if err == nil && string(a) != "re: "+q {
				err = fmt.Errorf("answer %q", a)
			}
			answered <- err
		}()
		return answered
	}
	ended := doom()
	over := asked("it ends over this")
	<-ended
	away := asked("it is away")
	serve(t, c, 2, echo)
	for _, answered := range []chan error{over, away} {
		if err := <-answered; err != nil {
			t.Errorf("after it came back: %v", err)
		}
	}
	ended = doom()
	killer := asked("it ends over this each time")
	<-ended
	<-doom()
	if err := <-killer; !errors.Is(err, ErrLost) {
		t.Errorf("a question that two peers ended over: %v", err)
	}
}

// Only a peer that ended is waited for: one that is there and takes no question
// is busy, at once.
func TestBusyPeerIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	c := NewClient("peer")
	ours, theirs := pair(t)
	defer theirs.Close()
	link, err := fdpass.NewPackets(ours)
	if err != nil {
		t.Fatal(err)
	}
	for sent := true; sent; {
		if sent, err = link.TrySend(appendPacket(nil, 0, []byte("?"))); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if _, err := c.Ask([]byte("?"), patient); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
	if waited := time.Since(begun); waited >= linkTime {
		t.Errorf("after %v", waited)
	}
	if !c.Linked() {
		t.Error("the link is given up")
	}
}

// Who takes the links does not wait for the next one.
func TestAskNow(t *testing.T) {
	t.Parallel()
	c := NewClient("peer")
	ours, theirs := pair(t)
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	begun := time.Now()
	for range 2 {
		if _, err := c.AskNow([]byte("?"), patient); !errors.Is(err, ErrNoLink) && !errors.Is(err, ErrLost) {
			t.Errorf("got %v", err)
		}
	}
	if waited := time.Since(begun); waited >= linkTime {
		t.Errorf("after %v", waited)
	}
}

func TestPeerEnds(t *testing.T) {
	t.Parallel()
	c := NewClient("peer")
	c.absence.Limit = 0
	ours, theirs := pair(t)
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	lost := make(chan error, 1)
	go func() {
		_, err := c.Ask([]byte("?"), patient)
		lost <- err
	}()
	buf := make([]byte, 100)
	link, err := fdpass.NewPackets(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := link.Receive(buf, 0); err != nil {
		t.Fatal(err)
	}
	link.Close()
	if err := <-lost; !errors.Is(err, ErrNoLink) {
		t.Errorf("the peer ended for long: %v", err)
	}
	if c.Linked() {
		t.Error("still linked")
	}
}

func TestBrokenQuestionEndsLink(t *testing.T) {
	t.Parallel()
	ours, theirs := pair(t)
	link, err := fdpass.NewPackets(ours)
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	ended := make(chan error, 1)
	go func() { ended <- Serve(theirs, 1, echo) }()
	if err := link.Send([]byte("1234")); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, errShort) {
		t.Errorf("a packet without a body: %v", err)
	}
}

// A descriptor that is no link is no peer, and is not kept.
func TestNoSocket(t *testing.T) {
	t.Parallel()
	// This opens nothing, so that not even its flags can be set.
	place := func() *os.File {
		fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return os.NewFile(uintptr(fd), "/")
	}
	c := NewClient("peer")
	f := place()
	if err := c.Relink(f); err == nil || c.Linked() {
		t.Errorf("relinked: %v", err)
	}
	if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("who asks keeps it: %v", err)
	}
	f = place()
	if err := Serve(f, 1, echo); err == nil {
		t.Error("served")
	}
	if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("who answers keeps it: %v", err)
	}
}

// Who asks while the peer is away waits for the next one, for as long as that
// takes at most; who asks later does not wait again.
func TestAbsentPeerIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewClient("peer")
		ours, theirs := pair(t)
		if err := c.Relink(ours); err != nil {
			t.Fatal(err)
		}
		theirs.Close()
		synctest.Wait() // it is known to be gone
		for _, want := range []time.Duration{linkTime, 0} {
			begun := time.Now()
			if _, err := c.Ask([]byte("?"), patient); !errors.Is(err, ErrNoLink) || time.Since(begun) != want {
				t.Errorf("%v after %v, want it after %v", err, time.Since(begun), want)
			}
		}
	})
}

// The next peer gets the question of who has waited for it.
func TestNextPeerIsAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewClient("peer")
		c.absence.End()
		c.absence.Begin() // it was there a moment ago
		var answer []byte
		var err error
		asked := make(chan struct{})
		go func() {
			answer, err = c.Ask([]byte("?"), patient)
			close(asked)
		}()
		synctest.Wait() // for the next peer
		ours, theirs := pair(t)
		ended := make(chan error, 1)
		go func() { ended <- Serve(theirs, 1, echo) }()
		if err := c.Relink(ours); err != nil {
			t.Fatal(err)
		}
		if <-asked; err != nil || string(answer) != "re: ?" {
			t.Errorf("%q, %v", answer, err)
		}
		ours.Close()
		if err := <-ended; err != nil {
			t.Errorf("who answered: %v", err)
		}
	})
}

// narrow lets f send only small packets.
func narrow(t *testing.T, f *os.File) {
	t.Helper()
	fd, err := fdpass.Descriptor(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1); err != nil {
		t.Fatal(err)
	}
}

// A question that the kernel does not take fails with the reason; the peer is
// there, and is asked other ones.
func TestQuestionThatCannotBeSent(t *testing.T) {
	t.Parallel()
	c := NewClient("peer")
	ours, theirs := pair(t)
	narrow(t, ours)
	go Serve(theirs, 1, echo)
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Ask(make([]byte, MaxBody), patient); !errors.Is(err, unix.EMSGSIZE) {
		t.Errorf("got %v", err)
	}
	if a, err := c.Ask([]byte("?"), patient); err != nil || string(a) != "re: ?" {
		t.Errorf("a small question: %q, %v", a, err)
	}
}

// An answer that the kernel does not take ends the link, so that nobody waits
// for it; one for a peer that is gone is no trouble.
func TestAnswerThatCannotBeSent(t *testing.T) {
	t.Parallel()
	c := NewClient("peer")
	ours, theirs := pair(t)
	narrow(t, theirs)
	ended := make(chan error, 1)
	go func() { ended <- Serve(theirs, 1, func([]byte) []byte { return make([]byte, MaxBody) }) }()
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AskNow([]byte("?"), patient); !errors.Is(err, ErrLost) {
		t.Errorf("who asked: %v", err)
	}
	if err := <-ended; err == nil || errors.Is(err, errShort) {
		t.Errorf("who answers: %v", err)
	}

	ours, theirs = pair(t)
	link, err := fdpass.NewPackets(ours)
	if err != nil {
		t.Fatal(err)
	}
	begun, release := make(chan struct{}, 2), make(chan struct{})
	go func() {
		ended <- Serve(theirs, 1, func(q []byte) []byte { begun <- struct{}{}; <-release; return q })
	}()
	for number := range uint32(2) {
		if err := link.Send(appendPacket(nil, number, []byte("?"))); err != nil {
			t.Fatal(err)
		}
	}
	<-begun // the second question waits for its end
	link.Close()
	close(release)
	if err := <-ended; err != nil {
		t.Errorf("the peer of an answer is gone: %v", err)
	}
}

// A peer that never answers is asked no more than so much.
func TestTooManyOpen(t *testing.T) {
	t.Parallel()
	c := NewClient("peer")
	ours, theirs := pair(t)
	defer theirs.Close()
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	for n := range uint32(maxOpen) {
		c.open[1<<31+n] = make(chan []byte, 1)
	}
	c.mu.Unlock()
	if _, err := c.Ask([]byte("?"), patient); !errors.Is(err, ErrBusy) {
		t.Errorf("with %d open questions: %v", maxOpen, err)
	}
	c.answered(1<<31, nil)
	if _, err := c.Ask([]byte("?"), time.Nanosecond); !errors.Is(err, ErrLate) {
		t.Errorf("with one fewer: %v", err)
	}
}

// A peer that breaks the protocol is lost: nothing it says afterwards counts.
func TestBrokenAnswerEndsLink(t *testing.T) {
	t.Parallel()
	c := NewClient("peer")
	c.absence.Limit = 0
	ours, theirs := pair(t)
	link, err := fdpass.NewPackets(theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	lost := make(chan error, 1)
	go func() {
		_, err := c.AskNow([]byte("?"), patient)
		lost <- err
	}()
	buf := make([]byte, 100)
	if _, _, err := link.Receive(buf, 0); err != nil {
		t.Fatal(err)
	}
	if err := link.Send([]byte("1234")); err != nil {
		t.Fatal(err)
	}
	if err := <-lost; !errors.Is(err, ErrLost) {
		t.Errorf("got %v", err)
	}
	if c.Linked() {
		t.Error("still linked")
	}
	if _, _, err := link.Receive(buf, 0); err != io.EOF {
		t.Errorf("the peer is not told: %v", err)
	}
}

// A question that has no answer, or one that is too long, stays without.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	c := NewClient("peer")
	serve(t, c, 1, func(q []byte) []byte {
		switch string(q) {
		case "none":
			return nil
		case "long":
			return make([]byte, MaxBody+1)
		}
		return make([]byte, MaxBody)
	})
	for _, q := range []string{"none", "long"} {
		if a, err := c.Ask([]byte(q), 10*time.Millisecond); !errors.Is(err, ErrLate) {
			t.Errorf("%s: %d bytes, %v", q, len(a), err)
		}
	}
	if a, err := c.Ask([]byte("most"), patient); len(a) != MaxBody || err != nil {
		t.Errorf("the longest: %d bytes, %v", len(a), err)
	}
}

// A peer that does not take a question since it has ended is gone at once, and
// not only when somebody reads its end.
func TestQuestionFindsPeerGone(t *testing.T) {
	t.Parallel()
	c := NewClient("peer")
	ours, theirs := pair(t)
	link, err := fdpass.NewPackets(ours)
	if err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	c.link = link // and nobody reads
	if _, err := c.AskNow([]byte("?"), patient); !errors.Is(err, ErrNoLink) || c.Linked() {
		t.Errorf("%v, linked: %v", err, c.Linked())
	}
	if _, err := ours.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the link stays open: %v", err)
	}
}
