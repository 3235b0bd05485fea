package qmailremote

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestDANE has a domain whose zones are signed, or not, and the certificate
// that its TLSA records are for, or another (RFC 7672).
func TestDANE(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	good, other := ca.issue(time.Time{}, "mx.d.example"), ca.issue(time.Time{}, "mx.e.example")
	sum := func(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }
	key := sum(good.Leaf.RawSubjectPublicKeyInfo)
	record := func(host, fields string) string { return "_25._tcp." + host + ". 60 IN TLSA " + fields }
	const (
		mx      = "mx.d.example"
		bad     = "ZConnected to 192.0.2.1 but its certificate is not what DANE asks for: "
		unknown = "ZIt cannot be looked up now whether mx.d.example has TLSA records. (#4.7.5)/|"
	)
	alias := []string{"d.example. 60 IN MX 10 mx.d.example.", "mx.d.example. 60 IN CNAME host.f.example.", "host.f.example. 60 IN A 192.0.2.1"}
	for _, c := range []struct {
		name   string
		zone   []string // beside or in place of oneExchanger
		signed []string
		fail   string // a question that is answered SERVFAIL
		policy string
		cert   string // "other" or ""
		want   string
		plain  bool // the server offers no TLS
	}{
		{name: "3 1 1", zone: []string{record(mx, "3 1 1 "+key)}, signed: []string{"."}, want: okTLS + "dane;/|"},
		{name: "2 0 1", zone: []string{record(mx, "2 0 1 "+sum(ca.cert.Raw))}, signed: []string{"."}, want: okTLS + "dane;/|"},
		{name: "another key", zone: []string{record(mx, "3 1 1 "+key)}, signed: []string{"."}, cert: "other", want: bad + "no TLSA record matches its certificates. (#4.7.5)/|"},
		{name: "another name", zone: []string{record(mx, "2 0 1 "+sum(ca.cert.Raw))}, signed: []string{"."}, cert: "other", want: bad},
		{name: "downgrade", zone: []string{record(mx, "3 1 1 "+key)}, signed: []string{"."}, plain: true,
			want: "ZConnected to 192.0.2.1 but it offers no TLS, for which DANE asks. (#4.7.4)/|"},
		{name: "of no use", zone: []string{record(mx, "1 1 1 "+key), record(mx, "3 1 7 "+key)}, signed: []string{"."}, cert: "other", want: okTLS + "none;/|"},
		{name: "of no use, and downgrade", zone: []string{record(mx, "1 1 1 "+key)}, signed: []string{"."}, plain: true,
			want: "ZConnected to 192.0.2.1 but it offers no TLS, for which DANE asks. (#4.7.4)/|"},
		{name: "no record", signed: []string{"."}, cert: "other", want: okTLS + "none;/|"},
		{name: "no record, though needed", signed: []string{"."}, policy: ":dane-only",
			want: "ZThere are no authentic TLSA records of use for 192.0.2.1, for which control/tlspolicy (:dane-only) asks. (#4.7.5)/|"},
		{name: "unsigned", zone: []string{record(mx, "3 1 1 "+key)}, cert: "other", want: okTLS + "none;/|"},
		{name: "unsigned MX", zone: []string{record(mx, "3 1 1 "+key)}, signed: []string{"mx.d.example"}, cert: "other", want: okTLS + "none;/|"},
		{name: "unsigned addresses", zone: []string{record(mx, "3 1 1 "+key)}, signed: []string{"d.example"}, fail: "unsigned mx", cert: "other", want: okTLS + "none;/|"},
		{name: "not asked for", zone: []string{record(mx, "3 1 1 "+key)}, signed: []string{"."}, policy: ":may", cert: "other", want: okTLS + "none;/|"},
		{name: "lookup fails", signed: []string{"."}, fail: "_25._tcp.mx.d.example", want: unknown},
		{name: "lookup fails in an unsigned zone", fail: "_25._tcp.mx.d.example", want: okTLS + "none;/|"},
		{name: "alias", zone: append(alias, record("host.f.example", "3 1 1 "+key)), signed: []string{"."}, want: okTLS + "dane;/|"},
		{name: "alias without records of its own", zone: append(alias, record(mx, "3 1 1 "+key)), signed: []string{"."}, want: okTLS + "dane;/|"},
		{name: "alias to an unsigned zone", zone: append(alias, record(mx, "3 1 1 "+key)), signed: []string{"d.example"}, cert: "other",
			want: bad + "no TLSA record matches its certificates. (#4.7.5)/|"},
		{name: "alias from an unsigned zone", zone: append(alias, record("host.f.example", "3 1 1 "+key)), signed: []string{"f.example"}, cert: "other", want: okTLS + "none;/|"},
		{name: "no MX", zone: []string{"d.example. 60 IN A 192.0.2.1", record("d.example", "3 1 1 "+key)}, signed: []string{"."}, want: okTLS + "dane;/|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			zone := c.zone
			if c.name != "no MX" && !strings.HasPrefix(c.name, "alias") {
				zone = append(append([]string(nil), oneExchanger...), zone...)
			}
			h := newHost(t, zone...)
			config := h.dns.Config()
			config.Authentic = true
			h.ask(config)
			h.dns.Sign(c.signed...)
			switch c.fail {
			case "":
			case "unsigned mx":
				h.dns.Handle("mx.d.example", "A", func(w dns.ResponseWriter, query *dns.Msg) {
					m := h.dns.Answer(w, query)
					m.AuthenticatedData = false
					w.WriteMsg(m)
				})
			default:
				h.dns.Fail(c.fail, "TLSA", dns.RcodeServerFailure)
			}
			h.cert = good
			if c.cert == "other" {
				h.cert = other
			}
			h.policy(":dane")
			if c.policy != "" {
				h.policy(c.policy)
			}
			atHello := strings.TrimSuffix(secure, "C EHLO me.example.org\n\tS 250 peer\n\t") + strings.TrimPrefix(bye, "\n")
			switch {
			case strings.HasPrefix(c.want, bad):
				h.peer("192.0.2.1", script(atHello))
			case c.plain:
				h.peer("192.0.2.1", script(hello+strings.TrimPrefix(bye, "\n")))
			case strings.HasPrefix(c.want, okTLS):
				h.peer("192.0.2.1", script(secure+mailOver))
			}
			if got := withoutCipher(h.deliver(simpleMessage, "d.example", "r@d.example")); !strings.HasPrefix(got, c.want) {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			h.end()
		})
	}
}

// TestDANEForRelays: the name of a relay is the administrator's word.
func TestDANEForRelays(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	h := newHost(t, "relay.example. 60 IN A 192.0.2.1")
	h.cert = ca.issue(time.Time{}, "relay.example")
	h.dns.Add(t, fmt.Sprintf("_587._tcp.relay.example. 60 IN TLSA 3 1 1 %x", sha256.Sum256(h.cert.Leaf.RawSubjectPublicKeyInfo)))
	config := h.dns.Config()
	config.Authentic = true
	h.ask(config)
	h.dns.Sign("relay.example")
	h.set.routes = map[string]string{"": "relay.example:587"}
	h.policy(":dane-only")
	h.peer("192.0.2.1:587", script(secure+mailOver))
	if got := withoutCipher(h.deliver(simpleMessage, "d.example", "r@d.example")); got != okTLS+"dane;/|" {
		t.Errorf("got %s", got)
	}
	h.end()
}
