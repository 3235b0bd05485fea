package policy

import (
	"context"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"postrider/internal/resolver"
	wire "postrider/internal/wire/policy"
)

// listTime is how long all lists have together; they are asked at once.
const listTime = 5 * time.Second

var (
	// listed is where lists answer from (RFC 5782 section 2.1): another
	// address is that of a zone which somebody else has now.
	listed = netip.MustParsePrefix("127.0.0.0/8")
	// notServed is where lists say that they do not answer this host: that it
	// asks too much, or by way of a public resolver.
	notServed = netip.MustParsePrefix("127.255.255.0/24")
)

// Lists asks lists for a client.
func (s *server) Lists(client netip.Addr, zones []string) ([]wire.Listing, error) {
	dns, err := s.domains()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), listTime)
	defer cancel()
	found := make([]wire.Listing, len(zones))
	var all sync.WaitGroup
	for i, zone := range zones {
		all.Go(func() { found[i] = s.list(ctx, dns, client, zone) })
	}
	all.Wait()
	return found, nil
}

func (s *server) list(ctx context.Context, dns lookups, client netip.Addr, zone string) wire.Listing {
	name := reversed(client) + "." + zone
	addrs, err := dns.IPv4(ctx, name)
	switch {
	case resolver.IsAnswer(err):
		return wire.Listing{}
	case err != nil:
		s.Warn(err)
		return wire.Listing{Standing: wire.NoAnswer}
	}
	l := wire.Listing{Standing: wire.NoAnswer}
	for _, a := range addrs {
		if listed.Contains(a) && !notServed.Contains(a) && len(l.Codes) < wire.MaxCodes {
			l.Standing = wire.Listed
			l.Codes = append(l.Codes, a)
		}
	}
	if l.Standing == wire.NoAnswer {
		return l
	}
	if texts, err := dns.TXT(ctx, name); err == nil {
		l.Text = texts[0]
	}
	return l
}

// reversed is an address as the names in lists begin (RFC 5782 section 2).
func reversed(addr netip.Addr) string {
	if addr.Is4() {
		a := addr.As4()
		var parts []string
		for i := range a {
			parts = append(parts, strconv.Itoa(int(a[len(a)-1-i])))
		}
		return strings.Join(parts, ".")
	}
	a := addr.As16()
	nibbles := hex.EncodeToString(a[:])
	b := make([]byte, 0, 2*len(nibbles))
	for i := range nibbles {
		b = append(b, nibbles[len(nibbles)-1-i], '.')
	}
	return string(b[:len(b)-1])
}
