package qmailremote

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"postrider/internal/address"
)

// TestTargets shows where the mail of a domain goes.
func TestTargets(t *testing.T) {
	t.Parallel()
	const (
		me      = "192.0.2.99"
		unknown = "Z Sorry, I couldn't find any host by that name. (#4.1.2)"
		none    = "D Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)"
		self    = "D Sorry. Although I'm listed as a best-preference MX or A for that host,/it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)"
	)
	noHost := func(h string) string { return "D Sorry, I couldn't find any host named " + h + ". (#5.1.2)" }
	for _, c := range []struct {
		name, domain, want string
		zone               []string
		routes             map[string]string
		fail               []string // "name TYPE RCODE"
	}{
		{name: "by preference", domain: "d", want: "192.0.2.1:25 192.0.2.2:25 192.0.2.3:25",
			zone: []string{"d. 60 MX 30 c.d.", "d. 60 MX 10 a.d.", "d. 60 MX 20 b.d.", "a.d. 60 A 192.0.2.1", "b.d. 60 A 192.0.2.2", "c.d. 60 A 192.0.2.3"}},
		{name: "IPv4 before IPv6 of one host", domain: "d", want: "192.0.2.1:25 [2001:db8::1]:25 192.0.2.2:25",
			zone: []string{"d. 60 MX 10 a.d.", "d. 60 MX 20 b.d.", "a.d. 60 AAAA 2001:db8::1", "a.d. 60 A 192.0.2.1", "b.d. 60 A 192.0.2.2"}},
		{name: "addresses that come again", domain: "d", want: "192.0.2.1:25 192.0.2.2:25",
			zone: []string{"d. 60 MX 10 a.d.", "d. 60 MX 20 b.d.", "a.d. 60 A 192.0.2.1", "b.d. 60 A 192.0.2.1", "b.d. 60 A 192.0.2.2"}},
		{name: "no MX: the host itself", domain: "d", want: "192.0.2.1:25", zone: []string{"d. 60 A 192.0.2.1"}},
		{name: "no MX: the host's IPv6", domain: "d", want: "[2001:db8::1]:25", zone: []string{"d. 60 AAAA 2001:db8::1"}},
		{name: "final dot and upper case", domain: "D.", want: "192.0.2.1:25", zone: []string{"d. 60 A 192.0.2.1"}},
		{name: "no such name", domain: "d", want: noHost("d")},
		{name: "name without MX and address", domain: "d", want: noHost("d"), zone: []string{"d. 60 TXT x"}},
		{name: "name that can be none", domain: "a b..c\xff", want: noHost("a b..c?")},
		{name: "null MX", domain: "d", want: none, zone: []string{"d. 60 MX 0 .", "d. 60 A 192.0.2.1"}},
		{name: "null MX among others", domain: "d", want: "192.0.2.1:25", zone: []string{"d. 60 MX 0 .", "d. 60 MX 10 a.d.", "a.d. 60 A 192.0.2.1"}},
		{name: "exchangers without addresses", domain: "d", want: none, zone: []string{"d. 60 MX 10 a.d.", "d. 60 A 192.0.2.1"}},
		{name: "one exchanger without address", domain: "d", want: "192.0.2.2:25", zone: []string{"d. 60 MX 10 a.d.", "d. 60 MX 20 b.d.", "b.d. 60 A 192.0.2.2"}},
		{name: "exchanger that is an address", domain: "d", want: "192.0.2.7:25", zone: []string{`d. 60 MX 10 192.0.2.7.`}},
		{name: "CNAME to a domain with MX", domain: "www", want: "192.0.2.1:25", zone: []string{"www. 60 CNAME d.", "d. 60 MX 10 a.d.", "a.d. 60 A 192.0.2.1"}},
		{name: "CNAME to a host", domain: "www", want: "192.0.2.1:25", zone: []string{"www. 60 CNAME a.d.", "a.d. 60 A 192.0.2.1"}},
		{name: "exchanger that is a CNAME", domain: "d", want: "192.0.2.1:25", zone: []string{"d. 60 MX 10 m.d.", "m.d. 60 CNAME a.d.", "a.d. 60 A 192.0.2.1"}},

		{name: "MX SERVFAIL: no fall-back to the address", domain: "d", want: unknown, zone: []string{"d. 60 A 192.0.2.1"}, fail: []string{"d MX 2"}},
		{name: "MX REFUSED", domain: "d", want: unknown, zone: []string{"d. 60 A 192.0.2.1"}, fail: []string{"d MX 5"}},
		{name: "address SERVFAIL", domain: "d", want: unknown, fail: []string{"d A 2"}},
		{name: "all exchangers SERVFAIL", domain: "d", want: unknown, zone: []string{"d. 60 MX 10 a.d."}, fail: []string{"a.d A 2", "a.d AAAA 2"}},
		{name: "one exchanger unknown, the other without address", domain: "d", want: unknown, zone: []string{"d. 60 MX 10 a.d.", "d. 60 MX 20 b.d."}, fail: []string{"a.d A 2"}},
		{name: "one exchanger unknown, the other known", domain: "d", want: "192.0.2.2:25",
			zone: []string{"d. 60 MX 10 a.d.", "d. 60 MX 20 b.d.", "b.d. 60 A 192.0.2.2"}, fail: []string{"a.d A 2"}},
		{name: "IPv6 SERVFAIL", domain: "d", want: "192.0.2.1:25", zone: []string{"d. 60 A 192.0.2.1"}, fail: []string{"d AAAA 2"}},

		{name: "best is me", domain: "d", want: self, zone: []string{"d. 60 MX 10 a.d.", "d. 60 MX 20 b.d.", "a.d. 60 A " + me, "b.d. 60 A 192.0.2.2"}},
		{name: "equal to me", domain: "d", want: self, zone: []string{"d. 60 MX 10 a.d.", "d. 60 MX 10 b.d.", "a.d. 60 A " + me, "b.d. 60 A 192.0.2.2"}},
		{name: "better than me only", domain: "d", want: "192.0.2.1:25",
			zone: []string{"d. 60 MX 10 a.d.", "d. 60 MX 20 b.d.", "d. 60 MX 30 c.d.", "a.d. 60 A 192.0.2.1", "b.d. 60 A " + me, "c.d. 60 A 192.0.2.3"}},
		{name: "my IPv6 address", domain: "d", want: self, zone: []string{"d. 60 AAAA 2001:db8::99"}},
		{name: "loopback", domain: "d", want: self, zone: []string{"d. 60 MX 10 a.d.", "a.d. 60 A 127.3.2.1"}},
		{name: "IPv6 loopback", domain: "d", want: self, zone: []string{"d. 60 AAAA ::1"}},
		{name: "0.0.0.0", domain: "d", want: self, zone: []string{"d. 60 A 0.0.0.0"}},
		{name: "mapped loopback", domain: "d", want: self, zone: []string{"d. 60 AAAA ::ffff:127.0.0.1"}},
		{name: "host is me", domain: "d", want: self, zone: []string{"d. 60 A " + me}},

		{name: "literal", domain: "[192.0.2.5]", want: "192.0.2.5:25"},
		{name: "bare literal", domain: "192.0.2.5", want: "192.0.2.5:25"},
		{name: "IPv6 literal", domain: "[IPv6:2001:db8::5]", want: "[2001:db8::5]:25"},
		{name: "literal that is me", domain: "[" + me + "]", want: self},
		{name: "broken literal", domain: "[192.0.2", want: noHost("[192.0.2")},

		{name: "route to a name: no MX", domain: "d", want: "192.0.2.8:26", routes: map[string]string{"d": "r:26"},
			zone: []string{"d. 60 MX 10 a.d.", "a.d. 60 A 192.0.2.1", "r. 60 MX 10 a.d.", "r. 60 A 192.0.2.8"}},
		{name: "route to an address", domain: "d", want: "192.0.2.8:25", routes: map[string]string{"d": "192.0.2.8"}},
		{name: "route to myself is meant", domain: "d", want: "127.0.0.1:10025", routes: map[string]string{"d": "127.0.0.1:10025"}},
		{name: "route for all, exception", domain: "x.d", want: "192.0.2.1:25", routes: map[string]string{"": "192.0.2.8", ".d": ""}, zone: []string{"x.d. 60 A 192.0.2.1"}},
		{name: "route by suffix", domain: "x.y.d", want: "192.0.2.8:25", routes: map[string]string{".d": "192.0.2.8"}},
		{name: "route of a literal", domain: "[192.0.2.5]", want: "192.0.2.8:25", routes: map[string]string{"[192.0.2.5]": "192.0.2.8"}},
		{name: "route to nowhere", domain: "d", want: noHost("r"), routes: map[string]string{"d": "r"}},
		{name: "route that nobody can look up", domain: "d", want: unknown, routes: map[string]string{"d": "r"}, fail: []string{"r A 2"}},
		{name: "route that is wrong", domain: "d", want: `Z Unable to use control/smtproutes: route for "d": not a port number. (#4.3.5)`, routes: map[string]string{"d": "r:x"}},
		{name: "route with a password", domain: "d", want: "192.0.2.1:587", routes: map[string]string{"d": "192.0.2.1:587|u|secret"}},
		{name: "route with half a login", domain: "d", want: `Z Unable to use control/smtproutes: route for "d": a user without a password. (#4.3.5)`, routes: map[string]string{"d": "192.0.2.1:587|secret"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, c.zone...)
			h.own = []netip.Addr{netip.MustParseAddr(me), netip.MustParseAddr("2001:db8::99")}
			h.set.routes = c.routes
			for _, f := range c.fail {
				var name, qtype string
				var rcode int
				fmt.Sscan(f, &name, &qtype, &rcode)
				h.dns.Fail(name, qtype, rcode)
			}
			targets, failed := h.client.targets(context.Background(), &h.set, address.Address{}, c.domain)
			var got []string
			for _, at := range targets {
				got = append(got, at.addr.String())
			}
			if failed != nil {
				got = []string{string(failed.class) + " " + strings.ReplaceAll(strings.TrimSuffix(failed.text, "\n"), "\n", "/")}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, " "), c.want)
			}
		})
	}
}

