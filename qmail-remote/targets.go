package qmailremote

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"

	"postrider/internal/address"
	"postrider/internal/idn"
	"postrider/internal/resolver"
)

const (
	smtpPort     = 25
	maxExchanger = 20 // exchangers of a domain whose addresses are looked up
)

// target is one address to deliver to.
type target struct {
	addr netip.AddrPort
	pref int
	host string // whose address it is; empty if only the address was given
	also string // other hosts with that address, each behind a line end
	via
	route bool // from a control file, not from the DNS
}

// lookups is what the DNS knows; resolver.Resolver.
type lookups interface {
	MX(ctx context.Context, domain string) ([]resolver.MX, error)
	Addresses(ctx context.Context, host string) ([]netip.Addr, error)
}

// targets returns where the mail of a domain goes, in the order in which to
// try (spec 5.3, RFC 5321 section 5.1), or a report why nowhere.
func (c *client) targets(ctx context.Context, set *settings, sender address.Address, domain string) ([]target, *report) {
	domain = idn.Key(domain) // as name servers know it
	route, file, err := set.route(sender, domain)
	if err != nil {
		return nil, badRoute(file, err)
	}
	if file != "" {
		return relayTargets(ctx, set.dns, route)
	}
	found, failed := exchangers(ctx, set.dns, domain)
	if failed != nil {
		return nil, failed
	}
	isMine, err := c.own.contains()
	if err != nil {
		return nil, noResources()
	}
	isOurs := func(addr netip.Addr) bool { return isMine(addr) || set.own[addr] }
	if found = withoutSelf(found, isOurs); len(found) == 0 {
		return nil, bestIsMe()
	}
	return found, nil
}

// targetsOf is targets for a message, of which an operator may have named the
// next host.
func (c *client) targetsOf(ctx context.Context, set *settings, m mail, domain string) ([]target, *report) {
	if m.relay == "" {
		return c.targets(ctx, set, m.sender, domain)
	}
	route, err := parseHostPort(m.relay, smtpPort)
	if err != nil {
		return nil, &report{class: deferred, text: "Unable to use the host that was named for this message: " + err.Error() + ". (#4.3.5)\n"}
	}
	return relayTargets(ctx, set.dns, set.withLogin(route))
}

// relayTargets returns the addresses of a relay; they are all alike, and it
// may well be this machine.
func relayTargets(ctx context.Context, dns lookups, route relay) ([]target, *report) {
	addrs := []netip.Addr{route.addr}
	if !route.addr.IsValid() {
		var err error
		if addrs, err = dns.Addresses(ctx, route.name); err != nil {
			return nil, noHost(route.name, err)
		}
	}
	found := unique(appendTargets(nil, addrs, route.port, 0, route.name))
	for i := range found {
		found[i].via, found[i].route = route.via, true
	}
	return found, nil
}

// exchangers returns the addresses of a domain's mail exchangers, those of one
// preference in random order, or its own addresses if it has none.
func exchangers(ctx context.Context, dns lookups, domain string) ([]target, *report) {
	if addr, ok := parseLiteral(domain); ok {
		return appendTargets(nil, []netip.Addr{addr}, smtpPort, 0, ""), nil
	}
	mxs, err := dns.MX(ctx, domain)
	if resolver.IsAnswer(err) {
		// RFC 5321 section 5.1: the implicit MX.
		addrs, err := dns.Addresses(ctx, domain)
		if err != nil {
			return nil, noHost(domain, err)
		}
		return unique(appendTargets(nil, addrs, smtpPort, 0, domain)), nil
	}
	if err != nil {
		return nil, noHost(domain, err)
	}

	// Which of very many count stays the same: they tell destinations apart.
	mxs = slices.Clone(mxs)
	slices.SortFunc(mxs, func(a, b resolver.MX) int { return cmp.Or(cmp.Compare(a.Pref, b.Pref), cmp.Compare(a.Host, b.Host)) })
	mxs = mxs[:min(len(mxs), maxExchanger)]
	rand.Shuffle(len(mxs), func(i, j int) { mxs[i], mxs[j] = mxs[j], mxs[i] })
	slices.SortStableFunc(mxs, func(a, b resolver.MX) int { return cmp.Compare(a.Pref, b.Pref) })

	addrs, unknown := addressesOf(ctx, dns, mxs)
	var found []target
	for i, mx := range mxs {
		found = appendTargets(found, addrs[i], smtpPort, int(mx.Pref), mx.Host)
	}
	switch {
	case len(found) > 0:
		return unique(found), nil
	case unknown:
		return nil, dnsTrouble()
	}
	return nil, noExchanger() // also the null MX of RFC 7505
}

// addressesOf looks up all exchangers at once; unknown tells that at least one
// could not be looked up now.
func addressesOf(ctx context.Context, dns lookups, mxs []resolver.MX) (addrs [][]netip.Addr, unknown bool) {
	addrs = make([][]netip.Addr, len(mxs))
	errs := make([]error, len(mxs))
	var all sync.WaitGroup
	for i, mx := range mxs {
		if mx.Host == "" {
			continue
		}
		if addr, ok := parseLiteral(mx.Host); ok {
			addrs[i] = []netip.Addr{addr} // against the rules, yet it works with qmail
			continue
		}
		all.Go(func() { addrs[i], errs[i] = dns.Addresses(ctx, mx.Host) })
	}
	all.Wait()
	for _, err := range errs {
		unknown = unknown || err != nil && !resolver.IsAnswer(err)
	}
	return addrs, unknown
}

func appendTargets(found []target, addrs []netip.Addr, port uint16, pref int, host string) []target {
	for _, addr := range addrs {
		found = append(found, target{addr: netip.AddrPortFrom(addr, port), pref: pref, host: host})
	}
	return found
}

// unique drops addresses that come again later. Whose they were is kept: which
// host comes first is chance.
func unique(found []target) []target {
	places := make(map[netip.AddrPort]int, len(found))
	kept := found[:0]
	for _, t := range found {
		at, again := places[t.addr]
		switch {
		case !again:
			places[t.addr] = len(kept)
			kept = append(kept, t)
		case t.host != kept[at].host:
			kept[at].also += "\n" + t.host
		}
	}
	return kept
}

// withoutSelf drops this machine and every exchanger that is no better than
// it: mail must only move towards lower preferences (RFC 5321 section 5.1).
func withoutSelf(found []target, isMine func(netip.Addr) bool) []target {
	limit := -1
	for _, t := range found {
		if isMine(t.addr.Addr()) && (limit < 0 || t.pref < limit) {
			limit = t.pref
		}
	}
	if limit < 0 {
		return found
	}
	return slices.DeleteFunc(found, func(t target) bool { return t.pref >= limit })
}
