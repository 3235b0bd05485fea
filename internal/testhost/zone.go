package testhost

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Zone is the network's DNS server: authoritative for every name there is.
// Names it was not told about do not exist. A test changes it at any time.
type Zone struct {
	t       testing.TB
	servers []*dns.Server

	mu      sync.Mutex
	records map[string][]dns.RR // by lower-case name with final dot
	faults  map[string]zoneFault
	queries []Query
	signer  *signer // nil: the zone is not signed
}

// Query is a question that the zone was asked.
type Query struct {
	Name string // lower case, with final dot
	Type string // "MX", "A" ...
	Net  string // "udp" or "tcp"
}

// zoneFault is a way to answer a name other than with its records.
type zoneFault struct {
	rcode    int
	silent   bool
	truncate bool
	delay    time.Duration
}

func newZone(n *Network) (*Zone, error) {
	z := &Zone{t: n.t, records: make(map[string][]dns.RR), faults: make(map[string]zoneFault)}
	z.Add(". 60 SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 60")
	address := prefix4 + "1:53"
	packets, err := listenPacketIn(n.ns, "udp4", address)
	if err != nil {
		return nil, fmt.Errorf("DNS server: %w", err)
	}
	stream, err := n.listen("tcp4", address)
	if err != nil {
		packets.Close()
		return nil, fmt.Errorf("DNS server: %w", err)
	}
	for _, server := range []*dns.Server{
		{PacketConn: packets, Handler: z.handler("udp")},
		{Listener: stream, Handler: z.handler("tcp")},
	} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() {
			// It ends with an error when the socket is closed.
			_ = server.ActivateAndServe()
		}()
		<-started
		z.servers = append(z.servers, server)
	}
	return z, nil
}

func (z *Zone) close() {
	for _, server := range z.servers {
		// The sockets are gone afterwards in any case.
		_ = server.Shutdown()
	}
}

// Add adds records in the text form of zone files, one each; names are
// absolute, a missing time to live is short.
func (z *Zone) Add(records ...string) {
	z.t.Helper()
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, text := range records {
		rr, err := dns.NewRR("$TTL 60\n$ORIGIN .\n" + text)
		if err != nil || rr == nil {
			z.t.Fatalf("zone: record %q: %v", text, err)
		}
		name := dns.CanonicalName(rr.Header().Name)
		z.records[name] = append(z.records[name], rr)
	}
}

// Address adds an A or AAAA record and the name of the address.
func (z *Zone) Address(name string, ip netip.Addr) {
	z.t.Helper()
	kind := "A"
	if ip.Is6() {
		kind = "AAAA"
	}
	reverse, err := dns.ReverseAddr(ip.String())
	if err != nil {
		z.t.Fatal(err)
	}
	z.Add(fmt.Sprintf("%s. %s %s", name, kind, ip), fmt.Sprintf("%s PTR %s.", reverse, name))
}

// MX adds a mail exchanger.
func (z *Zone) MX(domain string, preference int, host string) {
	z.t.Helper()
	z.Add(fmt.Sprintf("%s. MX %d %s.", domain, preference, host))
}

// Remove removes every record and fault of a name: it does not exist any more.
func (z *Zone) Remove(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.records, dns.CanonicalName(name))
	delete(z.faults, dns.CanonicalName(name))
}

// Fail answers every question for the name with SERVFAIL.
func (z *Zone) Fail(name string) { z.fault(name, zoneFault{rcode: dns.RcodeServerFailure}) }

// Refuse answers every question for the name with REFUSED.
func (z *Zone) Refuse(name string) { z.fault(name, zoneFault{rcode: dns.RcodeRefused}) }

// Silence leaves every question for the name without an answer.
func (z *Zone) Silence(name string) { z.fault(name, zoneFault{silent: true}) }

// Delay answers questions for the name late.
func (z *Zone) Delay(name string, d time.Duration) { z.fault(name, zoneFault{delay: d}) }

// Truncate answers questions for the name over UDP with an empty, truncated
// message, so that only TCP tells.
func (z *Zone) Truncate(name string) { z.fault(name, zoneFault{truncate: true}) }

// Heal undoes the faults of a name.
func (z *Zone) Heal(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.faults, dns.CanonicalName(name))
}

func (z *Zone) fault(name string, f zoneFault) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.faults[dns.CanonicalName(name)] = f
}

// Queries returns what was asked so far.
func (z *Zone) Queries() []Query {
	z.mu.Lock()
	defer z.mu.Unlock()
	return append([]Query(nil), z.queries...)
}

func (z *Zone) handler(network string) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		reply := new(dns.Msg).SetReply(q)
		reply.Authoritative = true
		if len(q.Question) != 1 {
			reply.Rcode = dns.RcodeFormatError
			_ = w.WriteMsg(reply)
			return
		}
		fault := z.answer(network, q.Question[0], reply)
		if opt := q.IsEdns0(); opt != nil {
			if opt.Do() {
				z.sign(q.Question[0], reply)
			}
			reply.SetEdns0(dns.DefaultMsgSize, opt.Do())
		}
		if fault.silent {
			return
		}
		if fault.delay > 0 {
			time.Sleep(fault.delay) // the fault itself, no wait for an event
		}
		if network == "udp" {
			size := dns.MinMsgSize
			if opt := q.IsEdns0(); opt != nil {
				size = int(opt.UDPSize())
			}
			reply.Truncate(size)
		}
		// A client that went away does not want the answer.
		_ = w.WriteMsg(reply)
	}
}

// answer fills the reply from the records, following CNAMEs.
func (z *Zone) answer(network string, question dns.Question, reply *dns.Msg) zoneFault {
	z.mu.Lock()
	defer z.mu.Unlock()
	name := dns.CanonicalName(question.Name)
	z.queries = append(z.queries, Query{Name: name, Type: dns.TypeToString[question.Qtype], Net: network})
	fault := z.faults[name]
	if fault.rcode != dns.RcodeSuccess {
		reply.Rcode = fault.rcode
		return fault
	}
	if fault.truncate && network == "udp" {
		reply.Truncated = true
		return fault
	}
	exists := false
	for range 8 { // longer chains are a fault that resolvers refuse too
		exists = z.exists(name)
		next := ""
		for _, rr := range z.records[name] {
			if rr.Header().Rrtype == question.Qtype || question.Qtype == dns.TypeANY {
				reply.Answer = append(reply.Answer, rr)
			} else if alias, ok := rr.(*dns.CNAME); ok {
				reply.Answer = append(reply.Answer, rr)
				next = dns.CanonicalName(alias.Target)
			}
		}
		if next == "" {
			break
		}
		name = next
	}
	if !exists {
		reply.Rcode = dns.RcodeNameError
	}
	if len(reply.Answer) == 0 {
		reply.Ns = append(reply.Ns, z.records["."][0])
	}
	return fault
}

// exists reports whether a name has records or stands above one that has.
func (z *Zone) exists(name string) bool {
	if name == "." || len(z.records[name]) > 0 {
		return true
	}
	for other := range z.records {
		if strings.HasSuffix(other, "."+name) {
			return true
		}
	}
	return false
}
