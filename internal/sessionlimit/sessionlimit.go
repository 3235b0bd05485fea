// Package sessionlimit counts the sessions of a daemon, in all and for each
// address (Counter), and how often somebody does something in a period (Meter).
//
// The daemons that listen on the network import it, and what they share. Addresses are strangers'.
package sessionlimit

import (
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// Counter counts sessions. Many goroutines may use it.
type Counter struct {
	most int // what the descriptors allow

	mu    sync.Mutex
	open  int
	perIP map[netip.Addr]int
}

// New returns a counter. Sessions leave so many descriptors of the process
// unused, for mail that was accepted to reach the queue (R61).
func New(reserved int) *Counter {
	c := &Counter{most: 1 << 20, perIP: make(map[netip.Addr]int)}
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil && files.Cur < uint64(c.most) {
		c.most = max(1, int(files.Cur)-reserved)
	}
	return c
}

// Verdict is what Enter says.
type Verdict int

const (
	Counted Verdict = iota
	Full            // there are as many sessions as there may be
	FullForAddress
)

// Enter counts a session from an address, unless there are most in all, or
// mostOfOne from that address.
func (c *Counter) Enter(addr netip.Addr, most, mostOfOne int) Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open >= min(c.most, most) {
		return Full
	}
	if c.perIP[Customer(addr)] >= mostOfOne {
		return FullForAddress
	}
	c.open++
	c.perIP[Customer(addr)]++
	return Counted
}

// Leave counts a session off that Enter has counted.
func (c *Counter) Leave(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.perIP[Customer(addr)]--; c.perIP[Customer(addr)] == 0 {
		delete(c.perIP, Customer(addr))
	}
}

// Open returns how many sessions are counted, and from how many addresses.
func (c *Counter) Open() (sessions, addresses int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open, len(c.perIP)
}

// Customer is what counts as one address: with IPv6 a whole /64, which is what
// one customer gets.
func Customer(addr netip.Addr) netip.Addr {
	if addr.Is4() {
		return addr
	}
	prefix, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return addr
	}
	return prefix.Addr()
}