// TestEqualShuffled: exchangers of one preference take turns.
func TestEqualShuffled(t *testing.T) {
	t.Parallel()
	zone := []string{"d. 60 MX 5 first.d.", "first.d. 60 A 192.0.2.50"}
	for i := range 8 {
		zone = append(zone, fmt.Sprintf("d. 60 MX 10 m%d.d.", i), fmt.Sprintf("m%d.d. 60 A 192.0.2.%d", i, i+1))
	}
	h := newHost(t, zone...)
	seen := map[netip.AddrPort]bool{}
	for range 200 {
		targets, failed := h.client.targets(context.Background(), &h.set, address.Address{}, "d")
		if failed != nil || len(targets) != 9 || targets[0].addr != at("192.0.2.50") {
			t.Fatalf("%v %v", targets, failed)
		}
		seen[targets[1].addr] = true
	}
	if len(seen) < 4 {
		t.Errorf("only %d of 8 equal exchangers came first in 200 tries", len(seen))
	}
	if n := h.dns.Asked("d", "MX"); n != 1 {
		t.Errorf("MX was asked for %d times", n)
	}
}

func TestInterfacesUnknown(t *testing.T) {
	t.Parallel()
	h := newHost(t, oneMX...)
	h.client.own.list = func() ([]netip.Addr, error) { return nil, errors.New("no netlink") }
	if _, failed := h.client.targets(context.Background(), &h.set, address.Address{}, "d.example"); failed == nil || *failed != *noResources() {
		t.Errorf("got %v", failed)
	}
}

