package nss

import (
	"errors"
	"sync"
	"time"

	"postrider/internal/accounts"
)

const (
	// foundFor and unknownFor are how long an answer counts.
	foundFor   = 30 * time.Second
	unknownFor = 10 * time.Second
	// maxKept is how many answers are kept.
	maxKept = 10000
)

// cache keeps the answers of ask. Many goroutines may use it.
type cache struct {
	now func() time.Time
	ask func(name string) (accounts.Account, error)

	mu    sync.Mutex
	known map[string]*answer
}

// answer is what is known of a name. Its fields are written before done is
// closed.
type answer struct {
	done    chan struct{}
	account accounts.Account
	err     error
	until   time.Time
}

func newCache(now func() time.Time, ask func(string) (accounts.Account, error)) *cache {
	return &cache{now: now, ask: ask, known: make(map[string]*answer)}
}

// find answers from what is kept, waits for an answer that another is waiting
// for, or asks.
func (c *cache) find(name string) (accounts.Account, error) {
	c.mu.Lock()
	a := c.known[name]
	if a != nil && a.ended() && !c.now().Before(a.until) {
		a = nil
	}
	if a != nil {
		c.mu.Unlock()
		<-a.done
		return a.account, a.err
	}
	a = &answer{done: make(chan struct{})}
	c.makeRoom()
	c.known[name] = a
	c.mu.Unlock()

	a.account, a.err = c.ask(name)
	a.until = c.now().Add(foundFor)
	switch {
	case errors.Is(a.err, accounts.ErrUnknown):
		a.until = c.now().Add(unknownFor)
	case a.err != nil:
		a.until = time.Time{}
	}
	close(a.done)
	return a.account, a.err
}

func (a *answer) ended() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// makeRoom forgets what is old, and if that does not help, everything that is
// answered. The caller holds mu.
func (c *cache) makeRoom() {
	if len(c.known) < maxKept {
		return
	}
	now := c.now()
	for name, a := range c.known {
		if a.ended() && !now.Before(a.until) {
			delete(c.known, name)
		}
	}
	if len(c.known) < maxKept {
		return
	}
	for name, a := range c.known {
		if a.ended() {
			delete(c.known, name)
		}
	}
}
