package resolver

import (
	"context"

	"github.com/miekg/dns"

	"postrider/internal/dane"
)

// AuthenticMX is MX, and whether the answer is authentic. That there are no
// mail exchangers can be authentic, too.
func (r *Resolver) AuthenticMX(ctx context.Context, domain string) (mxs []MX, authentic bool, err error) {
	found, err := r.lookup(ctx, domain, dns.TypeMX)
	return found.mx, found.authentic, err
}

// Canonical returns the name at the end of a host's aliases, and whether its
// addresses are authentic, with all aliases on the way. Like Addresses, it
// passes over the kind of addresses that could not be looked up.
func (r *Resolver) Canonical(ctx context.Context, host string) (name string, authentic bool, err error) {
	if _, err = r.Addresses(ctx, host); err != nil { // both at once, and kept
		return "", false, err
	}
	authentic = true
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		found, err := r.lookup(ctx, host, qtype)
		if err != nil && !IsAnswer(err) {
			continue
		}
		authentic = authentic && found.authentic
		if err == nil {
			name = found.owner
		}
	}
	return name, authentic && name != "", nil
}

// IsAuthenticAlias reports whether a name is an alias by an authentic record,
// whatever becomes of what it leads to.
func (r *Resolver) IsAuthenticAlias(ctx context.Context, name string) (bool, error) {
	found, err := r.lookup(ctx, name, dns.TypeCNAME)
	if err != nil && !IsAnswer(err) {
		return false, err
	}
	return err == nil && found.authentic, nil
}

// TLSA returns the TLSA records of a name, such as _25._tcp.mx.example, and
// whether the answer is authentic.
func (r *Resolver) TLSA(ctx context.Context, name string) (records []dane.Record, authentic bool, err error) {
	found, err := r.lookup(ctx, name, dns.TypeTLSA)
	return found.tlsa, found.authentic, err
}
