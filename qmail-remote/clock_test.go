package qmailremote

import (
	"io"
	"sync"
	"testing"
	"time"

	"postrider/internal/address"
)

// manualClock moves when the test says so.
type manualClock struct {
	mu    sync.Mutex
	now   time.Time
	waits []wait
	added *sync.Cond // a wait
}

func newManualClock() *manualClock {
	m := &manualClock{now: time.Unix(1e9, 0)}
	m.added = sync.NewCond(&m.mu)
	return m
}

// awaitWait waits until somebody waits for the clock.
func (m *manualClock) awaitWait() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.waits) == 0 {
		m.added.Wait()
	}
}

type wait struct {
	until time.Time
	c     chan time.Time
}

func (m *manualClock) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *manualClock) At(t time.Time) (<-chan time.Time, func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := make(chan time.Time, 1)
	if !m.now.Before(t) {
		c <- m.now
	} else {
		m.waits = append(m.waits, wait{t, c})
		m.added.Broadcast()
	}
	return c, func() {}
}

func (m *manualClock) add(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
	for _, w := range m.waits {
		if !m.now.Before(w.until) {
			select {
			case w.c <- m.now:
			default:
			}
		}
	}
}

// cancelAtEnd is a message whose reader calls the delivery off when it comes
// to the end.
type cancelAtEnd struct {
	io.ReadSeeker
	cancel func()
}

func (c cancelAtEnd) Read(p []byte) (int, error) {
	n, err := c.ReadSeeker.Read(p)
	if err != nil {
		c.cancel()
	}
	return n, err
}

func recipients(t testing.TB, list ...string) (all []address.Address) {
	t.Helper()
	for _, s := range list {
		all = append(all, addr(t, s))
	}
	return all
}
