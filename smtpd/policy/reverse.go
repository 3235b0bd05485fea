package policy

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"postrider/internal/resolver"
	wire "postrider/internal/wire/policy"
)

const (
	nameTime = 5 * time.Second
	// maxNames is how many names of an address are looked at; RFC 7208 section
	// 4.6.4 has the same number.
	maxNames = 10
)

// Name finds the name of a client that has its address, too.
func (s *server) Name(client netip.Addr) (wire.NameState, string, error) {
	dns, err := s.domains()
	if err != nil {
		return wire.NameUnsure, "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), nameTime)
	defer cancel()
	names, err := dns.Names(ctx, client)
	switch {
	case resolver.IsAnswer(err):
		return wire.NoName, "", nil
	case err != nil:
		return wire.NameUnsure, "", nil
	}
	unsure := false
	for _, name := range names[:min(len(names), maxNames)] {
		has, err := hasAddress(ctx, dns, name, client)
		if has {
			return wire.Confirmed, name, nil
		}
		unsure = unsure || err != nil
	}
	if unsure {
		return wire.NameUnsure, "", nil
	}
	return wire.Unconfirmed, names[0], nil
}

// hasAddress tells whether a name has an address. An error says that this is
// not known now.
func hasAddress(ctx context.Context, dns lookups, name string, client netip.Addr) (bool, error) {
	find := dns.Addresses
	if client.Is4() {
		find = dns.IPv4
	}
	addrs, err := find(ctx, name)
	if resolver.IsAnswer(err) {
		return false, nil
	}
	return slices.Contains(addrs, client), err
}
