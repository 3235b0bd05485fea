package resolver

import (
	"context"
	"errors"
	"sync"
	"time"

	"postrider/internal/clock"
)

const (
	maxTTL         = time.Hour
	maxNegativeTTL = 5 * time.Minute
	// failureTTL is how long a failed lookup counts for others: many messages
	// to one dead domain must not each wait for its servers.
	failureTTL = 10 * time.Second
	// defaultEntries is how many lookups are kept, with maxKept records each:
	// 16 MiB at the very worst.
	defaultEntries = 1024
	// maxFlights bounds the lookups that run, each with a socket.
	maxFlights = 4096
)

var errBusy = errors.New("too many lookups at a time")

type key struct {
	name  string
	qtype uint16
}

// entry is a finished lookup.
type entry struct {
	found   records
	err     error
	expires time.Time
}

// flight is a lookup that runs; done closes when entry is there.
type flight struct {
	done  chan struct{}
	entry entry
}

// cache keeps what lookups found and joins equal lookups that run at once.
type cache struct {
	clock   clock.Clock
	most    int // entries
	mu      sync.Mutex
	entries map[key]entry
	flights map[key]*flight
}

func newCache(c clock.Clock, entries int) *cache {
	if entries <= 0 {
		entries = defaultEntries
	}
	return &cache{clock: c, most: entries, entries: map[key]entry{}, flights: map[key]*flight{}}
}

// get returns what is known under k, or else what look finds.
func (c *cache) get(ctx context.Context, k key, look func() (records, time.Duration, error)) (records, error) {
	c.mu.Lock()
	if e, ok := c.entries[k]; ok && c.clock.Now().Before(e.expires) {
		c.mu.Unlock()
		return e.found, e.err
	}
	f, running := c.flights[k]
	if !running && len(c.flights) >= maxFlights {
		c.mu.Unlock()
		return records{}, errBusy
	}
	if !running {
		f = &flight{done: make(chan struct{})}
		c.flights[k] = f
		go c.fly(k, f, look)
	}
	c.mu.Unlock()

	select {
	case <-f.done:
		return f.entry.found, f.entry.err
	case <-ctx.Done():
		return records{}, ctx.Err()
	}
}

func (c *cache) fly(k key, f *flight, look func() (records, time.Duration, error)) {
	found, ttl, err := look()
	if err != nil && !IsAnswer(err) {
		ttl = failureTTL
	}
	f.entry = entry{found, err, c.clock.Now().Add(ttl)}

	c.mu.Lock()
	delete(c.flights, k)
	if ttl > 0 {
		c.makeRoom()
		c.entries[k] = f.entry
	}
	c.mu.Unlock()
	close(f.done)
}

// makeRoom drops what expired and, if that is not enough, any entry.
func (c *cache) makeRoom() {
	if len(c.entries) < c.most {
		return
	}
	now := c.clock.Now()
	for k, e := range c.entries {
		if !now.Before(e.expires) {
			delete(c.entries, k)
		}
	}
	for k := range c.entries {
		if len(c.entries) < c.most {
			break
		}
		delete(c.entries, k)
	}
}
