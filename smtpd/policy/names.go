package policy

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/resolver"
)

const (
	// recheck is how long resolv.conf is not looked at again.
	recheck = time.Second
	// serverTime is how long one server has at most: a dead first server must
	// leave time for the second one.
	serverTime = 1500 * time.Millisecond
	// keptLookups bounds the cache; 64 MiB at the very worst.
	keptLookups = 4096
)

// lookups is what the DNS knows; resolver.Resolver.
type lookups interface {
	IPv4(ctx context.Context, name string) ([]netip.Addr, error)
	Addresses(ctx context.Context, host string) ([]netip.Addr, error)
	MX(ctx context.Context, domain string) ([]resolver.MX, error)
	TXT(ctx context.Context, name string) ([]string, error)
	Names(ctx context.Context, addr netip.Addr) ([]string, error)
}

// nameServers keeps a resolver, and with it its cache, while its file stays.
type nameServers struct {
	resolvConf string
	clock      clock.Clock

	mu       sync.Mutex
	checked  time.Time
	seen     fileState
	resolver *resolver.Resolver
}

// fileState tells a changed file from an unchanged one; it is all zero for one
// that is not there.
type fileState struct {
	device, inode     uint64
	size              int64
	modified, changed unix.Timespec
}

// get returns the resolver as the file is now.
func (n *nameServers) get() (lookups, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.clock.Now()
	if age := now.Sub(n.checked); n.resolver != nil && age >= 0 && age < recheck {
		return n.resolver, nil
	}
	var seen fileState
	var st unix.Stat_t
	if unix.Stat(n.resolvConf, &st) == nil {
		seen = fileState{uint64(st.Dev), st.Ino, st.Size, st.Mtim, st.Ctim}
	}
	if n.resolver != nil && seen == n.seen {
		n.checked = now
		return n.resolver, nil
	}
	config, err := resolver.ReadConfig(n.resolvConf)
	if err != nil {
		return nil, err
	}
	config.Timeout = min(config.Timeout, serverTime)
	config.Entries = keptLookups
	n.resolver, n.seen, n.checked = resolver.New(config, n.clock), seen, now
	return n.resolver, nil
}
