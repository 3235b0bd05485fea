package qmailremote

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"postrider/internal/esmtp"
	"postrider/internal/mtasts"
)

// promised is a session inside TLS with a server that offers REQUIRETLS, and a
// message that it takes.
var promised = strings.TrimSuffix(secure, "S 250 peer\n\t") + "S 250-peer\nS 250 REQUIRETLS\n" +
	strings.Replace(mailOver, "C MAIL FROM:<s@x.example>", "C MAIL FROM:<s@x.example> REQUIRETLS", 1)

// TestRequireTLS: verified TLS with a host that is vouched for and that offers
// REQUIRETLS, or not at all; a host that might still is asked again.
func TestRequireTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	good, bad := ca.issue(time.Time{}, "mx.d.example"), ca.issue(time.Time{}, "d.example")
	enforce := knownPolicies{"d.example": {Mode: mtasts.Enforce, MX: []string{"*.d.example"}}}
	tested := knownPolicies{"d.example": {Mode: mtasts.Testing, MX: []string{"*.d.example"}}}
	other := knownPolicies{"d.example": {Mode: mtasts.Testing, MX: []string{"d.example"}}}
	tlsa := []string{fmt.Sprintf("_25._tcp.mx.d.example. 60 IN TLSA 3 1 1 %x", sha256.Sum256(bad.Leaf.RawSubjectPublicKeyInfo))}
	signed := []string{"x.d.example. 60 IN TXT x"}
	plain := hello + strings.TrimPrefix(bye, "\n")
	failing := secure[:strings.LastIndex(secure, "C EHLO")] + strings.TrimPrefix(bye, "\n")
	unwilling := secure + strings.TrimPrefix(bye, "\n")
	const notSaid = "DNeither signed DNS records nor a policy of MTA-STS say that mx.d.example takes the mail of d.example, as REQUIRETLS asks. (#5.7.30)/|"
	const notOffered = "D192.0.2.1 does not offer REQUIRETLS, which the sender asks for. (#5.7.30)/|"
	for _, c := range []struct {
		name    string
		known   knownPolicies
		signed  []string
		cert    *tls.Certificate
		control string // of control/tlspolicy
		peer    []string
		want    string
	}{
		{name: "a signed zone", signed: signed, peer: []string{promised}, want: okTLS + "name;/|"},
		{name: "TLSA records", signed: tlsa, cert: bad, peer: []string{promised}, want: okTLS + "dane;/|"},
		{name: "a policy", known: enforce, peer: []string{promised}, want: okTLS + "mta-sts;/|"},
		{name: "a policy that is tested", known: tested, peer: []string{promised}, want: okTLS + "mta-sts;/|"},
		{name: "a line of the administrator's", control: "d.example:verify", peer: []string{promised}, want: okTLS + "name;/|"},
		{name: "a weaker line", control: ":encrypt", signed: signed, peer: []string{promised}, want: okTLS + "name;/|"},
		{name: "nobody vouches", want: notSaid},
		{name: "a policy of another host", known: other, want: notSaid},
		{name: "nobody can say", known: knownPolicies{}, want: "ZThe MTA-STS policy of d.example is not known now: "},
		{name: "a line that wants no TLS", control: ":none", signed: signed,
			want: "DThe sender asks for TLS, and control/tlspolicy (:none) for none. (#5.7.10)/|"},
		{name: "no TLS", signed: signed, peer: []string{plain},
			want: "DConnected to 192.0.2.1 but it offers no TLS, for which REQUIRETLS asks. (#5.7.10)/|"},
		{name: "another certificate", signed: signed, cert: bad, peer: []string{failing},
			want: "DConnected to 192.0.2.1 but its certificate is not what REQUIRETLS asks for: "},
		{name: "TLSA records of another certificate", signed: tlsa, peer: []string{failing},
			want: "DConnected to 192.0.2.1 but its certificate is not what DANE asks for: "},
		{name: "REQUIRETLS is not offered", signed: signed, peer: []string{unwilling}, want: notOffered},
		{name: "trouble of TLS is temporary", signed: signed, peer: []string{offered + "C STARTTLS\nS 220 go\nT! fail"},
			want: "ZConnected to 192.0.2.1 but TLS failed, for which REQUIRETLS asks: "},
		{name: "and of the connection", signed: signed, want: "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)/|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, append(append([]string(nil), oneExchanger...), c.signed...)...)
			h.promising(ca, c.signed != nil)
			if c.known != nil {
				h.client.policies, h.set.mtasts = c.known, true
			}
			if c.control != "" {
				h.policy(c.control)
			}
			if h.cert = good; c.cert != nil {
				h.cert = c.cert
			}
			if c.peer != nil {
				h.peer("192.0.2.1", scripts(c.peer)...)
			}
			if got := h.promise(simpleMessage); !strings.HasPrefix(got, c.want) {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			h.end()
		})
	}
}

