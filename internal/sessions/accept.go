package sessions

import (
	"fmt"
	"net"
	"os"
	"time"
)

const (
	acceptPause    = 10 * time.Millisecond
	maxAcceptPause = time.Second
)

// Listen gives take the connections of a listening socket from now on. The set
// closes f.
func (s *Set) Listen(f *os.File, take func(net.Conn)) error {
	l, err := net.FileListener(f)
	_ = f.Close() // the listener has a descriptor of its own
	if err != nil {
		return fmt.Errorf("listening socket: %w", err)
	}
	s.mu.Lock()
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	s.running.Go(func() { s.accept(l, take) })
	return nil
}

// accept takes connections until the listener is closed.
func (s *Set) accept(l net.Listener, take func(net.Conn)) {
	pause := acceptPause
	for {
		c, err := l.Accept()
		if s.end.Stopping.Load() {
			if err == nil {
				_ = c.Close() // nothing was said yet
			}
			return
		}
		if err != nil && s.leaving.Load() {
			return
		}
		if err != nil {
			// Descriptors or memory are short: they come back.
			s.warn("accept: " + err.Error())
			wake, stop := s.clock.At(s.clock.Now().Add(pause))
			<-wake
			stop()
			pause = min(2*pause, maxAcceptPause)
			continue
		}
		pause = acceptPause
		take(c)
	}
}
