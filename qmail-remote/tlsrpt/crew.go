package tlsrpt

import (
	"context"
	"errors"
	"sync"
)

// domainsAtOnce is how many domains are worked on at a time: a name server or a
// web server that is slow must not keep the others from their reports.
const domainsAtOnce = 8

// crew works on domains at the same time, until one of them fails in a way in
// which the others would, too.
type crew struct {
	places chan struct{}
	work   sync.WaitGroup

	mu    sync.Mutex
	fatal error
	later bool
}

func newCrew() *crew { return &crew{places: make(chan struct{}, domainsAtOnce)} }

// do has work done when there is a place for it, and returns what has failed so
// far. errLater is no reason to stop.
func (c *crew) do(ctx context.Context, work func() error) error {
	select {
	case c.places <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := c.failed(); err != nil {
		<-c.places
		return err
	}
	c.work.Go(func() {
		defer func() { <-c.places }()
		c.note(work())
	})
	return nil
}

func (c *crew) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case errors.Is(err, errLater):
		c.later = true
	case c.fatal == nil:
		c.fatal = err
	}
}

func (c *crew) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fatal
}

// wait waits for all of it, and returns what has failed, or errLater if some of it
// has to be tried again.
func (c *crew) wait() error {
	c.work.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fatal == nil && c.later {
		return errLater
	}
	return c.fatal
}