// promising lets the host ask a name server that verifies signatures.
func (h *host) promising(ca *authority, signed bool) {
	h.t.Helper()
	config := h.dns.Config()
	config.Authentic = true
	h.ask(config)
	if signed {
		h.dns.Sign(".")
	}
	h.client.roots = ca.roots
}

// promise sends a message with REQUIRETLS.
func (h *host) promise(text string) string {
	h.t.Helper()
	m := mail{
		sender: addr(h.t, "s@x.example"), body: message(h.t, text), recipients: recipients(h.t, "r@d.example"),
		facts: esmtp.Message{RequireTLS: true},
	}
	o, err := h.client.deliver(context.Background(), "d.example", m)
	if err != nil {
		h.t.Errorf("deliver: %v", err)
	}
	return withoutCipher(show(o))
}

// TestRequireTLSAsksAll: the message fails only when every host was asked and
// none can have it; one that offers REQUIRETLS gets it whatever the others do.
func TestRequireTLSAsksAll(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	var zone []string
	for i := 1; i <= 8; i++ {
		zone = append(zone, fmt.Sprintf("d.example. 60 IN MX %d mx%d.d.example.", i, i), fmt.Sprintf("mx%d.d.example. 60 IN A 192.0.2.%d", i, i))
	}
	plain := script(hello + strings.TrimPrefix(bye, "\n"))
	for _, c := range []struct {
		name string
		last script // of eight hosts; empty: none answers there
		want string
	}{
		{"the last one has it", script(promised), "r|K192.0.2.8 accepted message./Remote host said: 250 queued/STARTTLS proto=TLSv1.3; verify=name;/|"},
		{"the last one is not there", "", "Z"},
		{"none has it", plain, "DConnected to 192.0.2.8 but it offers no TLS, for which REQUIRETLS asks. (#5.7.10)/|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, zone...)
			h.promising(ca, true)
			h.cert = ca.issue(time.Time{}, "mx8.d.example")
			for i := 1; i < 8; i++ {
				h.peer(fmt.Sprintf("192.0.2.%d", i), plain)
			}
			if c.last != "" {
				h.peer("192.0.2.8", c.last)
			}
			if got := h.promise(simpleMessage); !strings.HasPrefix(got, c.want) {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			h.end()
		})
	}
}

// TestRequireTLSAtRelays: the administrator vouches for a relay that has a name.
func TestRequireTLSAtRelays(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	for route, want := range map[string]string{
		"relay.example": okTLS + "name;/|",
		"192.0.2.1":     "D192.0.2.1 has no name that its certificate could be for, as REQUIRETLS asks. (#5.7.10)/|",
	} {
		h := newHost(t, "relay.example. 60 IN A 192.0.2.1")
		h.promising(ca, false)
		h.set.routes = map[string]string{"": route}
		h.cert = ca.issue(time.Time{}, "relay.example")
		if want[0] == 'r' {
			h.peer("192.0.2.1", script(promised))
		}
		if got := h.promise("TLS-Required: no\n\nhi\n"); got != want && want[0] == 'D' {
			t.Errorf("%s: got %s\nwant %s", route, got, want)
		}
		if want[0] == 'D' {
			h.end()
		}
	}
}

