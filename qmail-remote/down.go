package qmailremote

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"postrider/internal/clock"
	"postrider/internal/tcpto"
)

const (
	downAfter  = 2                 // timeouts in a row before an address is skipped
	downGap    = 120 * time.Second // timeouts closer than this count once
	downFor    = 15 * time.Minute
	downSpread = 5 * time.Minute // so that not all jobs probe at once
	maxDown    = 1024
)

// downHosts remembers addresses to which connections time out, so that a dead
// host costs one job now and then a timeout and not every job (spec 5.7).
//
// The table is what all workers have of it, and the tools; it has room for few.
// What does not fit is in memory alone. An address that one worker knows in the
// table counts for all; once the table is empty, nothing that was known does.
type downHosts struct {
	clock clock.Clock
	table *tcpto.Table // nil: there is none
	mu    sync.Mutex
	hosts map[netip.Addr]downHost
	now   tcpto.Snapshot // what was read last
	told  bool           // something that is known here was put into the table
}

type downHost struct {
	timeouts int
	last     time.Time
}

func newDownHosts(c clock.Clock, table *tcpto.Table) *downHosts {
	return &downHosts{clock: c, table: table, hosts: map[netip.Addr]downHost{}}
}

// known returns what is known of an address; mu is held.
func (d *downHosts) known(addr netip.Addr) (h downHost, known bool) {
	h, known = d.hosts[addr]
	if d.table == nil {
		return h, known
	}
	s := &d.now
	if d.table.Read(s) != nil {
		return h, known // memory has to do
	}
	e, found := s.Look(addr)
	switch {
	case found && e.Last.After(d.clock.Now().Add(time.Second)):
		return h, known // the clock was wrong then, or is now
	case found && e.Last.Unix() >= h.last.Unix():
		return downHost{e.Timeouts, e.Last}, true
	case !found && known && d.told && s.Empty():
		clear(d.hosts) // qmail-tcpok has spoken
		d.told = false
		return downHost{}, false
	}
	return h, known
}

// skip reports whether addr timed out too often and too recently to be tried.
func (d *downHosts) skip(addr netip.Addr) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	h, _ := d.known(addr)
	return h.timeouts >= downAfter && d.clock.Now().Sub(h.last) < downFor+rand.N(downSpread)
}

// timedOut notes that a connection to addr timed out.
func (d *downHosts) timedOut(addr netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h, known := d.known(addr)
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
	h = downHost{timeouts: h.timeouts + 1, last: now}
	d.hosts[addr] = h
	if d.table.Put(tcpto.Entry{Addr: addr, Timeouts: h.timeouts, Last: h.last}) == nil {
		d.told = true // else memory has to do
	}
}

// answered notes that addr accepted or refused a connection.
func (d *downHosts) answered(addr netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.known(addr); !known {
		return
	}
	delete(d.hosts, addr)
	_ = d.table.Forget(addr) // at worst it is tried later than it could be
}
