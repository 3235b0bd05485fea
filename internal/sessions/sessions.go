package sessions

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"postrider/internal/clock"
	"postrider/internal/wire/parent"
)

// Session is one connection that is served.
type Session interface {
	// Interruptible reports whether nothing is lost if it ends now: it waits for
	// its client, with no mail in hand.
	Interruptible() bool
}

// Set is the sessions of a daemon and the sockets that they come from.
type Set struct {
	Drain time.Duration // DrainTime; set before the first session
	Last  uint64        // number of the last session; set before the first

	end   *End
	clock clock.Clock
	warn  func(text string)

	leaving atomic.Bool // another process serves the sockets
	left    atomic.Bool // and nobody is connected to this one any more

	mu        sync.Mutex
	listeners []net.Listener
	open      map[Session]net.Conn
	running   sync.WaitGroup
}

// New returns a set of sessions that look at end. What hinders it goes to warn.
func New(end *End, c clock.Clock, warn func(text string)) *Set {
	end.Ending = make(chan struct{})
	return &Set{Drain: DrainTime, end: end, clock: c, warn: warn, open: make(map[Session]net.Conn)}
}

// Run serves until the control channel ends, and then drains; or until all
// sessions have ended after another process has taken over the listeners. All
// other frames are frame's.
func (s *Set) Run(channel *parent.Channel, frame func(parent.Frame) error) error {
	err := channel.Run(func(f parent.Frame) error {
		if f.Kind != parent.Drain {
			return frame(f)
		}
		go func() {
			s.leave()
			_ = channel.Close() // it is over
		}()
		return nil
	})
	if s.left.Load() {
		return nil
	}
	s.stop()
	return err
}

// Go runs a part of a session, which is waited for.
func (s *Set) Go(part func()) { s.running.Go(part) }

// Enroll makes a session one of those that are open, and numbers it.
func (s *Set) Enroll(one Session, c net.Conn) (number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Last++
	s.open[one] = c
	return s.Last
}

// Close ends what Enroll began.
func (s *Set) Close(one Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, open := s.open[one]; open {
		delete(s.open, one)
		_ = c.Close() // all that mattered was written before
	}
}

// AddrPort returns the address of a TCP socket, an IPv4 one as such.
func AddrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
