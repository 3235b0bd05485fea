package policy

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"postrider/internal/clock"
	"postrider/internal/resolver"
	"postrider/internal/resolver/resolvertest"
	"postrider/internal/responder"
	wire "postrider/internal/wire/policy"
)

// lines keeps the lines of a log.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

// newServer is a server that asks a zone.
func newServer(t testing.TB, zone ...string) (*server, *resolvertest.Server, *lines) {
	t.Helper()
	names := resolvertest.Start(t, zone...)
	r := resolver.New(names.Config(), clock.Real())
	log := &lines{}
	return &server{Daemon: responder.New("qmail-policy", clock.Real(), log.add), clock: clock.Real(), dns: func() (lookups, error) { return r, nil }, grey: newGreylist(clock.Real())}, names, log
}

var (
	client4 = netip.MustParseAddr("192.0.2.1")
	client6 = netip.MustParseAddr("2001:db8::1")
)

func TestReversed(t *testing.T) {
	t.Parallel()
	for addr, want := range map[netip.Addr]string{
		client4: "1.2.0.192",
		client6: "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2",
	} {
		if got := reversed(addr); got != want {
			t.Errorf("%v: %s", addr, got)
		}
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	s, names, log := newServer(t,
		`1.2.0.192.one.example. 60 A 127.0.0.2`, `1.2.0.192.one.example. 60 A 127.0.0.10`,
		`1.2.0.192.one.example. 60 TXT "see https://one" ".example/192.0.2.1"`,
		`1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.one.example. 60 A 127.0.0.3`,
		`1.2.0.192.parked.example. 60 A 198.51.100.1`,
		`1.2.0.192.refusing.example. 60 A 127.255.255.254`,
		`1.2.0.192.mixed.example. 60 A 127.255.255.254`, `1.2.0.192.mixed.example. 60 A 127.0.0.9`,
	)
	names.Fail("1.2.0.192.dead.example", "", dns.RcodeServerFailure)
	codes := func(texts ...string) (list []netip.Addr) {
		for _, text := range texts {
			list = append(list, netip.MustParseAddr(text))
		}
		return list
	}
	zones := []string{"one.example", "none.example", "dead.example", "parked.example", "refusing.example", "mixed.example"}
	for client, want := range map[netip.Addr][]wire.Listing{
		client4: {{Standing: wire.Listed, Codes: codes("127.0.0.2", "127.0.0.10"), Text: "see https://one.example/192.0.2.1"}, {},
			{Standing: wire.NoAnswer}, {Standing: wire.NoAnswer}, {Standing: wire.NoAnswer}, {Standing: wire.Listed, Codes: codes("127.0.0.9")}},
		client6: {{Standing: wire.Listed, Codes: codes("127.0.0.3")}, {}, {}, {}, {}, {}},
	} {
		got, err := s.Lists(client, zones)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%v: %v, %v", client, got, err)
		}
		for i := range want {
			if got[i].Standing != want[i].Standing || !slices.Equal(got[i].Codes, want[i].Codes) || got[i].Text != want[i].Text {
				t.Errorf("%v in %s: got %v, want %v", client, zones[i], got[i], want[i])
			}
		}
	}
	if !strings.Contains(log.String(), "qmail-policy: warning: 1.2.0.192.dead.example.") {
		t.Errorf("a list that fails is not told:\n%s", log)
	}
}

func TestName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		addr  netip.Addr
		zone  []string
		fails []string
		state wire.NameState
		found string
	}{
		{name: "confirmed", addr: client4, zone: []string{"1.2.0.192.in-addr.arpa. 60 PTR H.example.", "h.example. 60 A 192.0.2.1"}, state: wire.Confirmed, found: "h.example"},
		{name: "the second one", addr: client4, zone: []string{"1.2.0.192.in-addr.arpa. 60 PTR g.example.", "1.2.0.192.in-addr.arpa. 60 PTR h.example.", "h.example. 60 A 192.0.2.1"},
			state: wire.Confirmed, found: "h.example"},
		{name: "IPv6", addr: client6, zone: []string{reversed(client6) + ".ip6.arpa. 60 PTR h.example.", "h.example. 60 AAAA 2001:db8::1"}, state: wire.Confirmed, found: "h.example"},
		{name: "of a part of a network (RFC 2317)", addr: client4, zone: []string{"1.2.0.192.in-addr.arpa. 60 CNAME 1.0/25.2.0.192.in-addr.arpa.",
			"1.0/25.2.0.192.in-addr.arpa. 60 PTR h.example.", "h.example. 60 A 192.0.2.1"}, state: wire.Confirmed, found: "h.example"},
		{name: "none", addr: client4, state: wire.NoName},
		{name: "another address", addr: client4, zone: []string{"1.2.0.192.in-addr.arpa. 60 PTR h.example.", "h.example. 60 A 192.0.2.2"}, state: wire.Unconfirmed, found: "h.example"},
		{name: "of nobody", addr: client4, zone: []string{"1.2.0.192.in-addr.arpa. 60 PTR h.example."}, state: wire.Unconfirmed, found: "h.example"},
		{name: "no name at all", addr: client4, zone: []string{`1.2.0.192.in-addr.arpa. 60 PTR a\032b\(c\).example.`}, state: wire.NoName},
		{name: "failure", addr: client4, fails: []string{"1.2.0.192.in-addr.arpa"}, state: wire.NameUnsure},
		{name: "failure of the name", addr: client4, zone: []string{"1.2.0.192.in-addr.arpa. 60 PTR h.example."}, fails: []string{"h.example"}, state: wire.NameUnsure},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, names, _ := newServer(t, c.zone...)
			for _, name := range c.fails {
				names.Fail(name, "", dns.RcodeServerFailure)
			}
			state, found, err := s.Name(c.addr)
			if err != nil || state != c.state || found != c.found {
				t.Errorf("%v %q, %v, want %v %q", state, found, err, c.state, c.found)
			}
		})
	}
}

