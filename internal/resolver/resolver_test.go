package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"postrider/internal/clock"
	"postrider/internal/resolver"
	"postrider/internal/resolver/resolvertest"
)

func show(mxs []resolver.MX, addrs []netip.Addr, err error) string {
	var words []string
	for _, mx := range mxs {
		words = append(words, fmt.Sprintf("%d:%s", mx.Pref, mx.Host))
	}
	for _, a := range addrs {
		words = append(words, a.String())
	}
	switch {
	case errors.Is(err, resolver.ErrNoName):
		words = append(words, "no name")
	case errors.Is(err, resolver.ErrNoRecord):
		words = append(words, "no record")
	case err != nil:
		words = append(words, "temporary")
	}
	return strings.Join(words, " ")
}

// behave makes the handler of a server.
type behave func(s *resolvertest.Server) resolvertest.Handler

// answerWith answers the query as change says.
func answerWith(change func(m *dns.Msg)) behave {
	return func(*resolvertest.Server) resolvertest.Handler {
		return func(w dns.ResponseWriter, query *dns.Msg) {
			m := new(dns.Msg).SetReply(query)
			change(m)
			w.WriteMsg(m)
		}
	}
}

// tcpOnly is answerWith by TCP, and by UDP a cut answer.
func tcpOnly(change func(m *dns.Msg)) behave {
	return func(*resolvertest.Server) resolvertest.Handler {
		return func(w dns.ResponseWriter, query *dns.Msg) {
			m := new(dns.Msg).SetReply(query)
			if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
				m.Truncated = true
			} else {
				change(m)
				m.Compress = true
			}
			w.WriteMsg(m)
		}
	}
}

// noEDNS is a server from before RFC 2671.
func noEDNS(s *resolvertest.Server) resolvertest.Handler {
	return func(w dns.ResponseWriter, query *dns.Msg) {
		if query.IsEdns0() == nil {
			w.WriteMsg(s.Answer(w, query))
			return
		}
		m := new(dns.Msg).SetRcode(query, dns.RcodeFormatError)
		m.Question = nil
		w.WriteMsg(m)
	}
}

// endless answers with an alias that is to be asked for next.
func endless(*resolvertest.Server) resolvertest.Handler {
	return func(w dns.ResponseWriter, query *dns.Msg) {
		m := new(dns.Msg).SetReply(query)
		name := strings.TrimSuffix(query.Question[0].Name, ".")
		m.Answer = []dns.RR{rr(name + ". 60 IN CNAME " + strings.Trim(name+"x", "d") + ".")}
		w.WriteMsg(m)
	}
}

// raw sends an answer with its bytes changed.
func raw(change func(b []byte) []byte) behave {
	return func(*resolvertest.Server) resolvertest.Handler {
		return func(w dns.ResponseWriter, query *dns.Msg) {
			b, _ := new(dns.Msg).SetReply(query).Pack()
			w.Write(change(b))
		}
	}
}

// firstMX is what is kept of the records in "answer cut".
func firstMX(n int) string {
	var words []string
	for i := range n {
		words = append(words, fmt.Sprintf("%d:mx%02d.%s.d", i, i, strings.Repeat("x", 40)))
	}
	return strings.Join(words, " ")
}

func rr(s string) dns.RR {
	r, err := dns.NewRR(s)
	if err != nil {
		panic(err)
	}
	return r
}

