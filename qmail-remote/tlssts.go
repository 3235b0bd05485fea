package qmailremote

import (
	"fmt"
	"time"

	"postrider/internal/mtasts"
	"postrider/internal/tlsrpt"
	"postrider/internal/wire/call"
	wire "postrider/internal/wire/mtasts"
)

// stsTime is how long qmail-mtasts has for an answer; its own limits are shorter.
const stsTime = time.Minute

// stsAnswer is what qmail-mtasts has said of a domain.
type stsAnswer struct {
	policy mtasts.Policy
	err    error
}

// policies asks qmail-mtasts. The classic form has nobody to ask: nil.
type policies interface {
	policy(domain string) (mtasts.Policy, error)
}

// stsLink asks over a link of qmail-start.
type stsLink struct{ client *call.Client }

func newSTSLink() *stsLink { return &stsLink{call.NewClient("qmail-mtasts")} }

func (l *stsLink) policy(domain string) (mtasts.Policy, error) {
	return wire.Ask(l.client, domain, stsTime)
}

// askSTS returns what the domain's MTA-STS policy asks for (RFC 8461); nil is
// nothing. It is about mail exchangers that the DNS names, not about relays.
func (p *tlsPlan) askSTS(t target, host string) (*security, *report) {
	_, isAddress := parseLiteral(p.domain)
	if !p.set.mtasts || p.client.policies == nil || t.route || isAddress {
		return nil, nil
	}
	if p.sts == nil {
		p.sts = new(stsAnswer)
		p.sts.policy, p.sts.err = p.client.policies.policy(p.domain)
	}
	policy := p.sts.policy
	switch {
	case p.sts.err != nil:
		return nil, noPolicy(p.domain, p.sts.err)
	case policy.Mode != mtasts.Enforce && policy.Mode != mtasts.Testing:
		return nil, nil
	case (host == "" || !policy.Allows(host)) && policy.Mode == mtasts.Enforce:
		return nil, wrongExchanger(p.domain, t.host) // host is empty for one that is an address
	case host == "" || !policy.Allows(host):
		return nil, nil
	}
	want := &security{level: byAuthority, by: bySTS, word: "mta-sts", sni: host, names: []string{host}, old: p.policy.Old}
	want.key = "mta-sts " + host
	if policy.Mode == mtasts.Testing {
		want.trial = true
		want.key = "testing " + host
	}
	return want, nil
}

func noPolicy(domain string, err error) *report {
	return tlsFault(fmt.Sprintf("The MTA-STS policy of %s is not known now: %s. (#4.7.5)\n", printable(domain), printable(err.Error())))
}

func wrongExchanger(domain, host string) *report {
	fault := tlsFault(fmt.Sprintf("The MTA-STS policy of %s does not have its mail exchanger %s. (#4.7.5)\n", printable(domain), printable(host)))
	return fault.with(flaw{result: tlsrpt.Invalid, reason: "not a mail exchanger of the policy"})
}
