// Package resolvertest is a scripted name server for tests: it answers from
// zone lines, and where a test says so, wrongly or not at all.
//
// Only tests import it. It listens on a loopback port of its own, UDP and TCP.
package resolvertest

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"postrider/internal/resolver"
)

// Handler answers one query in place of the zone.
type Handler func(w dns.ResponseWriter, query *dns.Msg)

// Server is a running name server.
type Server struct {
	Addr netip.AddrPort

	mu       sync.Mutex
	records  []dns.RR
	handlers map[string]Handler
	asked    map[string]int
	signed   []string
}

// Start starts a server that ends with the test. Each line is a record in the
// form of a zone file.
func Start(t testing.TB, zone ...string) *Server {
	t.Helper()
	s := &Server{handlers: map[string]Handler{}, asked: map[string]int{}}
	udp, tcp := listen(t)
	s.Addr = udp.LocalAddr().(*net.UDPAddr).AddrPort()
	for _, server := range []*dns.Server{{PacketConn: udp, Handler: s}, {Listener: tcp, Handler: s}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go server.ActivateAndServe()
		<-started
		t.Cleanup(func() { server.Shutdown() })
	}
	s.Add(t, zone...)
	return s
}

// listen finds a port that is free for UDP and TCP.
func listen(t testing.TB) (*net.UDPConn, net.Listener) {
	t.Helper()
	for {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := tcp.Addr().(*net.TCPAddr)
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: at.IP, Port: at.Port})
		if err == nil {
			return udp, tcp
		}
		tcp.Close()
	}
}

// Add adds records.
func (s *Server) Add(t testing.TB, zone ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range zone {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		s.records = append(s.records, rr)
	}
}

// Config is a configuration that asks this server.
func (s *Server) Config() resolver.Config {
	return resolver.Config{Servers: []netip.AddrPort{s.Addr}, Timeout: 5 * time.Second, Attempts: 1}
}

// Sign makes answers about these zones authentic for who asks for that.
func (s *Server) Sign(zones ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signed = append(s.signed, zones...)
}

// isSigned reports whether a name is in a signed zone; the lock is held.
func (s *Server) isSigned(name string) bool {
	for _, zone := range s.signed {
		if dns.IsSubDomain(dns.Fqdn(zone), name) {
			return true
		}
	}
	return false
}

// Handle lets h answer queries for name and type ("MX"). An empty type means
// all types.
func (s *Server) Handle(name, qtype string, h Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[key(name, qtype)] = h
}

// Fail answers queries with a response code.
func (s *Server) Fail(name, qtype string, rcode int) {
	s.Handle(name, qtype, func(w dns.ResponseWriter, query *dns.Msg) {
		w.WriteMsg(new(dns.Msg).SetRcode(query, rcode))
	})
}

// Asked tells how often name and type were asked for.
func (s *Server) Asked(name, qtype string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[key(name, qtype)]
}

func key(name, qtype string) string { return strings.ToLower(dns.Fqdn(name)) + " " + qtype }

// ServeDNS implements dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	q := query.Question[0]
	qtype := dns.TypeToString[q.Qtype]
	s.mu.Lock()
	s.asked[key(q.Name, qtype)]++
	h := s.handlers[key(q.Name, qtype)]
	if h == nil {
		h = s.handlers[key(q.Name, "")]
	}
	s.mu.Unlock()
	if h != nil {
		h(w, query)
		return
	}
	w.WriteMsg(s.Answer(w, query))
}

// Answer is what the zone says, cut as the transport demands.
func (s *Server) Answer(w dns.ResponseWriter, query *dns.Msg) *dns.Msg {
	q := query.Question[0]
	m := new(dns.Msg).SetReply(query)
	m.RecursionAvailable = true
	s.mu.Lock()
	defer s.mu.Unlock()
	name, exists := q.Name, false
	m.AuthenticatedData = query.AuthenticatedData
	for range 8 {
		next := ""
		m.AuthenticatedData = m.AuthenticatedData && s.isSigned(strings.ToLower(name))
		for _, rr := range s.records {
			h := rr.Header()
			if !strings.EqualFold(h.Name, name) {
				continue
			}
			exists = true
			cname, alias := rr.(*dns.CNAME)
			if h.Rrtype == q.Qtype || alias {
				m.Answer = append(m.Answer, rr)
			}
			if alias && q.Qtype != dns.TypeCNAME {
				next = cname.Target
			}
		}
		if next == "" {
			break
		}
		name, exists = next, false
	}
	if !exists {
		m.Rcode = dns.RcodeNameError
	}
	if n := len(m.Answer); n == 0 || m.Answer[n-1].Header().Rrtype != q.Qtype {
		soa, _ := dns.NewRR(". 30 IN SOA ns. hostmaster. 1 2 3 4 30")
		m.Ns = append(m.Ns, soa)
	}
	size := dns.MaxMsgSize
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		size = dns.MinMsgSize
		if opt := query.IsEdns0(); opt != nil {
			size = int(opt.UDPSize())
			m.SetEdns0(4096, false)
		}
	}
	m.Truncate(size)
	return m
}
