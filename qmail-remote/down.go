package qmailremote

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"postrider/internal/clock"
)

const (
	downAfter  = 2                 // timeouts in a row before an address is skipped
	downGap    = 120 * time.Second // timeouts closer than this count once
	downFor    = 15 * time.Minute
	downSpread = 5 * time.Minute // so that not all jobs probe at once
	maxDown    = 1024
)

// downHosts remembers addresses to which connections time out, so that a dead
// host costs one job now and then a timeout and not every job (spec 5.7, where
// qmail-remote processes share a file for that).
type downHosts struct {
	clock clock.Clock
	mu    sync.Mutex
	hosts map[netip.Addr]downHost
}

type downHost struct {
	timeouts int
	last     time.Time
}

func newDownHosts(c clock.Clock) *downHosts {
	return &downHosts{clock: c, hosts: map[netip.Addr]downHost{}}
}

// skip reports whether addr timed out too often and too recently to be tried.
func (d *downHosts) skip(addr netip.Addr) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.hosts[addr]
	return h.timeouts >= downAfter && d.clock.Now().Sub(h.last) < downFor+rand.N(downSpread)
}

// timedOut notes that a connection to addr timed out.
func (d *downHosts) timedOut(addr netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h, known := d.hosts[addr]
	now := d.clock.Now()
	if known && now.Sub(h.last) < downGap {
		return
	}
	if !known && len(d.hosts) >= maxDown {
		for other := range d.hosts {
			delete(d.hosts, other)
			break
		}
	}
	d.hosts[addr] = downHost{timeouts: h.timeouts + 1, last: now}
}

// answered notes that addr accepted or refused a connection.
func (d *downHosts) answered(addr netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.hosts, addr)
}
