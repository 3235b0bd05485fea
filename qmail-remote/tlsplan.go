package qmailremote

import (
	"context"
	"strings"

	"postrider/internal/idn"
	"postrider/internal/tlspolicy"
)

// tlsPlan decides what connections must have for the mail of one domain: what
// control/tlspolicy asks for, and beyond that what the domain itself does.
type tlsPlan struct {
	ctx     context.Context // of the message
	client  *client
	set     *settings
	domain  string
	policy  tlspolicy.Policy
	decided []decision
	sts     *stsAnswer // nil: not asked yet
	require bool       // REQUIRETLS
	body    *body      // nil: there is no message
	waiver  *bool      // what waived has found; nil: not looked for yet
}

// anyKey is the key of connections of which nothing is asked.
const anyKey = "may"

// decision is what was found out for a host of the plan.
type decision struct {
	host  string
	port  uint16
	want  *security
	fault *report
}

func (c *client) tlsPlan(ctx context.Context, set *settings, m mail, domain string) tlsPlan {
	return tlsPlan{
		ctx: ctx, client: c, set: set, domain: idn.Key(domain), policy: set.tls.For(domain),
		require: m.facts.RequireTLS, body: m.body,
	}
}

// key returns what the key of connections to a target has of the plan.
func (p *tlsPlan) key(t target) string {
	if p.nobodyAsks(t) {
		return anyKey
	}
	if d := p.decisionFor(t); d.fault == nil {
		return d.want.key
	}
	return "none has it"
}

// fault returns why no connection to a target may be used now; nil if one may.
func (p *tlsPlan) fault(t target) *report {
	if p.nobodyAsks(t) {
		return nil
	}
	d := p.decisionFor(t)
	if d.fault == nil && t.protocol == qmtp && !d.want.plainWillDo() && d.want.level != inPlain {
		return noTLS(t.addr.Addr(), d.want) // QMTP has none
	}
	return d.fault
}

// wantFor returns what a connection to a target must have for which there is no
// fault.
func (p *tlsPlan) wantFor(t target) *security { return p.decisionFor(t).want }

// nobodyAsks reports whether any connection will do, so that there is nothing
// to find out before one is wanted.
func (p *tlsPlan) nobodyAsks(t target) bool {
	return p.policy.Level == tlspolicy.May && !p.policy.Old && !p.require && !p.domainAsks() && t.addr.Port() != tlsPort
}

// domainAsks reports whether the domain is asked what it wants.
func (p *tlsPlan) domainAsks() bool {
	return p.policy.Level != tlspolicy.May || p.set.mtasts && p.client.policies != nil
}

func (p *tlsPlan) decisionFor(t target) decision {
	for _, d := range p.decided {
		if d.host == t.host && d.port == t.addr.Port() {
			return d
		}
	}
	d := decision{host: t.host, port: t.addr.Port()}
	d.want, d.fault = p.decide(p.ctx, t)
	p.report(t, d)
	p.decided = append(p.decided, d)
	return d
}

func (p *tlsPlan) decide(ctx context.Context, t target) (*security, *report) {
	host := strings.ToLower(t.host)
	if _, literal := parseLiteral(host); literal {
		host = ""
	}
	if p.require {
		return p.promise(ctx, t, host)
	}
	want := p.byLine(t, host)
	if want == nil {
		var fault *report
		if want, fault = p.discover(ctx, t, host); fault != nil {
			return nil, fault
		}
	}
	if want.level == inPlain {
		return want, nil
	}
	if want.plainWillDo() && t.addr.Port() == tlsPort {
		want.level, want.by, want.trial = encrypted, "its port", false
	}
	if want.old {
		want.key += " oldtls"
	}
	if want.host = host; host == "" {
		want.host = t.addr.Addr().String()
	}
	if want.remember = p.set.tlsRemember; want.remember > 0 && p.waived() {
		want.remember = 0
	}
	return want, nil
}

// byLine is what the administrator's line asks for; nil if that is up to the
// domain.
func (p *tlsPlan) byLine(t target, host string) *security {
	want := &security{sni: host, old: p.policy.Old}
	switch p.policy.Level {
	case tlspolicy.None:
		return &security{level: inPlain, key: "none"}
	case tlspolicy.Encrypt:
		want.level, want.by, want.key = encrypted, p.asker(), "encrypt"
	case tlspolicy.Verify:
		want.level, want.by, want.word, want.names = byAuthority, p.asker(), "name", p.namesFor(t, host)
		want.key = "verify " + strings.Join(want.names, " ")
	case tlspolicy.Pin:
		want.level, want.by, want.word, want.pins = byKey, p.asker(), "pin", p.policy.Pins
		want.key = p.policy.Line
	default:
		return nil
	}
	return want
}

// discover finds out what the domain asks for. DANE goes first: MTA-STS does
// not override it (RFC 8461 section 2).
func (p *tlsPlan) discover(ctx context.Context, t target, host string) (*security, *report) {
	whatever := &security{level: ifOffered, sni: host, old: p.policy.Old, key: anyKey}
	if p.policy.Level != tlspolicy.DANEOnly && p.domainAsks() && p.waived() {
		return whatever, nil
	}
	var want *security
	var fault *report
	if p.policy.Level != tlspolicy.May {
		if want, fault = p.askDNS(ctx, t, host); fault != nil || want != nil && want.level == byDNS {
			return want, fault
		}
		if p.policy.Level == tlspolicy.DANEOnly {
			return nil, noTLSA(t.addr.Addr(), p.asker())
		}
	}
	sts, fault := p.askSTS(t, host)
	switch {
	case fault != nil:
		return nil, fault
	case sts != nil && (want == nil || !sts.trial):
		return sts, nil
	case want != nil:
		return want, nil
	}
	return whatever, nil
}

// namesFor returns whose certificate a server must have by the level verify.
// Which hosts take the mail of a domain only the DNS says, which may be forged:
// their names do not count, but those of relays do.
func (p *tlsPlan) namesFor(t target, host string) []string {
	switch {
	case len(p.policy.Names) > 0:
		return p.policy.Names
	case t.route && host != "":
		return []string{host}
	}
	return []string{p.domain, "." + p.domain}
}

// asker names the line of control/tlspolicy.
func (p *tlsPlan) asker() string { return "control/" + tlspolicy.File + " (" + p.policy.Line + ")" }