func TestOwnAddresses(t *testing.T) {
	t.Parallel()
	addrs, err := interfaceAddresses()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if !a.IsValid() || a.Is4In6() {
			t.Errorf("address %v", a)
		}
	}
	now, calls := newManualClock(), 0
	own := &ownAddresses{clock: now, list: func() ([]netip.Addr, error) { calls++; return nil, nil }}
	for range 3 {
		own.contains()
	}
	now.add(ownTTL)
	own.contains()
	if calls != 2 {
		t.Errorf("listed %d times", calls)
	}
}

func TestDNSTimeout(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.dns.Handle("d", "", func(dns.ResponseWriter, *dns.Msg) {})
	h.shortDNS()
	if _, failed := h.client.targets(context.Background(), &h.set, address.Address{}, "d"); failed == nil || *failed != *dnsTrouble() {
		t.Errorf("got %v", failed)
	}
}

// The hosts of a domain are the same each time that they are told, though those of
// one preference take turns.
func TestHostsStayTheSame(t *testing.T) {
	t.Parallel()
	zone := []string{"d. 60 MX 10 a.d.", "d. 60 MX 10 b.d.", "a.d. 60 A 192.0.2.1", "b.d. 60 A 192.0.2.1"}
	for i := range maxExchanger + 10 {
		zone = append(zone, fmt.Sprintf("e. 60 MX 10 m%d.e.", i), fmt.Sprintf("m%d.e. 60 A 192.0.2.%d", i, i+2))
	}
	h := newHost(t, zone...)
	for _, domain := range []string{"d", "e"} {
		told := map[string]bool{}
		for range 50 {
			targets, failed := h.client.targets(context.Background(), &h.set, address.Address{}, domain)
			if failed != nil {
				t.Fatal(failed.text)
			}
			told[joined(hostsOf(targets))] = true
		}
		if len(told) != 1 || domain == "d" && !told["a.d,b.d"] {
			t.Errorf("%s: %d answers, %t", domain, len(told), told["a.d,b.d"])
		}
	}
}
