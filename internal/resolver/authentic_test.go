package resolver_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/miekg/dns"

	"postrider/internal/clock"
	"postrider/internal/resolver"
	"postrider/internal/resolver/resolvertest"
)

// signedZone has signed.example and its neighbours in zones that are signed.
func signedZone(t *testing.T, trusted bool) (*resolvertest.Server, *resolver.Resolver) {
	s := resolvertest.Start(t,
		"signed.example. 60 MX 10 mx.signed.example.", "mx.signed.example. 60 A 192.0.2.1", "_25._tcp.mx.signed.example. 60 TLSA 3 1 1 00ff",
		"plain.example. 60 MX 10 mx.signed.example.", "mx.plain.example. 60 A 192.0.2.2", "_25._tcp.mx.plain.example. 60 TLSA 3 1 1 00ff",
		"in.signed.example. 60 CNAME mx.signed.example.", "out.signed.example. 60 CNAME mx.plain.example.", "into.plain.example. 60 CNAME mx.signed.example.",
		"_25._tcp.alias.signed.example. 60 CNAME _25._tcp.mx.signed.example.", "_25._tcp.lost.signed.example. 60 CNAME _25._tcp.mx.plain.example.")
	s.Sign("signed.example")
	config := s.Config()
	config.Authentic = trusted
	return s, resolver.New(config, clock.Real())
}

func TestAuthentic(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	_, r := signedZone(t, true)
	_, doubted := signedZone(t, false)
	mx := func(r *resolver.Resolver, domain string) string {
		mxs, authentic, err := r.AuthenticMX(ctx, domain)
		return fmt.Sprint(len(mxs), " ", authentic, " ", err)
	}
	canonical := func(r *resolver.Resolver, host string) string {
		name, authentic, err := r.Canonical(ctx, host)
		return fmt.Sprint(name, " ", authentic, " ", err)
	}
	alias := func(r *resolver.Resolver, host string) string {
		authentic, err := r.IsAuthenticAlias(ctx, host)
		return fmt.Sprint(authentic, " ", err)
	}
	tlsa := func(r *resolver.Resolver, name string) string {
		records, authentic, err := r.TLSA(ctx, name)
		return fmt.Sprint(records, " ", authentic, " ", err)
	}
	const record = "[{3 1 1 [0 255]}]"
	for _, c := range []struct{ name, got, want string }{
		{"MX", mx(r, "signed.example"), "1 true <nil>"},
		{"MX again, kept", mx(r, "SIGNED.example"), "1 true <nil>"},
		{"no MX", mx(r, "mx.signed.example"), "0 true no such record"},
		{"no name", mx(r, "none.signed.example"), "0 true no such name"},
		{"unsigned MX", mx(r, "plain.example"), "1 false <nil>"},
		{"MX of a server that is not believed", mx(doubted, "signed.example"), "1 false <nil>"},
		{"host", canonical(r, "mx.signed.example"), "mx.signed.example true <nil>"},
		{"alias", canonical(r, "in.signed.example"), "mx.signed.example true <nil>"},
		{"alias out", canonical(r, "out.signed.example"), "mx.plain.example false <nil>"},
		{"alias in", canonical(r, "into.plain.example"), "mx.signed.example false <nil>"},
		{"no host", canonical(r, "none.signed.example"), " false no such name"},
		{"the alias out itself", alias(r, "out.signed.example"), "true <nil>"},
		{"the alias in itself", alias(r, "into.plain.example"), "false <nil>"},
		{"no alias", alias(r, "mx.signed.example"), "false <nil>"},
		{"the alias, not believed", alias(doubted, "out.signed.example"), "false <nil>"},
		{"TLSA", tlsa(r, "_25._tcp.mx.signed.example"), record + " true <nil>"},
		{"TLSA behind an alias", tlsa(r, "_25._tcp.alias.signed.example"), record + " true <nil>"},
		{"TLSA behind an alias out", tlsa(r, "_25._tcp.lost.signed.example"), record + " false <nil>"},
		{"unsigned TLSA", tlsa(r, "_25._tcp.mx.plain.example"), record + " false <nil>"},
		{"no TLSA", tlsa(r, "_25._tcp.signed.example"), "[] true no such name"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, c.got, c.want)
		}
	}
}

// TestAuthenticLookupsThatFail are temporary errors, never "there is nothing".
func TestAuthenticLookupsThatFail(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, r := signedZone(t, true)
	for _, name := range []string{"signed.example", "mx.signed.example", "_25._tcp.mx.signed.example"} {
		s.Fail(name, "", dns.RcodeServerFailure)
	}
	for i := range maxTLSA + 1 {
		s.Add(t, fmt.Sprintf("_25._tcp.many.signed.example. 60 TLSA 3 1 1 %064x", i))
	}
	temporary := func(what string, err error) {
		if err == nil || resolver.IsAnswer(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, _, err := r.AuthenticMX(ctx, "signed.example")
	temporary("MX", err)
	_, _, err = r.Canonical(ctx, "mx.signed.example")
	temporary("host", err)
	_, err = r.IsAuthenticAlias(ctx, "mx.signed.example")
	temporary("alias", err)
	_, _, err = r.TLSA(ctx, "_25._tcp.mx.signed.example")
	temporary("TLSA", err)
	_, _, err = r.TLSA(ctx, "_25._tcp.many.signed.example")
	temporary("too many TLSA", err)
}

// maxTLSA is how many records are taken.
const maxTLSA = 40

// TestWhoIsBelieved reads it from resolv.conf.
func TestWhoIsBelieved(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"":                       true, // the server on this machine
		"nameserver 127.0.0.1\n": true, "nameserver ::1\nnameserver 127.0.0.53\n": true,
		"nameserver 192.0.2.1\n": false, "nameserver 127.0.0.1\nnameserver 192.0.2.1\n": false,
		"nameserver 192.0.2.1\noptions edns0 trust-ad\n": true, "nameserver 192.0.2.1\n# options trust-ad\n": false,
		"nameserver 192.0.2.1\nsearch trust-ad\n": false,
	} {
		path := t.TempDir() + "/resolv.conf"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		config, err := resolver.ReadConfig(path)
		if err != nil || config.Authentic != want {
			t.Errorf("%q: %v, %v", text, config.Authentic, err)
		}
	}
}