// TestLookups asks for the MX of "d" and the addresses of "d".
func TestLookups(t *testing.T) {
	t.Parallel()
	soa := rr(". 30 IN SOA ns. h. 1 2 3 4 30")
	long := []string{}
	for i := range 60 {
		long = append(long, fmt.Sprintf("d. 60 MX %d mx%02d.%s.d.", i, i, strings.Repeat("x", 40)))
	}
	for _, c := range []struct {
		name    string
		zone    []string
		handler behave
		mx      string
		addrs   string
	}{
		{name: "records", zone: []string{"d. 60 MX 20 B.d.", "d. 60 MX 10 a.d.", "d. 60 A 192.0.2.1", "d. 60 AAAA 2001:db8::1"},
			mx: "10:a.d 20:B.d", addrs: "192.0.2.1 2001:db8::1"},
		{name: "NXDOMAIN", mx: "no name", addrs: "no name"},
		{name: "no such record", zone: []string{"d. 60 TXT x"}, mx: "no record", addrs: "no record"},
		{name: "null MX", zone: []string{"d. 60 MX 0 ."}, mx: "0:", addrs: "no record"},
		{name: "alias", zone: []string{"d. 60 CNAME e.", "e. 60 MX 1 m.", "e. 60 A 192.0.2.2"}, mx: "1:m", addrs: "192.0.2.2"},
		{name: "alias of nothing", zone: []string{"d. 60 CNAME e."}, mx: "no name", addrs: "no name"},
		{name: "answer cut: TCP", zone: long, mx: firstMX(40), addrs: "no record"},
		{name: "SERVFAIL", handler: answerWith(func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }), mx: "temporary", addrs: "temporary"},
		{name: "REFUSED", handler: answerWith(func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }), mx: "temporary", addrs: "temporary"},
		{name: "NOTAUTH", handler: answerWith(func(m *dns.Msg) { m.Rcode = dns.RcodeNotAuth }), mx: "temporary", addrs: "temporary"},
		{name: "empty answer without SOA", handler: answerWith(func(m *dns.Msg) {}), mx: "no record", addrs: "no record"},
		{name: "referral", handler: answerWith(func(m *dns.Msg) { m.Ns = []dns.RR{rr("d. 60 IN NS ns.other.")} }), mx: "temporary", addrs: "temporary"},
		{name: "authoritative and empty with NS", handler: answerWith(func(m *dns.Msg) {
			m.Authoritative, m.Ns = true, []dns.RR{rr("d. 60 IN NS ns.other.")}
		}), mx: "no record", addrs: "no record"},
		{name: "bad EDNS version", handler: answerWith(func(m *dns.Msg) { m.SetEdns0(1232, false); m.Rcode = dns.RcodeBadVers }),
			mx: "temporary", addrs: "temporary"},
		{name: "no EDNS: asked without", zone: []string{"d. 60 MX 10 a.d.", "d. 60 A 192.0.2.1"}, handler: noEDNS, mx: "10:a.d", addrs: "192.0.2.1"},
		{name: "records of others", handler: answerWith(func(m *dns.Msg) {
			m.Answer = []dns.RR{rr("e. 60 IN MX 1 evil."), rr("e. 60 IN A 192.0.2.66"), rr("e. 60 IN AAAA 2001:db8::66")}
			m.Ns = []dns.RR{soa}
		}), mx: "no record", addrs: "no record"},
		{name: "records of another class", handler: answerWith(func(m *dns.Msg) {
			m.Answer = []dns.RR{rr("d. 60 CH MX 1 evil."), rr("d. 60 CH A 192.0.2.66")}
			m.Ns = []dns.RR{soa}
		}), mx: "no record", addrs: "no record"},
		{name: "aliases in a circle", handler: answerWith(func(m *dns.Msg) {
			m.Answer = []dns.RR{rr("d. 60 IN CNAME e."), rr("e. 60 IN CNAME d.")}
		}), mx: "temporary", addrs: "temporary"},
		{name: "endless aliases", handler: endless, mx: "temporary", addrs: "temporary"},
		{name: "too many records", handler: tcpOnly(func(m *dns.Msg) {
			for i := range 600 {
				m.Answer = append(m.Answer, rr(fmt.Sprintf("d. 60 IN MX %d m.", i)), rr(fmt.Sprintf("d. 60 IN A 192.0.2.%d", i%256)))
			}
		}), mx: "temporary", addrs: "temporary"},
		{name: "cut even over TCP", handler: answerWith(func(m *dns.Msg) { m.Truncated = true }), mx: "temporary", addrs: "temporary"},
		{name: "rubbish behind the header", handler: raw(func(b []byte) []byte { b[7] = 9; return b }), mx: "temporary", addrs: "temporary"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := resolvertest.Start(t, c.zone...)
			if c.handler != nil {
				s.Handle("d", "MX", c.handler(s))
				s.Handle("d", "A", c.handler(s))
				s.Handle("d", "AAAA", c.handler(s))
			}
			if c.name == "endless aliases" {
				for i := range 30 {
					s.Handle(strings.Repeat("x", i+1), "", endless(s))
				}
			}
			r := resolver.New(s.Config(), clock.Real())
			mxs, err := r.MX(context.Background(), "d")
			if got := show(mxs, nil, err); got != c.mx {
				t.Errorf("MX: got %s, want %s", got, c.mx)
			}
			addrs, err := r.Addresses(context.Background(), "d")
			if got := show(nil, addrs, err); got != c.addrs {
				t.Errorf("addresses: got %s, want %s", got, c.addrs)
			}
		})
	}
}

