// Package attempts counts failed attempts to log in, by the address of the
// client and by the name of the user, and says what follows: how long a client
// waits for its refusal, and when nobody looks at attempts any more.
//
// Imported by who checks passwords. Names and addresses are hostile: memory is
// bounded whatever they are, and a name that nobody has is treated as any other.
// Who has logged in from an address of late is let in from there also while
// others try the same name.
package attempts

import (
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxOfClient is how many failures an address has before its attempts are
	// not looked at; an IPv6 address counts with its /64.
	maxOfClient = 20
	// maxOfUser is the same for a name, from all addresses.
	maxOfUser = 100
	// half is the time after which failures count half.
	half = 10 * time.Minute
	// shortest and longest are how long a refusal waits; the first is qmail's.
	shortest = 5 * time.Second
	longest  = 30 * time.Second

	maxClients = 20000
	maxGood    = 20000
	// names share so many counts: nobody can fill a table with names.
	nameCounts = 1 << 14
	// goodFor is how long an address stays good after a login.
	goodFor = 30 * 24 * time.Hour
)

// Table is what was counted. It may be used by many goroutines.
type Table struct {
	now  func() time.Time
	seed maphash.Seed

	mu      sync.Mutex
	clients map[netip.Addr]score
	names   map[uint64]score // at most nameCounts
	good    map[uint64]time.Time
}

// score is a number of failures that fades.
type score struct {
	sum float64
	at  time.Time
}

func (s score) now(t time.Time) float64 {
	if s.sum == 0 || !t.After(s.at) {
		return s.sum
	}
	return s.sum * math.Exp2(-float64(t.Sub(s.at))/float64(half))
}

// New returns an empty table.
func New(now func() time.Time) *Table {
	return &Table{now: now, seed: maphash.MakeSeed(), clients: make(map[netip.Addr]score),
		names: make(map[uint64]score), good: make(map[uint64]time.Time)}
}

// Closed reports whether an attempt is not looked at, and how long its client
// waits for that answer.
func (t *Table) Closed(user, client string) (wait time.Duration, closed bool) {
	now, addr, name := t.now(), group(client), t.name(user)
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, known := t.good[t.pair(user, addr)]; known && now.Sub(at) < goodFor {
		return 0, false
	}
	if t.clients[addr].now(now) >= maxOfClient || t.names[name].now(now) >= maxOfUser {
		return longest, true
	}
	return 0, false
}

// Failed counts a failure and returns how long the client waits to hear of it.
func (t *Table) Failed(user, client string) (wait time.Duration) {
	now, addr, name := t.now(), group(client), t.name(user)
	t.mu.Lock()
	defer t.mu.Unlock()
	ofClient := t.clients[addr].now(now) + 1
	if _, known := t.clients[addr]; !known && len(t.clients) >= maxClients {
		dropOne(t.clients, func(s score) float64 { return s.now(now) })
	}
	t.clients[addr] = score{ofClient, now}
	t.names[name] = score{t.names[name].now(now) + 1, now}
	if ofClient > maxOfClient {
		delete(t.good, t.pair(user, addr)) // who guesses is not the one who logged in
	}
	return min(longest, shortest+time.Duration(ofClient-1)*time.Second)
}

// Succeeded makes the address one from which the user logs in.
func (t *Table) Succeeded(user, client string) {
	now, addr := t.now(), group(client)
	pair := t.pair(user, addr)
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.good[pair]; !known && len(t.good) >= maxGood {
		dropOne(t.good, func(at time.Time) float64 { return float64(at.UnixMilli()) })
	}
	t.good[pair] = now
}

// name is the count that a user has, with others.
func (t *Table) name(user string) uint64 { return maphash.String(t.seed, user) % nameCounts }

func (t *Table) pair(user string, addr netip.Addr) uint64 {
	return maphash.Comparable(t.seed, struct {
		user string
		addr netip.Addr
	}{user, addr})
}

// group is what counts as one client: with IPv6 a whole /64. Who has no
// address counts as the same one.
func group(client string) netip.Addr {
	addr, err := netip.ParseAddr(client)
	if err != nil {
		return netip.Addr{}
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return addr
	}
	return prefix.Addr()
}

// dropOne removes the least of a few entries that the map picks.
func dropOne[K comparable, V any](m map[K]V, weight func(V) float64) {
	const few = 16
	var least K
	lowest, n := math.Inf(1), 0
	for key, value := range m {
		if w := weight(value); w < lowest {
			least, lowest = key, w
		}
		if n++; n == few {
			break
		}
	}
	delete(m, least)
}
