package scenario

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// policyServer is the web server of domains with a policy.
type policyServer struct {
	host *testhost.Host
	zone *testhost.Zone
	cert string

	mu       sync.Mutex
	policies map[string]string // by the name of the web server
	fetches  map[string]int
	posts    map[string]string // what came as a report, by the name of the web server
	// onPost is called when a report begins to come.
	onPost func()
}

// newPolicyServer starts a web server for the domains, with a certificate for
// all of them.
func newPolicyServer(t *testing.T, net *testhost.Network, domains ...string) *policyServer {
	t.Helper()
	s := &policyServer{host: net.Host("web.example"), zone: net.Zone(), policies: make(map[string]string), fetches: make(map[string]int), posts: make(map[string]string)}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	for _, domain := range domains {
		template.DNSNames = append(template.DNSNames, "mta-sts."+domain)
		s.zone.Address("mta-sts."+domain, s.host.IP)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s.cert = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	server := &http.Server{
		Handler: s, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
	}
	go server.ServeTLS(s.host.Listen("tcp", ":443"), "", "")
	t.Cleanup(func() { server.Close() })
	return s
}

func (s *policyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && s.onPost != nil {
		s.onPost()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodPost && r.URL.Path == "/tls" && r.Header.Get("Content-Type") == "application/tlsrpt+gzip" {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			http.Error(w, "what?", http.StatusBadRequest)
			return
		}
		s.posts[r.Host] += string(body)
		return
	}
	s.fetches[r.Host]++
	text, found := s.policies[r.Host]
	if !found || r.URL.Path != "/.well-known/mta-sts.txt" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, text)
}

// publish gives a domain a policy, or none, and a record with the id, or none.
func (s *policyServer) publish(domain, id, mode, mx, age string) {
	s.mu.Lock()
	delete(s.policies, "mta-sts."+domain)
	if mode != "" {
		s.policies["mta-sts."+domain] = "version: STSv1\r\nmode: " + mode + "\r\nmx: " + mx + "\r\nmax_age: " + age + "\r\n"
	}
	s.mu.Unlock()
	s.zone.Remove("_mta-sts." + domain)
	if id != "" {
		s.zone.Add("_mta-sts." + domain + `. 1 TXT "v=STSv1; id=` + id + `;"`)
	}
}

// TestMTASTS has domains with policies that are met, and that are not, and
// somebody who would have them forgotten.
func TestMTASTS(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	zone := net.Zone()
	domains := []string{"good.example", "badmx.example", "badcert.example", "testing.example", "nopolicy.example", "short.example", "lost.example"}
	far := takesMail(t, net, "far.example", domains...)
	evil := takesMail(t, net, "evil.test", "good.example")
	web := newPolicyServer(t, net, domains...)
	h := mailHost(t, net, "mx1.example", "alice")
	h.WriteFile(trustedFile, far.GiveKey()+web.cert, 0o644)
	h.Control("mtasts", "1")
	for _, domain := range domains {
		zone.MX(domain, 10, "far.example")
	}
	zone.Address("mx.badcert.example", far.IP)
	for _, domain := range []string{"badcert.example", "testing.example"} {
		zone.Remove(domain)
		zone.MX(domain, 10, "mx.badcert.example")
	}
	web.publish("good.example", "1", "enforce", "*.example", "604800")
	web.publish("badmx.example", "1", "enforce", "mx.badmx.example", "604800")
	web.publish("badcert.example", "1", "enforce", "*.badcert.example", "604800")
	web.publish("testing.example", "1", "testing", "*.badcert.example", "604800")
	web.publish("lost.example", "1", "", "", "")
	web.publish("short.example", "1", "enforce", "mx.short.example", "5")
	evil.StartSuite()
	far.StartSuite()
	h.StartSuite()
	expectDelivery(t, h, "good.example", "_verify=mta-sts;/")
	expectDelivery(t, h, "badmx.example", "deferral: The_MTA-STS_policy_of_badmx.example_does_not_have_its_mail_exchanger_far.example.")
	expectDelivery(t, h, "badcert.example", "_but_its_certificate_is_not_what_MTA-STS_asks_for:_")
	expectDelivery(t, h, "testing.example", "_verify=none;/")
	expectDelivery(t, h, "nopolicy.example", "_verify=none;/")
	expectDelivery(t, h, "lost.example", "_verify=none;/")
	expectDelivery(t, h, "short.example", "deferral: The_MTA-STS_policy_of_short.example_")
	h.WaitForLog(0, `^qmail-mtasts: policy domain=good\.example id=1 mode=enforce max_age=604800$`)
	h.WaitForLog(0, `^qmail-mtasts: warning: policy of lost\.example: its web server answers 404$`)

	// Who takes the record and the policy away gets no mail, nor who has the DNS
	// name another exchanger, also not over a new start.
	for _, domain := range []string{"good.example", "badcert.example", "short.example"} {
		web.publish(domain, "", "", "", "")
	}
	zone.Remove("good.example")
	zone.MX("good.example", 10, "evil.test")
	h.StopSuite()
	h.StartSuite()
	expectDelivery(t, h, "good.example", "deferral: The_MTA-STS_policy_of_good.example_does_not_have_its_mail_exchanger_evil.test.")
	expectDelivery(t, h, "badcert.example", "_but_its_certificate_is_not_what_MTA-STS_asks_for:_")
	// A policy that is too old does not count.
	for begun := time.Now(); ; {
		first := h.Log().Len()
		sendmail(h, "alice", []string{"bob@short.example"}, letter("bob", "short"))
		if line := h.WaitForLog(first, `^delivery \d+: (success|deferral): .*$`)[0]; strings.Contains(line, "_verify=none;/") {
			break
		}
		if time.Since(begun) > soon {
			t.Fatalf("the policy stays\n%s", h.Log().Timed(0))
		}
	}
	evil.StopSuite()
	far.StopSuite()
	h.StopSuite()
}

// TestNoMailWithoutMTASTS: while qmail-mtasts cannot say, mail waits, but not
// mail that has nothing to do with it.
func TestNoMailWithoutMTASTS(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	far := takesMail(t, net, "far.example", "d.example", "routed.example")
	net.Zone().MX("d.example", 10, "far.example")
	h := mailHost(t, net, "mx1.example", "alice")
	h.Control("smtproutes", "routed.example:far.example")
	far.StartSuite()
	h.StartSuite()
	if found := h.Find("qmail-mtasts"); len(found) > 0 {
		t.Error("qmail-mtasts runs")
	}
	expectDelivery(t, h, "d.example", "success: ")
	h.Control("mtasts", "1") // without a new start of qmail-start
	expectDelivery(t, h, "d.example", "deferral: The_MTA-STS_policy_of_d.example_is_not_known_now:_qmail-mtasts:_it_does_not_run.")
	expectDelivery(t, h, "routed.example", "success: ")
	h.StopSuite()
	h.StartSuite()
	expectDelivery(t, h, "d.example", "success: ")
	first := h.Log().Len()
	h.Kill("qmail-mtasts", syscall.SIGKILL)
	h.WaitForLog(first, `^qmail-start: qmail-mtasts started`)
	expectDelivery(t, h, "d.example", "success: ")
	h.StopSuite()
	far.StopSuite()
}