// TestForged has a server that sends answers to other questions first.
func TestForged(t *testing.T) {
	t.Parallel()
	s := resolvertest.Start(t, "d. 60 MX 10 a.d.")
	s.Handle("d", "MX", func(w dns.ResponseWriter, query *dns.Msg) {
		evil := func(change func(m *dns.Msg)) {
			m := new(dns.Msg).SetReply(query)
			m.Answer = []dns.RR{rr("d. 60 IN MX 1 evil.")}
			change(m)
			w.WriteMsg(m)
		}
		evil(func(m *dns.Msg) { m.Id++ })
		evil(func(m *dns.Msg) { m.Response = false })
		evil(func(m *dns.Msg) { m.Question[0].Name = "e." })
		evil(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA })
		evil(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS })
		evil(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) })
		evil(func(m *dns.Msg) { m.Question = nil })
		w.Write([]byte("short"))
		w.WriteMsg(s.Answer(w, query))
	})
	mxs, err := resolver.New(s.Config(), clock.Real()).MX(context.Background(), "d")
	if got := show(mxs, nil, err); got != "10:a.d" {
		t.Errorf("got %s", got)
	}
}

// TestServers: the next server answers for one that does not.
func TestServers(t *testing.T) {
	t.Parallel()
	good := resolvertest.Start(t, "d. 60 MX 10 a.d.")
	refusing := resolvertest.Start(t)
	refusing.Fail("d", "", dns.RcodeRefused)
	silent := resolvertest.Start(t)
	silent.Handle("d", "", func(dns.ResponseWriter, *dns.Msg) {})
	closed := closedPort(t)
	for _, first := range []netip.AddrPort{refusing.Addr, silent.Addr, closed} {
		r := resolver.New(resolver.Config{
			Servers:  []netip.AddrPort{first, good.Addr},
			Timeout:  3 * time.Second, // the good one may be slow, too
			Attempts: 1,
		}, clock.Real())
		mxs, err := r.MX(context.Background(), "d")
		if got := show(mxs, nil, err); got != "10:a.d" {
			t.Errorf("got %s", got)
		}
	}
	r := resolver.New(resolver.Config{Servers: []netip.AddrPort{closed, silent.Addr}, Timeout: 20 * time.Millisecond, Attempts: 3}, clock.Real())
	before := silent.Asked("d", "MX")
	if mxs, err := r.MX(context.Background(), "d"); show(mxs, nil, err) != "temporary" {
		t.Errorf("got %s", show(mxs, nil, err))
	}
	if n := silent.Asked("d", "MX") - before; n != 3 {
		t.Errorf("asked %d times", n)
	}
}

func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// TestNames: what can be no host name is never asked for.
func TestNames(t *testing.T) {
	t.Parallel()
	s := resolvertest.Start(t)
	r := resolver.New(s.Config(), clock.Real())
	for _, name := range []string{"", ".", "..", "a..b", ".a", "a b", "a\\.b", "a\nb", "a\x00b", "b\xfccher.example", "a@b",
		strings.Repeat("a", 64), strings.Repeat("a.", 128)} {
		if _, err := r.MX(context.Background(), name); !errors.Is(err, resolver.ErrNoName) {
			t.Errorf("%q: %v", name, err)
		}
		if n := s.Asked(name, "MX"); n != 0 {
			t.Errorf("%q was asked for", name)
		}
	}
}

// TestCache: TTLs bound what is kept; equal questions are asked once.
func TestCache(t *testing.T) {
	t.Parallel()
	s := resolvertest.Start(t, "d. 60 MX 10 a.d.", "zero. 0 MX 10 a.d.", "long. 999999 MX 10 a.d.",
		"alias. 10 CNAME long.", "neg. 60 TXT x")
	s.Fail("bad", "MX", dns.RcodeServerFailure)
	now := &testClock{now: time.Unix(1e9, 0)}
	r := resolver.New(s.Config(), now)
	ask := func() {
		for _, name := range []string{"d", "zero", "long", "alias", "neg", "none", "bad"} {
			r.MX(context.Background(), name)
		}
	}
	ask()
	if n := s.Asked("d", "MX"); n != 1 {
		t.Fatalf("asked %d times", n)
	}
	for _, c := range []struct {
		after time.Duration
		want  map[string]int
	}{
		{time.Second, map[string]int{"d": 1, "zero": 2, "long": 1, "alias": 1, "neg": 1, "none": 1, "bad": 1}},
		{10 * time.Second, map[string]int{"d": 1, "zero": 3, "long": 1, "alias": 2, "neg": 1, "none": 1, "bad": 2}},
		{30 * time.Second, map[string]int{"d": 1, "zero": 4, "long": 1, "alias": 3, "neg": 2, "none": 2, "bad": 3}},
		{60 * time.Second, map[string]int{"d": 2, "zero": 5, "long": 1, "alias": 4, "neg": 3, "none": 3, "bad": 4}},
		{time.Hour, map[string]int{"d": 3, "zero": 6, "long": 2, "alias": 5, "neg": 4, "none": 4, "bad": 5}},
	} {
		now.add(c.after)
		ask()
		for name, want := range c.want {
			if got := s.Asked(name, "MX"); got != want {
				t.Errorf("%v later: %s was asked for %d times, want %d", c.after, name, got, want)
			}
		}
	}
}

