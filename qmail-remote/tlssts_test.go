package qmailremote

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"postrider/internal/mtasts"
)

// knownPolicies are those that qmail-mtasts would tell.
type knownPolicies map[string]mtasts.Policy

func (k knownPolicies) policy(domain string) (mtasts.Policy, error) {
	p, known := k[domain]
	if !known {
		return p, errors.New("qmail-mtasts: it does not run")
	}
	return p, nil
}

// TestMTASTS has policies of a domain with one mail exchanger, mx.d.example.
func TestMTASTS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	good, bad := ca.issue(time.Time{}, "mx.d.example"), ca.issue(time.Time{}, "d.example")
	enforce := mtasts.Policy{Mode: mtasts.Enforce, MX: []string{"*.d.example"}}
	other := mtasts.Policy{Mode: mtasts.Enforce, MX: []string{"d.example"}}
	testing1 := mtasts.Policy{Mode: mtasts.Testing, MX: enforce.MX}
	failing := secure[:strings.LastIndex(secure, "C EHLO")] + strings.TrimPrefix(bye, "\n")
	tlsa := fmt.Sprintf("_25._tcp.mx.d.example. 60 IN TLSA 3 1 1 %x", sha256.Sum256(bad.Leaf.RawSubjectPublicKeyInfo))
	for _, c := range []struct {
		name    string
		known   knownPolicies
		off     bool
		bad     bool     // certificate
		literal bool     // exchanger
		control string   // of control/tlspolicy
		zone    []string // signed
		peer    []string
		want    string
	}{
		{name: "enforced", known: knownPolicies{"d.example": enforce}, peer: []string{secure + mailOver}, want: okTLS + "mta-sts;/|"},
		{name: "enforced, and another certificate", known: knownPolicies{"d.example": enforce}, bad: true, peer: []string{failing},
			want: "ZConnected to 192.0.2.1 but its certificate is not what MTA-STS asks for: "},
		{name: "enforced, and no TLS", known: knownPolicies{"d.example": enforce}, peer: []string{hello + strings.TrimPrefix(bye, "\n")},
			want: "ZConnected to 192.0.2.1 but it offers no TLS, for which MTA-STS asks. (#4.7.4)/|"},
		{name: "another exchanger", known: knownPolicies{"d.example": other},
			want: "ZThe MTA-STS policy of d.example does not have its mail exchanger mx.d.example. (#4.7.5)/|"},
		{name: "an exchanger that is an address", known: knownPolicies{"d.example": other}, literal: true,
			want: "ZThe MTA-STS policy of d.example does not have its mail exchanger 192.0.2.1. (#4.7.5)/|"},
		{name: "tested, and an exchanger that is an address", known: knownPolicies{"d.example": testing1}, literal: true, peer: []string{hello + mailOver}, want: ok1},
		{name: "tested", known: knownPolicies{"d.example": testing1}, peer: []string{secure + mailOver}, want: okTLS + "mta-sts;/|"},
		{name: "tested, and another certificate", known: knownPolicies{"d.example": testing1}, bad: true, peer: []string{secure + mailOver}, want: okTLS + "none;/|"},
		{name: "tested, and no TLS", known: knownPolicies{"d.example": testing1}, peer: []string{hello + mailOver}, want: ok1},
		{name: "tested, and TLS fails", known: knownPolicies{"d.example": testing1}, peer: []string{offered + "C STARTTLS\nS 220 go\nT! fail", offered + mailOver}, want: ok1},
		{name: "none", known: knownPolicies{"d.example": {}}, bad: true, peer: []string{secure + mailOver}, want: okTLS + "none;/|"},
		{name: "nobody can say", known: knownPolicies{}, want: "ZThe MTA-STS policy of d.example is not known now: qmail-mtasts: it does not run. (#4.7.5)/|"},
		{name: "not asked for", known: knownPolicies{}, off: true, peer: []string{secure + mailOver}, want: okTLS + "none;/|"},
		{name: "a line of the administrator's counts", known: knownPolicies{}, control: ":encrypt", peer: []string{secure + mailOver}, want: okTLS + "none;/|"},
		{name: "DANE counts", known: knownPolicies{"d.example": other}, bad: true, control: ":dane", zone: []string{tlsa}, peer: []string{secure + mailOver}, want: okTLS + "dane;/|"},
		{name: "DANE that fails counts", known: knownPolicies{"d.example": enforce}, control: ":dane", zone: []string{tlsa}, peer: []string{failing},
			want: "ZConnected to 192.0.2.1 but its certificate is not what DANE asks for: "},
		{name: "no DANE", known: knownPolicies{"d.example": enforce}, control: ":dane", peer: []string{secure + mailOver}, want: okTLS + "mta-sts;/|"},
		{name: "DANE without verifying", known: knownPolicies{"d.example": enforce}, control: ":dane", zone: []string{"_25._tcp.mx.d.example. 60 IN TLSA 1 1 1 00"},
			peer: []string{secure + mailOver}, want: okTLS + "mta-sts;/|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			zone := append(append([]string(nil), oneExchanger...), c.zone...)
			if c.literal {
				zone = []string{"d.example. 60 IN MX 0 192.0.2.1."}
			}
			h := newHost(t, zone...)
			config := h.dns.Config()
			config.Authentic = true
			h.ask(config)
			if c.zone != nil {
				h.dns.Sign(".")
			}
			h.client.roots, h.client.policies, h.set.mtasts = ca.roots, c.known, !c.off
			if c.control != "" {
				h.policy(c.control)
			}
			h.cert = good
			if c.bad {
				h.cert = bad
			}
			if c.peer != nil {
				h.peer("192.0.2.1", scripts(c.peer)...)
			}
			if got := withoutCipher(h.deliver(simpleMessage, "d.example", "r@d.example")); !strings.HasPrefix(got, c.want) {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			h.end()
		})
	}
}

// TestMTASTSIsNotForRelays: they are the administrator's word.
func TestMTASTSIsNotForRelays(t *testing.T) {
	t.Parallel()
	h := newHost(t, "relay.example. 60 IN A 192.0.2.1")
	h.client.policies, h.set.mtasts = knownPolicies{}, true
	h.set.routes = map[string]string{"": "relay.example"}
	h.peer("192.0.2.1", success)
	if got := h.deliver(simpleMessage, "d.example", "r@d.example"); got != ok1 {
		t.Errorf("got %s", got)
	}
	h.end()
}
