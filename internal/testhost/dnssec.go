package testhost

import (
	"crypto"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// signer signs what a zone says as it says it. That a name does not exist is
// said as "it has no record of that type" (the smallest NSEC record there is).
type signer struct {
	key     *dns.DNSKEY
	private crypto.Signer
	without []string // names with all below them whose answers have no signature
}

// Sign has all answers signed, but for those about the given domains, which
// look like zones whose owner does not sign. It is called once.
func (z *Zone) Sign(without ...string) {
	z.t.Helper()
	key := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: ".", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 60},
		Flags: dns.ZONE | dns.SEP, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}
	private, err := key.Generate(256)
	if err != nil {
		z.t.Fatal(err)
	}
	s := &signer{key: key, private: private.(crypto.Signer)}
	for _, name := range without {
		s.without = append(s.without, dns.CanonicalName(name))
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.signer = s
	z.records["."] = append(z.records["."], key)
}

// StartResolver starts Unbound on a host, which verifies what the zone has
// signed, and has the host ask it and nobody else.
func (h *Host) StartResolver() {
	h.t.Helper()
	z := h.net.zone
	z.mu.Lock()
	ds := z.signer.key.ToDS(dns.SHA256)
	z.mu.Unlock()
	h.WriteFile("/etc/unbound.test", fmt.Sprintf(unboundConfig, ds, prefix4+"1"), 0o644)
	h.WriteFile("/etc/resolv.conf", "nameserver 127.0.0.1\n", 0o644)
	if _, err := h.Start(Command{Argv: []string{"unbound", "-d", "-c", "/etc/unbound.test"}}); err != nil {
		h.t.Fatal(err)
	}
	for ctx := Within(h.t, patience); ; {
		// An answer that it is in trouble is one too, which dig calls a success:
		// what it has verified it has got from the zone.
		result, err := h.Run(ctx, Command{Argv: []string{"dig", "+tries=1", "+time=1", "+adflag", "SOA", "."}})
		if err == nil && result.Code == 0 && verified.MatchString(result.Stdout) {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			h.t.Fatalf("Unbound verifies nothing: %v, %v\n%s", result, err, result.Stdout)
		}
	}
}

// verified is what dig says of an answer that was proved.
var verified = regexp.MustCompile(`status: NOERROR(?s:.*)flags:[a-z ]* ad[ ;]`)

// On a busy machine an answer may come too late: that is forgotten at once.
const unboundConfig = `server:
  interface: 127.0.0.1
  do-ip6: no
  chroot: ""
  username: ""
  directory: "/tmp"
  pidfile: ""
  use-syslog: no
  do-not-query-localhost: no
  trust-anchor: "%s"
  num-threads: 1
  cache-max-ttl: 1
  cache-max-negative-ttl: 1
  val-bogus-ttl: 1
  infra-host-ttl: 1
  infra-keep-probing: yes
forward-zone:
  name: "."
  forward-addr: %s
`

// sign adds the signatures to a reply, and the proof that there is nothing.
func (z *Zone) sign(question dns.Question, reply *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	s := z.signer
	if s == nil || reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError {
		return
	}
	name := dns.CanonicalName(question.Name)
	found := false
	for _, rr := range reply.Answer {
		found = found || rr.Header().Rrtype == question.Qtype
		if alias, ok := rr.(*dns.CNAME); ok {
			name = dns.CanonicalName(alias.Target)
		}
	}
	reply.Answer = s.signed(z.t.Errorf, reply.Answer)
	if found || s.isWithout(name) && !(question.Qtype == dns.TypeDS && slices.Contains(s.without, name)) {
		return
	}
	reply.Rcode = dns.RcodeSuccess
	nsec := &dns.NSEC{
		Hdr:        dns.RR_Header{Name: name, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 60},
		NextDomain: `\000.` + name, TypeBitMap: []uint16{dns.TypeRRSIG, dns.TypeNSEC},
	}
	if name == "." {
		nsec.NextDomain = `\000.`
	}
	if slices.Contains(s.without, name) {
		nsec.TypeBitMap = append(nsec.TypeBitMap, dns.TypeNS)
	}
	for _, rr := range z.records[name] {
		nsec.TypeBitMap = append(nsec.TypeBitMap, rr.Header().Rrtype)
	}
	slices.Sort(nsec.TypeBitMap)
	nsec.TypeBitMap = slices.Compact(nsec.TypeBitMap)
	reply.Ns = s.signed(z.t.Errorf, []dns.RR{z.records["."][0], nsec})
}

func (s *signer) isWithout(name string) bool {
	return slices.ContainsFunc(s.without, func(zone string) bool { return dns.IsSubDomain(zone, name) })
}

// signed returns records with the signature of each set behind it.
func (s *signer) signed(fail func(string, ...any), records []dns.RR) (all []dns.RR) {
	type set struct {
		name string
		kind uint16
	}
	sets := make(map[set][]dns.RR)
	var order []set
	for _, rr := range records {
		key := set{dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype}
		if sets[key] == nil {
			order = append(order, key)
		}
		sets[key] = append(sets[key], rr)
	}
	now := time.Now()
	for _, key := range order {
		all = append(all, sets[key]...)
		if s.isWithout(key.name) && key.kind != dns.TypeNSEC {
			continue
		}
		sig := &dns.RRSIG{
			Hdr:       dns.RR_Header{Ttl: 60},
			Algorithm: s.key.Algorithm, KeyTag: s.key.KeyTag(), SignerName: ".",
			Inception: uint32(now.Add(-24 * time.Hour).Unix()), Expiration: uint32(now.Add(24 * time.Hour).Unix()),
		}
		if err := sig.Sign(s.private, sets[key]); err != nil {
			fail("zone: signature of %s: %v", key.name, err)
			continue
		}
		all = append(all, sig)
	}
	return all
}
