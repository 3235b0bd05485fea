package qmailremote

import (
	"net/netip"
	"sync"
	"time"

	"postrider/internal/clock"
)

const (
	maxIdle      = 200             // idle connections of a worker
	maxIdleHost  = 20              // to one address
	idleFor      = 5 * time.Second // then a connection is ended
	maxUses      = 100             // transactions on one connection
	maxAge       = 5 * time.Minute // of a connection
	quitPatience = 2 * time.Second // wait for the answer to QUIT
)

// poolKey says which deliveries may share a connection.
type poolKey struct {
	addr   netip.AddrPort
	source netip.Addr // zero: the system's choice
	proxy  netip.AddrPort
	helo   string
	via
	tls string // what the connection has: security.key
}

// pool keeps connections for the next message to the same server.
type pool struct {
	clock clock.Clock
	// patience is how long a goroutine waits for the answer to QUIT; 0: not
	// at all, because the program is about to end.
	patience time.Duration

	mu     sync.Mutex
	closed bool
	total  int
	idle   map[poolKey][]*idleSession
}

// idleSession is a session at rest; taken closes when it is wanted again.
type idleSession struct {
	*session
	taken chan struct{}
}

func newPool(c clock.Clock, patience time.Duration) *pool {
	return &pool{clock: c, patience: patience, idle: map[poolKey][]*idleSession{}}
}

// has reports whether a connection is at rest there.
func (p *pool) has(key poolKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle[key]) > 0
}

// take returns a connection that is alive, or nil.
func (p *pool) take(key poolKey) *session {
	for {
		p.mu.Lock()
		list := p.idle[key]
		if len(list) == 0 {
			p.mu.Unlock()
			return nil
		}
		// The youngest: others may then reach their end and go.
		i := list[len(list)-1]
		p.drop(key, len(list)-1)
		p.mu.Unlock()
		close(i.taken)
		if i.fresh() && p.clock.Now().Sub(i.born) < maxAge {
			return i.session
		}
		p.retire(i.session)
	}
}

// put keeps a connection after its transaction, or ends it.
func (p *pool) put(s *session) {
	if s.spent() || p.clock.Now().Sub(s.born) >= maxAge || !s.fresh() {
		p.retire(s)
		return
	}
	i := &idleSession{s, make(chan struct{})}
	p.mu.Lock()
	full := p.closed || p.total >= maxIdle || len(p.idle[s.key]) >= maxIdleHost
	if !full {
		p.idle[s.key] = append(p.idle[s.key], i)
		p.total++
	}
	p.mu.Unlock()
	if full {
		p.retire(s)
		return
	}
	go p.expire(i, p.clock.Now().Add(idleFor))
}

// expire ends a connection that nobody wanted in time.
func (p *pool) expire(i *idleSession, end time.Time) {
	for p.clock.Now().Before(end) {
		wake, stop := p.clock.At(end)
		select {
		case <-i.taken:
			stop()
			return
		case <-wake:
		}
	}
	p.mu.Lock()
	for at, other := range p.idle[i.key] {
		if other == i {
			p.drop(i.key, at)
			p.mu.Unlock()
			p.retire(i.session)
			return
		}
	}
	p.mu.Unlock()
}

// drop removes an entry of the list of key; the lock is held.
func (p *pool) drop(key poolKey, at int) {
	list := p.idle[key]
	p.total--
	if len(list) == 1 {
		delete(p.idle, key)
		return
	}
	p.idle[key] = append(list[:at], list[at+1:]...)
}

// retire ends a connection politely.
func (p *pool) retire(s *session) {
	if p.patience == 0 {
		s.quit(0)
		return
	}
	go s.quit(p.patience)
}

// close ends all connections at rest, and from now on every one that is put.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle, p.total = map[poolKey][]*idleSession{}, 0
	p.mu.Unlock()
	for _, list := range idle {
		for _, i := range list {
			close(i.taken)
			i.quit(0)
		}
	}
}
