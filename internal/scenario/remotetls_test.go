package scenario

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// trustedFile is where a host has the authorities that it trusts.
const trustedFile = "/etc/ssl/certs/ca-certificates.crt"

// keyHash is what a TLSA record 3 1 1 says of a certificate.
func keyHash(t *testing.T, certificate string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(certificate))
	if block == nil {
		t.Fatal("no certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(cert.RawSubjectPublicKeyInfo))
}

// takesMail starts the suite on a host that takes mail for bob at the domains.
func takesMail(t *testing.T, net *testhost.Network, name string, domains ...string) *testhost.Host {
	t.Helper()
	far := mailHost(t, net, name, "bob")
	far.Control("locals", append(domains, name)...)
	far.Control("rcpthosts", append(domains, name)...)
	return far
}

// expectDelivery sends a message to bob at a domain and waits for what becomes
// of it, the words of the line about the delivery.
func expectDelivery(t *testing.T, h *testhost.Host, domain, want string) {
	t.Helper()
	first := h.Log().Len()
	sendmail(h, "alice", []string{"bob@" + domain}, letter("bob", domain))
	number := h.WaitForLog(first, `^starting delivery (\d+): msg \d+ to remote bob@`+domain+`$`)[1]
	got := h.WaitForLog(first, `^delivery `+number+`: (.*)$`)[1]
	if !strings.Contains(got, want) {
		t.Errorf("%s: %s\nwant %s\nlog:\n%s", domain, got, want, h.Log().Timed(0))
	}
}

const tls13 = `STARTTLS_proto=TLSv1.3;_cipher=TLS_`

// TestDANE has mail for domains whose DNS is signed, by a resolver that
// verifies, and certificates as TLSA records have them, and others.
func TestDANE(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	zone := net.Zone()
	zone.Sign("open.example")
	domains := []string{"good.example", "bad.example", "lost.example", "none.example", "open.example", "useless.example"}
	far := takesMail(t, net, "far.example", domains...)
	hash := keyHash(t, far.GiveKey())
	plain := takesMail(t, net, "plain.example", "down.example")
	for _, domain := range domains {
		zone.MX(domain, 10, "mx."+domain)
		zone.Address("mx."+domain, far.IP)
	}
	zone.MX("down.example", 10, "plain.example")
	zone.Add("_25._tcp.mx.good.example. TLSA 3 1 1 "+hash, "_25._tcp.mx.bad.example. TLSA 3 1 1 "+strings.Repeat("00", 32),
		"_25._tcp.mx.open.example. TLSA 3 1 1 "+strings.Repeat("00", 32), "_25._tcp.plain.example. TLSA 3 1 1 "+hash,
		"_25._tcp.mx.useless.example. TLSA 1 1 1 "+hash)
	zone.Fail("_25._tcp.mx.lost.example")
	h := mailHost(t, net, "mx1.example", "alice")
	h.StartResolver()
	h.Control("tlspolicy", ":dane")
	for _, host := range []*testhost.Host{far, plain, h} {
		host.StartSuite()
	}
	expectDelivery(t, h, "good.example", "_verify=dane;/")
	expectDelivery(t, h, "bad.example", "deferral: Connected_to_"+far.IP.String()+"_but_its_certificate_is_not_what_DANE_asks_for:_no_TLSA_record_matches")
	expectDelivery(t, h, "down.example", "_but_it_offers_no_TLS,_for_which_DANE_asks.")
	expectDelivery(t, h, "lost.example", "deferral: It_cannot_be_looked_up_now_whether_mx.lost.example_has_TLSA_records.")
	expectDelivery(t, h, "none.example", tls13)
	expectDelivery(t, h, "open.example", "_verify=none;/")
	expectDelivery(t, h, "useless.example", "_verify=none;/")
	// Without a resolver that is believed nothing is authentic.
	h.WriteFile("/etc/resolv.conf", "nameserver 10.77.0.1\n", 0o644)
	expectDelivery(t, h, "bad.example", "_verify=none;/")
	for _, host := range []*testhost.Host{h, far, plain} {
		host.StopSuite()
	}
}

// TestHostsThatHadTLS: what was learned from one connection counts for the next
// ones, over a new start.
func TestHostsThatHadTLS(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	far := takesMail(t, net, "far.example")
	far.GiveKey()
	h := mailHost(t, net, "mx1.example", "alice")
	h.Control("tlsremember", "30")
	far.StartSuite()
	h.StartSuite()
	expectDelivery(t, h, "far.example", tls13)
	h.StopSuite()
	far.StopSuite()
	far.Must("rm", testhost.CertFile)
	far.StartSuite()
	h.StartSuite()
	expectDelivery(t, h, "far.example", "_but_it_has_no_TLS_any_more,_which_far.example_had_on_")
	h.Control("tlspolicy", "far.example:none")
	expectDelivery(t, h, "far.example", "success: ")
	h.StopSuite()
	far.StopSuite()
}

// TestClientCertificate: a host that asks gets the certificate in
// control/clientcert.pem, signed for by a process that has no other key.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	far := takesMail(t, net, "far.example")
	far.GiveKey()
	h := mailHost(t, net, "mx1.example", "alice")
	h.GiveKey()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := h.WriteKey("/var/qmail/control/clientcert.pem", key)
	block, _ := pem.Decode([]byte(cert))
	print := fmt.Sprintf("%x", sha256.Sum256(block.Bytes))
	// Mail for others is taken from whom the certificate names, and nobody else.
	far.Control("tlsclients", print)
	h.Control("smtproutes", ":far.example")
	h.Control("tlspolicy", ":encrypt")
	far.StartSuite()
	h.StartSuite()
	if found := h.Find("qmail-tlskey"); len(found) != 2 {
		t.Errorf("%d qmail-tlskey run", len(found))
	}
	h.WaitForLog(0, `^qmail-tlskey: control/clientcert.pem: a key of ECDSA, valid until `)
	expectDelivery(t, h, "elsewhere.example", "success: ")
	far.WaitForLog(0, `^qmail-smtpd: .* cert=`+print)
	h.StopSuite()
	h.Must("rm", "/var/qmail/control/clientcert.pem")
	h.StartSuite()
	expectDelivery(t, h, "elsewhere.example", "failure: ")
	h.StopSuite()
	far.StopSuite()
}