func TestSender(t *testing.T) {
	t.Parallel()
	chain := []string{`many.example. 60 TXT "v=spf1 include:ia.example -all"`}
	for i := range 15 {
		chain = append(chain, fmt.Sprintf(`i%c.example. 60 TXT "v=spf1 include:i%c.example -all"`, 'a'+i, 'b'+i))
	}
	s, names, _ := newServer(t, append(chain,
		`a.example. 60 TXT "some=verification"`, `a.example. 60 TXT "v=spf1 ip4:192.0.2.0/28" " ip6:2001:db8::/32 -all"`,
		`soft.example. 60 TXT "v=spf1 ~all"`, `neutral.example. 60 TXT "v=spf1 ?all"`, `none.example. 60 TXT "nothing"`,
		`twice.example. 60 TXT "v=spf1 -all"`, `twice.example. 60 TXT "v=spf1 +all"`, `wrong.example. 60 TXT "v=spf1 iq4:1 -all"`,
		`mx.example. 60 TXT "v=spf1 mx -all"`, `mx.example. 60 MX 1 h.example.`, `h.example. 60 A 192.0.2.1`, `h.example. 60 AAAA 2001:db8::1`,
		`host.example. 60 TXT "v=spf1 a:h.example -all"`, `exists.example. 60 TXT "v=spf1 exists:%{l}.%{ir}.x.example -all"`,
		`joe.1.2.0.192.x.example. 60 A 127.0.0.2`, `temp.example. 60 TXT "v=spf1 include:dead.example -all"`,
		`ptr.example. 60 TXT "v=spf1 ptr -all"`, `1.2.0.192.in-addr.arpa. 60 PTR h.ptr.example.`, `h.ptr.example. 60 A 192.0.2.1`,
		`2.2.0.192.in-addr.arpa. 60 PTR forged.ptr.example.`, `forged.ptr.example. 60 A 198.51.100.1`,
		`xn--bcher-kva.example. 60 TXT "v=spf1 -all"`, `helo.example. 60 TXT "v=spf1 ip4:192.0.2.1 -all"`,
		`silent.example. 60 TXT "v=spf1 a:none-at-all.example -all"`,
	)...)
	names.Fail("dead.example", "", dns.RcodeServerFailure)
	ip := func(text string) netip.Addr { return netip.MustParseAddr(text) }
	for _, c := range []struct {
		client       netip.Addr
		helo, sender string
		want         wire.Result
	}{
		{client4, "x", "joe@a.example", wire.Pass},
		{client4, "x", "joe@A.EXAMPLE.", wire.Pass},
		{client6, "x", "joe@a.example", wire.Pass},
		{ip("198.51.100.1"), "x", "joe@a.example", wire.Fail},
		{client4, "x", "joe@soft.example", wire.SoftFail},
		{client4, "x", "joe@neutral.example", wire.Neutral},
		{client4, "x", "joe@none.example", wire.None},
		{client4, "x", "joe@unknown.example", wire.None},
		{client4, "x", "joe@twice.example", wire.PermError},
		{client4, "x", "joe@wrong.example", wire.PermError},
		{client4, "x", "joe@many.example", wire.PermError},
		{client4, "x", "joe@mx.example", wire.Pass},
		{client6, "x", "joe@mx.example", wire.Pass},
		{ip("192.0.2.2"), "x", "joe@mx.example", wire.Fail},
		{client4, "x", "joe@host.example", wire.Pass},
		{client4, "x", "joe@exists.example", wire.Pass},
		{client4, "x", "jim@exists.example", wire.Fail},
		{client4, "x", "joe@temp.example", wire.TempError},
		{client4, "x", "joe@ptr.example", wire.Pass},
		{ip("192.0.2.2"), "x", "joe@ptr.example", wire.Fail},
		{client4, "x", "joe@bücher.example", wire.Fail},
		{client4, "helo.example", "", wire.Pass},
		{ip("198.51.100.1"), "helo.example", "", wire.Fail},
		{client4, "[192.0.2.1]", "", wire.None},
		{client4, "localhost", "", wire.None},
		{client4, "", "", wire.None},
		{client4, "x", "joe", wire.None},
		{client4, "x", `joe@a.example"@none.example`, wire.None},
		{ip("198.51.100.1"), "x", `joe@none.example@a.example`, wire.Fail},
		{client4, "x", "joe@[192.0.2.1]", wire.None},
		{client4, "x", "@a.example", wire.Pass},
		{client4, "x", "joe@silent.example", wire.Fail},
	} {
		if got, err := s.Sender(c.client, c.helo, c.sender); err != nil || got != c.want {
			t.Errorf("%v, HELO %s, MAIL FROM:<%s>: %v, %v, want %v", c.client, c.helo, c.sender, got, err, c.want)
		}
	}
}

// A name server that says nothing is no answer, and holds nobody for ever.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	s, names, _ := newServer(t)
	names.Handle("1.2.0.192.a.example", "", func(dns.ResponseWriter, *dns.Msg) {})
	r := resolver.New(resolver.Config{Servers: []netip.AddrPort{names.Addr}, Timeout: 50 * time.Millisecond, Attempts: 1}, clock.Real())
	s.dns = func() (lookups, error) { return r, nil }
	got, err := s.Lists(client4, []string{"a.example", "b.example"})
	if err != nil || got[0].Standing != wire.NoAnswer || got[1].Standing != wire.NotListed {
		t.Errorf("%v, %v", got, err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if got := checkSender(ended, r, client4, "x", "joe@b.example"); got != wire.TempError {
		t.Errorf("without time: %v", got)
	}
}
