package qmtp

import (
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// reserved descriptors are never used for sessions, so that accepted mail can
// still reach the queue when all others are taken (R61).
const reserved = maxCommits + maxStreams + 64

// limits counts sessions, in all and for each address.
type limits struct {
	most int // what the descriptors allow

	mu    sync.Mutex
	open  int
	perIP map[netip.Addr]int
}

func newLimits() *limits {
	l := &limits{most: 1 << 20, perIP: make(map[netip.Addr]int)}
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil && files.Cur < uint64(l.most) {
		l.most = max(1, int(files.Cur)-reserved)
	}
	return l
}

// enter counts a session from addr, unless there are too many; then it says of
// what.
func (l *limits) enter(addr netip.Addr, s *settings, p protocol) (full string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= min(l.most, s.concurrency) {
		return p.concurrency
	}
	if l.perIP[customer(addr)] >= s.concurrencyIP {
		return p.concurrency + "ip"
	}
	l.open++
	l.perIP[customer(addr)]++
	return ""
}

func (l *limits) leave(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.perIP[customer(addr)]--; l.perIP[customer(addr)] == 0 {
		delete(l.perIP, customer(addr))
	}
}

// customer is what counts as one address: with IPv6 a whole /64, which is what
// one customer gets.
func customer(addr netip.Addr) netip.Addr {
	if addr.Is4() {
		return addr
	}
	prefix, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return addr
	}
	return prefix.Addr()
}
