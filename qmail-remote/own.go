package qmailremote

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"postrider/internal/clock"
	"postrider/internal/control"
)

// ownTTL is how long the list of this machine's addresses is believed.
const ownTTL = 10 * time.Second

// ownAddresses knows which addresses are this machine, so that mail whose best
// exchanger we are is not sent to ourselves for ever (spec 5.3.3).
type ownAddresses struct {
	list  func() ([]netip.Addr, error)
	clock clock.Clock

	mu    sync.Mutex
	known map[netip.Addr]bool
	until time.Time
}

// contains returns a test for this machine's addresses. Whatever the list
// says, a loopback address and the unspecified one are always ourselves.
func (o *ownAddresses) contains() (func(netip.Addr) bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := o.clock.Now(); o.known == nil || !now.Before(o.until) {
		addrs, err := o.list()
		if err != nil {
			return nil, err
		}
		known := make(map[netip.Addr]bool, len(addrs))
		for _, addr := range addrs {
			known[addr] = true
		}
		o.known, o.until = known, now.Add(ownTTL)
	}
	known := o.known
	return func(addr netip.Addr) bool {
		return known[addr] || addr.IsLoopback() || addr.IsUnspecified() || thisNetwork.Contains(addr)
	}, nil
}

// maxOwn bounds control/moreipme.
const maxOwn = 1000

// readOwn reads control/moreipme: addresses under which others reach this machine,
// though no interface has them, as behind a router that translates addresses.
func readOwn(dir control.Dir) (map[netip.Addr]bool, error) {
	own := make(map[netip.Addr]bool)
	_, err := dir.Each("moreipme", func(line string) error {
		addr, err := netip.ParseAddr(line)
		if err != nil || addr.Zone() != "" {
			return fmt.Errorf("%q is not an address", line)
		}
		if len(own) >= maxOwn {
			return fmt.Errorf("more than %d addresses", maxOwn)
		}
		own[addr.Unmap()] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return own, nil
}

// thisNetwork is what RFC 1122 section 3.2.1.3 calls "this host".
var thisNetwork = netip.PrefixFrom(netip.AddrFrom4([4]byte{}), 8)

// interfaceAddresses lists the addresses of the interfaces that are up.
func interfaceAddresses() ([]netip.Addr, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var own []netip.Addr
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				own = append(own, prefix.Addr().Unmap())
			}
		}
	}
	return own, nil
}
