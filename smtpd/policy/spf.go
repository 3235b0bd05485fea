package policy

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"

	"blitiri.com.ar/go/spf"

	"postrider/internal/idn"
	"postrider/internal/resolver"
	wire "postrider/internal/wire/policy"
)

// senderTime is how long SPF may take in all, the least that RFC 7208 section
// 4.6.4 allows for. The library counts the lookups, as that section says.
const senderTime = 20 * time.Second

// Sender checks whether a client may send for a sender; for the null sender
// that is whoever the client says to be (RFC 7208 section 2.4).
func (s *server) Sender(client netip.Addr, helo, sender string) (wire.Result, error) {
	dns, err := s.domains()
	if err != nil {
		return wire.TempError, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), senderTime)
	defer cancel()
	return checkSender(ctx, dns, client, helo, sender), nil
}

func checkSender(ctx context.Context, dns lookups, client netip.Addr, helo, sender string) wire.Result {
	at := strings.LastIndexByte(sender, '@')
	local, domain := "postmaster", helo
	if sender != "" {
		local, domain = sender[:max(at, 0)], sender[at+1:]
	}
	domain, err := idn.ASCII(strings.TrimSuffix(domain, "."))
	if err != nil || !strings.Contains(domain, ".") || strings.ContainsAny(domain, "@[] ") {
		return wire.None // RFC 7208 section 4.3
	}
	if local == "" {
		local = "postmaster"
	}
	// The library takes an address apart at its first at sign.
	local = strings.ReplaceAll(local, "@", "_")
	result, _ := spf.CheckHostWithSender(client.AsSlice(), helo, local+"@"+domain,
		spf.WithContext(ctx), spf.WithResolver(spfNames{dns, client})) // the error says why, also of a pass
	return results[result]
}

// results has TempError for what the library may invent.
var results = map[spf.Result]wire.Result{
	spf.None: wire.None, spf.Neutral: wire.Neutral, spf.Pass: wire.Pass, spf.Fail: wire.Fail,
	spf.SoftFail: wire.SoftFail, spf.TempError: wire.TempError, spf.PermError: wire.PermError,
}

// spfNames is the DNS as the library wants it.
type spfNames struct {
	dns    lookups
	client netip.Addr
}

// dnsError tells the library what is final and what is not.
func dnsError(name string, err error) error {
	if err == nil {
		return nil
	}
	final := resolver.IsAnswer(err)
	return &net.DNSError{Err: err.Error(), Name: name, IsNotFound: final, IsTemporary: !final}
}

func (n spfNames) LookupTXT(ctx context.Context, name string) ([]string, error) {
	texts, err := n.dns.TXT(ctx, name)
	return texts, dnsError(name, err)
}

func (n spfNames) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	found, err := n.dns.MX(ctx, name)
	var list []*net.MX
	for _, mx := range found {
		list = append(list, &net.MX{Host: mx.Host, Pref: mx.Pref})
	}
	return list, dnsError(name, err)
}

// LookupIPAddr leaves the addresses out that could not be the client's.
func (n spfNames) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	find := n.dns.Addresses
	if n.client.Is4() {
		find = n.dns.IPv4
	}
	addrs, err := find(ctx, host)
	var list []net.IPAddr
	for _, a := range addrs {
		list = append(list, net.IPAddr{IP: a.AsSlice()})
	}
	return list, dnsError(host, err)
}

func (n spfNames) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	names, err := n.dns.Names(ctx, n.client)
	var list []string
	for _, name := range names {
		list = append(list, name+".")
	}
	return list, dnsError(addr, err)
}
