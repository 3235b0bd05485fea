package qmailremote

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"postrider/internal/mtasts"
	"postrider/internal/tlsrpt"
)

// notebook keeps what is told.
type notebook struct {
	mu       sync.Mutex
	findings []tlsrpt.Finding
}

func (n *notebook) wanted() bool { return true }

func (n *notebook) found(f tlsrpt.Finding) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.findings = append(n.findings, f)
}

// String has what was told, without reasons.
func (n *notebook) String() string {
	var lines []string
	for _, f := range n.findings {
		line := f.Policy.Type + " " + f.Policy.Domain
		if f.Failed {
			line += " " + f.Failure.Result + " " + f.Failure.MXHost + " " + f.Failure.ReceivingIP
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "|")
}

func TestTLSReports(t *testing.T) {
	t.Parallel()
	ca, strange := newAuthority(t), newAuthority(t)
	good, bad := ca.issue(time.Time{}, "mx.d.example"), ca.issue(time.Time{}, "d.example")
	old, unknown := ca.issue(time.Now().Add(-time.Minute), "mx.d.example"), strange.issue(time.Time{}, "mx.d.example")
	sts := func(mode mtasts.Mode, mx string) knownPolicies {
		return knownPolicies{"d.example": {Mode: mode, MX: []string{mx}, MaxAge: time.Hour}}
	}
	tlsa := []string{fmt.Sprintf("_25._tcp.mx.d.example. 60 IN TLSA 3 1 1 %x", sha256.Sum256(good.Leaf.RawSubjectPublicKeyInfo))}
	plain := hello + mailOver
	over := secure + mailOver
	failing := secure[:strings.LastIndex(secure, "C EHLO")] + strings.TrimPrefix(bye, "\n")
	const at = " mx.d.example 192.0.2.1"
	for _, c := range []struct {
		name    string
		known   knownPolicies
		zone    []string // signed
		control string   // of control/tlspolicy
		cert    string
		peer    []string
		fail    bool // the lookup of TLSA records
		want    string
	}{
		{name: "nothing asks, and there is TLS", peer: []string{over}, want: "no-policy-found d.example"},
		{name: "nothing asks, and there is none", peer: []string{plain}, want: "no-policy-found d.example starttls-not-supported" + at},
		{name: "STARTTLS is refused", peer: []string{offered + "C STARTTLS\nS 454 later" + bye, offered + mailOver}, want: "no-policy-found d.example starttls-not-supported" + at},
		{name: "it goes away", peer: []string{offered + "C STARTTLS\nS 421 bye"}},
		{name: "it hangs up", peer: []string{offered + "C STARTTLS\n. close"}, want: "no-policy-found d.example validation-failure" + at},
		{name: "TLS fails", peer: []string{offered + "C STARTTLS\nS 220 go\nT! fail", offered + mailOver}, want: "no-policy-found d.example validation-failure" + at},
		{name: "a policy is kept to", known: sts(mtasts.Enforce, "*.d.example"), peer: []string{over}, want: "sts d.example"},
		{name: "another name", known: sts(mtasts.Enforce, "*.d.example"), cert: "bad", peer: []string{failing}, want: "sts d.example certificate-host-mismatch" + at},
		{name: "too old", known: sts(mtasts.Enforce, "*.d.example"), cert: "old", peer: []string{failing}, want: "sts d.example certificate-expired" + at},
		{name: "an unknown authority", known: sts(mtasts.Enforce, "*.d.example"), cert: "unknown", peer: []string{failing}, want: "sts d.example certificate-not-trusted" + at},
		{name: "tested, and not kept to", known: sts(mtasts.Testing, "*.d.example"), cert: "bad", peer: []string{over}, want: "sts d.example certificate-host-mismatch" + at},
		{name: "a policy, and no TLS", known: sts(mtasts.Enforce, "*.d.example"), peer: []string{hello + strings.TrimPrefix(bye, "\n")},
			want: "sts d.example starttls-not-supported" + at},
		{name: "another exchanger", known: sts(mtasts.Enforce, "e.example"), want: "sts d.example validation-failure" + at},
		{name: "DANE", control: ":dane", zone: tlsa, peer: []string{over}, want: "tlsa d.example"},
		{name: "DANE, and another key", control: ":dane", zone: tlsa, cert: "bad", peer: []string{failing}, want: "tlsa d.example tlsa-invalid" + at},
		{name: "DANE, and the DNS fails", control: ":dane", zone: tlsa, fail: true, want: "tlsa d.example dnssec-invalid" + at},
		{name: "the administrator's line", control: ":encrypt", peer: []string{over}},
		{name: "no TLS by his word", control: ":none", peer: []string{offered + mailOver}},
		{name: "no greeting", peer: []string{"S 554 no" + bye}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, append(append([]string(nil), oneExchanger...), c.zone...)...)
			h.promising(ca, c.zone != nil)
			told := new(notebook)
			h.client.reports = told
			if c.known != nil {
				h.client.policies, h.set.mtasts = c.known, true
			}
			if c.control != "" {
				h.policy(c.control)
			}
			if c.fail {
				h.dns.Fail("_25._tcp.mx.d.example", "TLSA", dns.RcodeServerFailure)
			}
			switch h.cert = good; c.cert {
			case "bad":
				h.cert = bad
			case "old":
				h.cert = old
			case "unknown":
				h.cert = unknown
			}
			if c.peer != nil {
				h.peer("192.0.2.1", scripts(c.peer)...)
			}
			h.deliver(simpleMessage, "d.example", "r@d.example")
			h.end()
			if got := told.String(); got != c.want {
				t.Errorf("told %s, want %s", got, c.want)
			}
			for _, f := range told.findings {
				if !f.Valid() || f.Policy.Type == tlsrpt.STS && len(f.Policy.Strings) != 3 || f.Policy.Type == tlsrpt.TLSA && !c.fail && len(f.Policy.Strings) != 1 {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}