// TestTLSRequiredNo: the sender waives what the domain asks for, and not what
// the administrator does.
func TestTLSRequiredNo(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	enforce := knownPolicies{"d.example": {Mode: mtasts.Enforce, MX: []string{"*.d.example"}}}
	tlsa := []string{"_25._tcp.mx.d.example. 60 IN TLSA 3 1 1 " + strings.Repeat("00", 32)}
	plain := strings.Replace(hello+mailOver, "D Subject: x||hi", "D TLS-Required: No||hi", 1)
	for _, c := range []struct {
		name, control string
		known         knownPolicies
		zone          []string
		peer          string
		want          string
	}{
		{"MTA-STS", "", enforce, nil, plain, ok1},
		{"nobody knows the policy", "", knownPolicies{}, nil, plain, ok1},
		{"DANE", ":dane", nil, tlsa, plain, ok1},
		{"TLS if it is offered", ":dane", nil, tlsa, strings.Replace(secure+mailOver, "D Subject: x||hi", "D TLS-Required: No||hi", 1), okTLS + "none;/|"},
		{"the administrator asks for TLS", ":encrypt", nil, nil, hello + strings.TrimPrefix(bye, "\n"),
			"ZConnected to 192.0.2.1 but it offers no TLS, for which control/tlspolicy (:encrypt) asks. (#4.7.4)/|"},
		{"and for DANE", ":dane-only", nil, nil, "", "ZThere are no authentic TLSA records of use for 192.0.2.1, "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, append(append([]string(nil), oneExchanger...), c.zone...)...)
			h.promising(ca, c.zone != nil)
			h.cert = ca.issue(time.Time{}, "mx.d.example")
			if c.known != nil {
				h.client.policies, h.set.mtasts = c.known, true
			}
			if c.control != "" {
				h.policy(c.control)
			}
			if c.peer != "" {
				h.peer("192.0.2.1", script(c.peer))
			}
			if got := withoutCipher(h.deliver("TLS-Required: No\n\nhi\n", "d.example", "r@d.example")); !strings.HasPrefix(got, c.want) {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			h.end()
		})
	}
}

func TestWaivesTLS(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"TLS-Required: No\n\n":                                             true,
		"Subject: x\ntls-required:no \nTo: y\n\nx\n":                       true,
		"TLS-Required: no":                                                 true,
		"TLS-Required: Yes\n\n":                                            false,
		"TLS-Required: No\nTLS-Required: No\n\n":                           false,
		"Subject: x\n\nTLS-Required: No\n":                                 false,
		"Subject: x\n TLS-Required: No\n\n":                                false,
		"TLS-Required:\n No\n\n":                                           true,
		"Subject: x\r\nTLS-Required: No\r\n\r\nx\r\n":                      true,
		"Subject: x\n\nx\r\nTLS-Required: No\n":                            false,
		strings.Repeat("X: y\n", 20000) + "TLS-Required: No\n\n":           true,
		strings.Repeat("X: y\n", 200000) + "TLS-Required: No\n\n":          false, // too long
		"Subject: " + strings.Repeat("x", 4096-9) + "TLS-Required: No\n\n": false,
		"TLS-Required-Not: No\n\n":                                         false,
		"":                                                                 false,
	} {
		b := message(t, text)
		plan := tlsPlan{ctx: context.Background(), client: newHost(t).client, body: b}
		if plan.waived() != want || plan.waived() != want {
			t.Errorf("%.60q: %v", text, !want)
		}
		if r, err := b.open(); err != nil {
			t.Error(err)
		} else if first := make([]byte, 1); text != "" {
			if _, err := r.Read(first); err != nil || first[0] != text[0] {
				t.Errorf("%.60q: then read %q, %v", text, first, err)
			}
		}
	}
}