type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) At(time.Time) (<-chan time.Time, func()) { return nil, func() {} }

func (c *testClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// TestShared: lookups of one name at the same time share one query; one that
// is called off does not spoil it for the others.
func TestShared(t *testing.T) {
	t.Parallel()
	s := resolvertest.Start(t, "d. 60 MX 10 a.d.")
	arrived, proceed := make(chan struct{}, 10), make(chan struct{})
	s.Handle("d", "MX", func(w dns.ResponseWriter, query *dns.Msg) {
		arrived <- struct{}{}
		<-proceed
		w.WriteMsg(s.Answer(w, query))
	})
	r := resolver.New(s.Config(), clock.Real())
	first, cancel := context.WithCancel(context.Background())
	canceled := make(chan error)
	go func() {
		_, err := r.MX(first, "d")
		canceled <- err
	}()
	<-arrived
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if mxs, err := r.MX(context.Background(), "d"); show(mxs, nil, err) != "10:a.d" {
				t.Errorf("got %s", show(mxs, nil, err))
			}
		})
	}
	cancel()
	if err := <-canceled; !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
	close(proceed)
	all.Wait()
	if n := s.Asked("d", "MX"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestRandom: ids and ports do not repeat in a pattern (R52).
func TestRandom(t *testing.T) {
	t.Parallel()
	s := resolvertest.Start(t)
	var mu sync.Mutex
	ids, ports := map[uint16]int{}, map[int]int{}
	steps := map[int]int{}
	last := 0
	s.Handle("d", "", func(w dns.ResponseWriter, query *dns.Msg) {
		mu.Lock()
		defer mu.Unlock()
		ids[query.Id]++
		ports[w.RemoteAddr().(*net.UDPAddr).Port]++
		steps[int(query.Id)-last]++
		last = int(query.Id)
		w.WriteMsg(new(dns.Msg).SetRcode(query, dns.RcodeNameError))
	})
	r := resolver.New(s.Config(), clock.Real())
	for range 256 {
		r.MX(context.Background(), "d")
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ids) < 245 || len(ports) < 200 || len(steps) < 245 {
		t.Errorf("256 queries: %d ids, %d steps between them, %d ports", len(ids), len(steps), len(ports))
	}
}

func TestReadConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, servers string
		timeout       time.Duration
		attempts      int
	}{
		{"nameserver 192.0.2.1\nnameserver 2001:db8::1\n", "192.0.2.1:53 [2001:db8::1]:53", 5 * time.Second, 2},
		{"# nothing\n", "127.0.0.1:53", 5 * time.Second, 2},
		{"nameserver localhost\n; c\nnameserver fe80::1%eth0\n", "[fe80::1%eth0]:53", 5 * time.Second, 2},
		{"nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\noptions timeout:1 attempts:3 rotate\n",
			"10.0.0.1:53 10.0.0.2:53 10.0.0.3:53", time.Second, 3},
		{"options timeout:999 attempts:999\n", "127.0.0.1:53", 30 * time.Second, 5},
		{"options timeout:-1 attempts:x\n", "127.0.0.1:53", time.Second, 1},
	} {
		path := t.TempDir() + "/resolv.conf"
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := resolver.ReadConfig(path)
		var servers []string
		for _, s := range got.Servers {
			servers = append(servers, s.String())
		}
		if err != nil || strings.Join(servers, " ") != c.servers || got.Timeout != c.timeout || got.Attempts != c.attempts {
			t.Errorf("%q: %v %v", c.text, got, err)
		}
	}
	if got, err := resolver.ReadConfig("/nonexistent/resolv.conf"); err != nil || len(got.Servers) != 1 {
		t.Errorf("no file: %v %v", got, err)
	}
	if _, err := resolver.ReadConfig(t.TempDir()); err == nil {
		t.Error("a directory is read without an error")
	}
}
