package sessions

import (
	"sync/atomic"
	"time"
)

const (
	// DrainTime is how long open sessions may go on after qmail-start has told
	// the daemon to stop.
	DrainTime = 10 * time.Second
	// cutTime is how long sessions that are cut off then have to say so.
	cutTime = time.Second
)

// End is what sessions look at to know that they are to end. The zero End never
// comes.
type End struct {
	Stopping atomic.Bool // sessions end as soon as no message is on its way
	CutOff   atomic.Bool // sessions end now
	// Ending is closed when Stopping is set: nobody is kept waiting any more.
	Ending chan struct{}
}

// leave lets another process take the connections that come from now on. Who
// is connected is served to the end.
func (s *Set) leave() {
	s.leaving.Store(true)
	s.closeListeners()
	s.running.Wait() // what accepts is among that
	s.left.Store(true)
}

func (s *Set) closeListeners() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		_ = l.Close() // nothing is lost with it
	}
}

// stop closes the listeners, lets sessions with mail in hand finish, and cuts
// off what is left.
func (s *Set) stop() {
	s.end.Stopping.Store(true)
	close(s.end.Ending)
	s.closeListeners()
	s.interrupt(Session.Interruptible)
	if s.wait(s.Drain) {
		return
	}
	s.end.CutOff.Store(true)
	s.interrupt(func(Session) bool { return true })
	s.wait(cutTime)
}

// interrupt ends what the given sessions wait for.
func (s *Set) interrupt(which func(Session) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for one, c := range s.open {
		if which(one) {
			_ = c.SetReadDeadline(time.Unix(1, 0)) // fails only for a closed one
		}
	}
}

// wait waits until all sessions have ended, or for the given time.
func (s *Set) wait(limit time.Duration) bool {
	ended := make(chan struct{})
	go func() {
		s.running.Wait()
		close(ended)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-ended:
		return true
	case <-timer.C:
		return false
	}
}
