package qmailremote

import (
	"net/netip"
	"strings"
	"testing"
)

func TestRouteFor(t *testing.T) {
	t.Parallel()
	ip := netip.MustParseAddr
	routes := map[string]string{
		"a.example":       "relay.example",
		".b.example":      "relay.example:587",
		"mx.b.example":    "",
		"ip.example":      "192.0.2.9",
		"ipp.example":     "192.0.2.9:2525",
		"br.example":      "[192.0.2.9]",
		"brp.example":     "[192.0.2.9]:26",
		"six.example":     "[2001:db8::9]:26",
		"sixt.example":    "[IPv6:2001:db8::9]",
		"six0.example":    "2001:db8::9",
		"name.example":    "[relay.example]:26",
		"nop.example":     "relay.example:",
		"bad1.example":    "relay.example:x",
		"bad2.example":    "relay.example:0",
		"bad3.example":    "relay.example:65536",
		"bad4.example":    "[192.0.2.9",
		"bad5.example":    "[192.0.2.9]x",
		"bad6.example":    "relay.example:587|user|secret",
		"bad7.example":    ":25",
		"bad8.example":    "a b",
		".deep.example":   "d1",
		".x.deep.example": "d2",
	}
	for _, c := range []struct {
		host  string
		want  relay
		found bool
		bad   bool
	}{
		{"a.example", relay{name: "relay.example", port: 25}, true, false},
		{"A.EXAMPLE", relay{name: "relay.example", port: 25}, true, false},
		{"sub.a.example", relay{}, false, false},
		{"x.b.example", relay{name: "relay.example", port: 587}, true, false},
		{"x.y.b.example", relay{name: "relay.example", port: 587}, true, false},
		{"b.example", relay{}, false, false},
		{"mx.b.example", relay{}, false, false},
		{"other.example", relay{}, false, false},
		{"ip.example", relay{addr: ip("192.0.2.9"), port: 25}, true, false},
		{"ipp.example", relay{addr: ip("192.0.2.9"), port: 2525}, true, false},
		{"br.example", relay{addr: ip("192.0.2.9"), port: 25}, true, false},
		{"brp.example", relay{addr: ip("192.0.2.9"), port: 26}, true, false},
		{"six.example", relay{addr: ip("2001:db8::9"), port: 26}, true, false},
		{"sixt.example", relay{addr: ip("2001:db8::9"), port: 25}, true, false},
		{"six0.example", relay{addr: ip("2001:db8::9"), port: 25}, true, false},
		{"name.example", relay{name: "relay.example", port: 26}, true, false},
		{"nop.example", relay{name: "relay.example", port: 25}, true, false},
		{"bad1.example", relay{}, false, true},
		{"bad2.example", relay{}, false, true},
		{"bad3.example", relay{}, false, true},
		{"bad4.example", relay{}, false, true},
		{"bad5.example", relay{}, false, true},
		{"bad6.example", relay{}, false, true},
		{"bad7.example", relay{}, false, true},
		{"bad8.example", relay{}, false, true},
		{"q.x.deep.example", relay{name: "d2", port: 25}, true, false},
		{"q.y.deep.example", relay{name: "d1", port: 25}, true, false},
		{"", relay{}, false, false},
	} {
		got, found, err := routeFor(routes, c.host)
		if got != c.want || found != c.found || (err != nil) != c.bad {
			t.Errorf("%s: got %+v %v %v", c.host, got, found, err)
		}
	}
	all := map[string]string{"": "smart.example", "mx.example": ""}
	if got, found, _ := routeFor(all, "any.where"); !found || got.name != "smart.example" {
		t.Errorf("empty key: %+v %v", got, found)
	}
	if _, found, _ := routeFor(all, "mx.example"); found {
		t.Error("an empty value must lead to the exchangers, even with an empty key")
	}
}

func TestParseLiteral(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"192.0.2.1", "192.0.2.1"},
		{"[192.0.2.1]", "192.0.2.1"},
		{"[IPv6:2001:db8::1]", "2001:db8::1"},
		{"[ipv6:2001:db8::1]", "2001:db8::1"},
		{"[2001:db8::1]", "2001:db8::1"},
		{"[IPv6:::ffff:192.0.2.1]", "192.0.2.1"},
		{"2001:db8::1", ""},
		{"[192.0.2.1", ""},
		{"[192.0.2.01]", ""},
		{"[IPv6:fe80::1%eth0]", ""},
		{"[]", ""},
		{"", ""},
		{"1.2.3", ""},
	} {
		got, ok := parseLiteral(c.in)
		if ok != (c.want != "") || ok && got.String() != c.want {
			t.Errorf("%q: got %v %v", c.in, got, ok)
		}
	}
}

func FuzzRoute(f *testing.F) {
	for _, s := range []string{"relay.example", "relay:25", "[1.2.3.4]:25", "[IPv6:::1]:25", "[", "]:", "a|b|c", "::1", ":"} {
		f.Add(s, "x.example")
	}
	f.Fuzz(func(t *testing.T, value, host string) {
		r, found, err := routeFor(map[string]string{"": value}, host)
		if err != nil || !found {
			if found {
				t.Fatal("found with an error")
			}
			return
		}
		if r.port == 0 || r.addr.IsValid() == (r.name != "") || strings.ContainsAny(r.name, " |[]") {
			t.Fatalf("%q gives %+v", value, r)
		}
	})
}
