package lmtp

import (
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	// keepFor is how long a connection is kept without work.
	keepFor = 3 * time.Second
	// maxKept is how many are kept.
	maxKept = 8
)

// Pool delivers, and keeps connections for the next delivery. Many goroutines
// may use it; who uses it bounds how many.
type Pool struct {
	name string // what LHLO says

	mu   sync.Mutex
	idle []*idle
}

// idle is a connection that waits for work.
type idle struct {
	*client
	end *time.Timer
}

// NewPool returns a pool of clients that call themselves name.
func NewPool(name string) *Pool { return &Pool{name: name} }

// Deliver hands a message over. Its error is classified (internal/fate).
func (p *Pool) Deliver(t Target, m Mail) error {
	for {
		c, kept := p.take(t), true
		if c == nil {
			var err error
			if c, err = connect(t, p.name); err != nil {
				return err
			}
			kept = false
		}
		err := c.deliver(m, kept)
		if c.clean {
			p.put(c)
		} else {
			c.close()
		}
		if !errors.Is(err, errStale) {
			return err
		}
	}
}

// take returns a kept connection to t, or nil.
func (p *Pool) take(t Target) *client {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, each := range p.idle {
		if each.target == t && each.end.Stop() {
			p.idle = slices.Delete(p.idle, i, i+1)
			return each.client
		}
	}
	return nil
}

// put keeps a connection for a while.
func (p *Pool) put(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) >= maxKept {
		c.close()
		return
	}
	each := &idle{client: c}
	each.end = time.AfterFunc(keepFor, func() { p.forget(each) })
	p.idle = append(p.idle, each)
}

// forget closes a connection that had no work for too long.
func (p *Pool) forget(each *idle) {
	p.mu.Lock()
	p.idle = slices.DeleteFunc(p.idle, func(other *idle) bool { return other == each })
	p.mu.Unlock()
	each.close()
}
