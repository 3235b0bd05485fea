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
		"bad6.example":    "relay.example:587|user",
		"login.example":   "relay.example:587|user|secret|x",
		"words.example":   "relay.example:587 user secret",
		"six1.example":    "2001:db8::9|user|secret",
		"token.example":   "relay.example|user||token",
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
		{"login.example", relay{name: "relay.example", port: 587, via: via{login: login{user: "user", password: "secret|x"}}}, true, false},
		{"words.example", relay{name: "relay.example", port: 587, via: via{login: login{user: "user", password: "secret"}}}, true, false},
		{"six1.example", relay{addr: ip("2001:db8::9"), port: 25, via: via{login: login{user: "user", password: "secret"}}}, true, false},
		{"token.example", relay{name: "relay.example", port: 25, via: via{login: login{user: "user", token: "token"}}}, true, false},
		{"q.x.deep.example", relay{name: "d2", port: 25}, true, false},
		{"q.y.deep.example", relay{name: "d1", port: 25}, true, false},
		{"", relay{}, false, false},
	} {
		got, file, err := (&settings{routes: routes}).domainRoute(c.host)
		found := file != "" && err == nil
		if got != c.want || found != c.found || (err != nil) != c.bad {
			t.Errorf("%s: got %+v %v %v", c.host, got, found, err)
		}
	}
	all := map[string]string{"": "smart.example", "mx.example": ""}
	set := &settings{routes: all}
	if got, file, _ := set.domainRoute("any.where"); file == "" || got.name != "smart.example" {
		t.Errorf("empty key: %+v %v", got, file)
	}
	if _, file, _ := set.domainRoute("mx.example"); file != "" {
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
	for _, s := range []string{"relay.example", "relay:25", "[1.2.3.4]:25", "[IPv6:::1]:25", "[", "]:", "a|b|c", "a b c", "a|b||c", "::1", ":"} {
		f.Add(s, "x.example")
	}
	f.Fuzz(func(t *testing.T, value, host string) {
		r, file, err := (&settings{routes: map[string]string{"": value}}).domainRoute(host)
		if err != nil || file == "" {
			if err != nil && r != (relay{}) {
				t.Fatal("a relay with an error")
			}
			return
		}
		if l := r.login; l != (login{}) && (l.user == "" || (l.password == "") == (l.token == "") || strings.ContainsAny(l.token, "/")) {
			t.Fatalf("%q gives %q, %q, %q", value, l.user, l.password, l.token)
		}
		if r.port == 0 || r.addr.IsValid() == (r.name != "") || strings.ContainsAny(r.name, " |[]") {
			t.Fatalf("%q gives %+v", value, r)
		}
	})
}

// TestFilesOfRoutes: the longest key counts, whichever file has it.
func TestFilesOfRoutes(t *testing.T) {
	t.Parallel()
	set := &settings{
		routes: map[string]string{"": "smtp", "both.example": "smtp", ".l.example": "smtp", "own.l.example": "smtp"},
		tables: routeTables{
			lmtp: map[string]string{".l.example": "lmtp:2424", "both.example": "lmtp"},
			qmtp: map[string]string{"q.example": "qmtp"},
		},
	}
	for _, c := range []struct {
		host, name string
		port       uint16
		protocol   protocol
	}{
		{"x.example", "smtp", 25, smtp},
		{"both.example", "lmtp", 24, lmtp},
		{"x.l.example", "lmtp", 2424, lmtp},
		{"own.l.example", "smtp", 25, smtp},
		{"q.example", "qmtp", 209, qmtp},
	} {
		r, file, err := set.domainRoute(c.host)
		if r.name != c.name || r.port != c.port || r.protocol != c.protocol || file == "" || err != nil {
			t.Errorf("%s: %+v, %s, %v", c.host, r, file, err)
		}
	}
}

func TestSenderRoute(t *testing.T) {
	t.Parallel()
	routes := map[string]string{
		routeKey("Jim@Bücher.example"): "6",
		"joe@a.example":                "1", "@a.example": "2", ".example": "3", "b.example": "4", "": "5",
	}
	for _, c := range []struct{ sender, want string }{
		{"joe@a.example", "1"},
		{"JOE@A.EXAMPLE", "1"},
		{"jim@a.example", "2"},
		{"jim@x.a.example", "3"},
		{"jim@b.example", "4"},
		{"jim@elsewhere", "5"},
		{"jim@bücher.example", "6"},
		{"jim@xn--bcher-kva.example", "6"},
		{"", ""},
	} {
		if got, _ := senderEntry(routes, addr(t, c.sender)); got != c.want {
			t.Errorf("%q: got %s, want %s", c.sender, got, c.want)
		}
	}
}
