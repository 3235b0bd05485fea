package policy

import (
	"context"
	"net/netip"
	"time"

	"postrider/internal/clock"
	"postrider/internal/resolver"
)

const (
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

// systemNames returns who returns the resolver of this machine.
func systemNames(c clock.Clock) func() (lookups, error) {
	names := &resolver.System{Path: resolver.SystemConfig, Clock: c, Timeout: serverTime, Entries: keptLookups}
	return func() (lookups, error) { return names.Get() }
}
