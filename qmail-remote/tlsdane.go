package qmailremote

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"postrider/internal/dane"
	"postrider/internal/resolver"
	"postrider/internal/tlsrpt"
)

// authenticLookups tell whether an answer of the DNS is authentic.
type authenticLookups interface {
	AuthenticMX(ctx context.Context, domain string) (mxs []resolver.MX, authentic bool, err error)
	Canonical(ctx context.Context, host string) (name string, authentic bool, err error)
	IsAuthenticAlias(ctx context.Context, name string) (bool, error)
	TLSA(ctx context.Context, name string) (records []dane.Record, authentic bool, err error)
}

// askDNS returns what TLSA records ask for (RFC 7672); nil is nothing. What
// cannot be looked up now may be asked for: then no mail goes to this host.
func (p *tlsPlan) askDNS(ctx context.Context, t target, host string) (*security, *report) {
	if host == "" {
		return nil, nil
	}
	if !t.route {
		if ours, err := p.authenticExchanger(ctx, host); err != nil || !ours {
			return nil, lookupFailed(host, err)
		}
	}
	bases, err := p.bases(ctx, host)
	if err != nil {
		return nil, lookupFailed(host, err)
	}
	for _, base := range bases {
		records, authentic, err := p.set.authentic.TLSA(ctx, fmt.Sprintf("_%d._tcp.%s", t.addr.Port(), base))
		if err != nil && !resolver.IsAnswer(err) {
			return nil, lookupFailed(host, err)
		}
		if err == nil && authentic {
			return p.byTLSA(records, base), nil
		}
	}
	return nil, nil
}

// authenticExchanger reports whether the DNS says authentically that a host
// takes the mail of the domain: by an MX record, or as itself, if there is none.
func (p *tlsPlan) authenticExchanger(ctx context.Context, host string) (bool, error) {
	mxs, authentic, err := p.set.authentic.AuthenticMX(ctx, p.domain)
	if resolver.IsAnswer(err) {
		return authentic && host == p.domain, nil
	}
	if err != nil || !authentic {
		return false, err
	}
	if !slices.ContainsFunc(mxs, func(mx resolver.MX) bool { return strings.EqualFold(mx.Host, host) }) {
		return false, fmt.Errorf("%s has other mail exchangers now", p.domain)
	}
	return true, nil
}

// bases returns the names that TLSA records are looked for under (RFC 7672
// section 2.2.2): only names that are authentic, and whose zone is signed, so
// that a name server that knows nothing of such records is not asked.
func (p *tlsPlan) bases(ctx context.Context, host string) ([]string, error) {
	name, authentic, err := p.set.authentic.Canonical(ctx, host)
	switch {
	case err != nil:
		return nil, err
	case authentic && name != host:
		return []string{name, host}, nil
	case authentic:
		return []string{host}, nil
	case name == host:
		return nil, nil
	}
	// The alias itself may be in a signed zone.
	if authentic, err = p.set.authentic.IsAuthenticAlias(ctx, host); err != nil || !authentic {
		return nil, err
	}
	return []string{host}, nil
}

// byTLSA is what authentic records ask for. If none of them is of use, the
// server is known to have TLS all the same (RFC 7672 section 2.2).
func (p *tlsPlan) byTLSA(records []dane.Record, base string) *security {
	want := &security{by: byDANE, sni: base, old: p.policy.Old}
	usable := dane.Usable(records)
	if len(usable) == 0 {
		want.level, want.key = encrypted, "encrypt"
		return want
	}
	want.level, want.word, want.tlsa = byDNS, "dane", usable
	want.key = fmt.Sprintf("dane %s %x", base, usable)
	if dane.NamesCount(usable) {
		want.names = []string{base, p.domain}
		want.key += " " + p.domain
	}
	return want
}

// lookupFailed is nil without an error.
func lookupFailed(host string, err error) *report {
	if err == nil {
		return nil
	}
	fault := tlsFault("It cannot be looked up now whether " + printable(host) + " has TLSA records. (#4.7.5)\n")
	return fault.with(flaw{result: tlsrpt.DNSSECInvalid, reason: reasonOf(err)})
}

func noTLSA(ip netip.Addr, by string) *report {
	return tlsFault("There are no authentic TLSA records of use for " + ip.String() + ", for which " + printable(by) + " asks. (#4.7.5)\n")
}
