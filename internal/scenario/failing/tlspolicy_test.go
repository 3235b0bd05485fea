//go:build linux && amd64

package failing

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"math/big"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postrider/internal/faultcall"
	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

// What TestTLSPolicies sends to. Below open each domain has a host of its own,
// which speaks TLS. Those below guarded lead to one that does not, and each must
// not get mail for that: one has a new policy by MTA-STS every time, one had a
// policy that only qmail-mtasts still knows, one leads to a host that had TLS.
const (
	open    = "open.example"
	guarded = "guarded.example"
	kept    = "kept." + guarded
	seen    = "seen." + guarded
)

// policyRig is a rig with the domains, the web server that has their policies and
// takes reports, and the hosts behind them.
type policyRig struct {
	*rig
	far    *testhost.Host
	web    *webServer
	lifted atomic.Bool // mail for guarded may go
}

// helpers are the daemons that qmail-remote asks and tells about TLS, and the one
// that sends reports to web servers for them.
var helpers = []string{"qmail-mtasts", "qmail-tlsseen", "qmail-tlsrpt", "qmail-tlspost"}

// TestTLSPolicies lets calls of the helpers, and of qmail-remote, fail while mail
// goes to domains that ask for TLS: none is delivered in the clear for that, and
// none is refused or lost. What they keep on disk is read again when they start,
// and that fails, too; and so do the reports that are due then.
func TestTLSPolicies(t *testing.T) {
	r := newPolicyRig(t)
	r.learn()
	for program, share := range map[string]int{"qmail-mtasts": 8, "qmail-tlsseen": 8, "qmail-tlsrpt": 12, "qmail-remote": 24} {
		r.run(sweep{
			name: "policies", program: program, classes: servicePath, share: share, most: 5,
			do: r.underPolicies, rest: r.lift,
		})
	}
	r.host.StopSuite()
	for _, program := range helpers {
		r.run(sweep{
			name: "new start", program: program, classes: diskPath, share: 8, most: 3,
			do: r.fromTheStart, rest: r.startAndLift,
		})
	}
	r.run(sweep{
		name: "reports", program: "qmail-tlspost", classes: []faultcall.Class{faultcall.Socket, faultcall.Send, faultcall.Receive, faultcall.Read},
		share: 4, most: 4, do: r.fromTheStart, rest: r.startAndLift,
	})
	r.injected.log(t)
	r.start()
	r.lift()
	r.judge()
	r.report()
}

// diskPath are the calls by which the helpers keep something.
var diskPath = []faultcall.Class{
	faultcall.Open, faultcall.Read, faultcall.Write, faultcall.Sync, faultcall.Rename, faultcall.Unlink, faultcall.List, faultcall.Close,
}

func newPolicyRig(t *testing.T) *policyRig {
	t.Helper()
	r := &policyRig{rig: newRig(t)}
	h, zone := r.host, r.net.Zone()
	r.far = r.net.Host("far.example")
	r.far.Install()
	r.far.AddUsers("bob")
	r.far.Control("rcpthosts", "."+open)
	r.far.Control("virtualdomains", "."+open+":bob")
	r.far.WriteFile("/home/bob/.qmail-default", "./Maildir/\n", 0o644)
	r.far.Chown("/home/bob/.qmail-default", "bob")
	trusted := r.far.GiveKey()
	plain := r.net.Host("plain.example")
	r.next = plain.Sink(":25", func(verb, argument string) string {
		if verb == "RCPT" && strings.Contains(argument, guarded) && !r.lifted.Load() {
			r.web.note("mail for a domain that asks for TLS comes in the clear: " + argument)
		}
		return testhost.Default
	})
	zone.Address("once.example", plain.IP)
	zone.MX(kept, 10, "plain.example")
	zone.MX(seen, 10, "once.example")
	r.web = newWebServer(t, r.net)
	h.WriteFile("/etc/ssl/certs/ca-certificates.crt", trusted+r.web.authority, 0o644)
	h.Control("rcpthosts", domain, "."+open, "."+guarded)
	h.Control("mtasts", "1")
	h.Control("tlsremember", "30")
	h.Control("tlsrpt", "tls@"+domain)
	h.InstallMovedClock()
	r.clock = time.Second
	r.far.StartSuite()
	return r
}

// learn has the helpers learn what they must not forget.
func (r *policyRig) learn() {
	r.t.Helper()
	r.web.publish(r.net.Zone(), kept)
	r.host.WriteFile("/var/qmail/tlsseen/hosts", fmt.Sprintf("%d once.example\n", time.Now().Unix()/(24*60*60)), 0o600)
	r.host.Must("chown", "--reference=/var/qmail/tlsseen", "/var/qmail/tlsseen/hosts")
	r.start()
	r.mail(noFault)
	if got := r.host.ReadFile("/var/qmail/mtasts/" + kept); !strings.Contains(got, "mode: enforce") {
		r.t.Fatalf("the policy is not kept: %q", got)
	}
	r.net.Zone().Remove("_mta-sts." + kept)
	r.web.withdraw(kept)
	r.lift()
}

// mail sends a message to all kinds of domains, and looks at what becomes of it.
func (r *policyRig) mail(o faultcall.Order) {
	r.t.Helper()
	n := r.sent + 1
	fresh, there := fmt.Sprintf("p%d.%s", n, guarded), fmt.Sprintf("o%d.%s", n, open)
	zone := r.net.Zone()
	zone.Address("mx."+there, r.far.IP)
	zone.MX(there, 10, "mx."+there)
	zone.MX(fresh, 10, "plain.example")
	r.web.publish(zone, fresh)
	var to []string
	for _, d := range []string{there, fresh, kept, seen} {
		to = append(to, fmt.Sprintf("m%d@%s", n, d))
	}
	first := r.host.Log().Len()
	if r.bySMTP(o, 600, to...) != taken {
		r.wrong("%s: not taken", describe(o))
		return
	}
	for i, address := range to {
		switch got := r.resultOf(first, address); {
		case i > 0 && got != "deferral":
			r.wrong("%s: %s: %q, not deferral", describe(o), address, got)
		case got == "failure":
			r.wrong("%s: %s: failure", describe(o), address)
		}
	}
}

// resultOf waits until a delivery to an address has ended.
func (r *policyRig) resultOf(first int, address string) string {
	r.t.Helper()
	ctx := testhost.Within(r.t, 2*patient)
	match, next, err := r.host.Log().Wait(ctx, first, regexp.MustCompile(`^starting delivery (\d+): msg \d+ to remote `+regexp.QuoteMeta(address)+`$`))
	if err == nil {
		match, _, err = r.host.Log().Wait(ctx, next, regexp.MustCompile(`^delivery `+match[1]+`: (\w+): `))
	}
	if err != nil {
		r.t.Fatalf("%s: %v%s\nlog:\n%s", address, err, r.lastFaults(3), r.lastLog(100))
	}
	return match[1]
}

// underPolicies sends under an order.
func (r *policyRig) underPolicies(o faultcall.Order) (fired bool) {
	r.t.Helper()
	r.book.Fault(o.Fault.String(), o.Program)
	r.arm(o)
	r.mail(o)
	return r.arm()[0] >= o.Nth
}

// lift lets what waits go, as the administrator may, and guards again. Somebody
// had to answer for each message before.
func (r *policyRig) lift() {
	r.t.Helper()
	r.lifted.Store(true)
	r.host.Control("tlspolicy", "."+guarded+":none")
	r.drain()
	r.host.Must("rm", "/var/qmail/control/tlspolicy")
	r.lifted.Store(false)
	for _, problem := range r.web.take() {
		r.wrong("%s", problem)
	}
}

// fromTheStart starts the suite under an order, with a report that is due, sends,
// and stops it: what the helpers keep is read, and written down in the end.
func (r *policyRig) fromTheStart(o faultcall.Order) (fired bool) {
	r.t.Helper()
	if slices.Contains(diskPath, o.Class) && o.Program != "qmail-tlspost" {
		o.Target = `^/var/qmail/(mtasts|tlsseen|tlsrpt)(/|$)`
	}
	r.book.Fault(o.Fault.String(), o.Program)
	reported := r.haveReport()
	first := r.host.Log().Len()
	r.standing = []faultcall.Order{o}
	r.start()
	r.mail(o)
	if o.Program == "qmail-tlsrpt" || o.Program == "qmail-tlspost" {
		r.web.await(r.t.Context(), answerWait/2, reported, func() bool {
			events, _ := r.calls.Events(0)
			return len(events) > 0
		})
	}
	r.host.StopSuite()
	r.standing = nil
	events := r.calls.All()
	r.calls = nil
	if len(events) > 0 && o.Target != "" && mustTell(events[0]) {
		r.told(first, events[0])
	}
	return len(events) > 0
}

// mustTell says whether a fault costs something, so that the log has to have it.
// The runtime repeats what was interrupted, and short transfers go on.
func mustTell(e faultcall.Event) bool {
	switch e.Class {
	case faultcall.Close, faultcall.Unlink: // of what was only read; behind an error
		return false
	}
	return !e.Fault.Short && faultcall.ErrnoName(e.Fault.Errno) != "EINTR"
}

// told demands a line about a fault.
func (r *policyRig) told(first int, e faultcall.Event) {
	if _, _, found := r.host.Log().Find(first, regexp.MustCompile(`^`+e.Program+`: (warning|fatal): `)); !found {
		r.wrong("%v: the log does not say so", e)
	}
}

// haveReport makes a report due, and returns the domain that it is for.
func (r *policyRig) haveReport() string {
	r.t.Helper()
	name := fmt.Sprintf("r%d.%s", r.sent, open)
	r.net.Zone().Add(`_smtp._tls.` + name + `. TXT "v=TLSRPTv1; rua=https://mta-sts.` + name + `/tls"`)
	r.net.Zone().Address("mta-sts."+name, r.web.host.IP)
	line := `[{"policy":{"policy-type":"no-policy-found","policy-domain":"` + name + `"},"summary":{"total-successful-session-count":1,"total-failure-session-count":0}}]`
	// The latest day whose reports have begun to go out.
	day := "/var/qmail/tlsrpt/" + time.Now().UTC().Add(-29*time.Hour).Format(time.DateOnly)
	had, err := os.ReadFile(r.host.Path(day))
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	r.host.WriteFile(day, string(had)+line+"\n", 0o600)
	r.host.Must("chown", "--reference=/var/qmail/tlsrpt", day)
	r.web.expect(name)
	return name
}

// startAndLift has everything go without a fault: mail, and reports.
func (r *policyRig) startAndLift() {
	r.t.Helper()
	r.start()
	r.lift()
	for _, name := range r.web.missing() {
		given := regexp.MustCompile(`^qmail-tlsrpt: report domain=` + regexp.QuoteMeta(name) + ` .* given up: `) // a day late
		givenUp := func() bool { _, _, found := r.host.Log().Find(0, given); return found }
		if !r.web.await(r.t.Context(), patient, name, givenUp) && !givenUp() {
			r.wrong("the report about %s never comes", name)
		}
	}
	r.host.StopSuite()
}

// judge adds what is in the mailbox behind the open domains.
func (r *policyRig) judge() {
	r.t.Helper()
	r.far.StopSuite()
	for _, m := range r.far.Maildir("bob").Messages() {
		to := strings.TrimPrefix(m.Header("Delivered-To"), "bob-")
		first := strings.LastIndex(m.Text, "\nReceived: (qmail ") // what was on it when it came
		r.abroad = append(r.abroad, ledger.Delivery{
			Place: m.File, Recipient: to, Sender: strings.Trim(m.Header("Return-Path"), "<>"), Text: m.Text[first+1:],
		})
	}
	r.rig.judge()
}

// webServer has policies and takes reports.
type webServer struct {
	host      *testhost.Host
	authority string // its certificate

	mu       sync.Mutex
	policies map[string]bool // by domain
	reports  map[string]int  // how often one came, by domain; expected ones are there
	changed  chan struct{}
	problems []string
}

// newWebServer starts a web server that has a certificate for every name.
func newWebServer(t *testing.T, net *testhost.Network) *webServer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := func(n int64, names ...string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(n), DNSNames: names, IsCA: len(names) == 0, BasicConstraintsValid: true,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		}
	}
	root := template(1)
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if root, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	w := &webServer{
		host: net.Host("web.example"), authority: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		policies: make(map[string]bool), reports: make(map[string]int), changed: make(chan struct{}),
	}
	server := &http.Server{
		Handler: w, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			leaf, err := x509.CreateCertificate(rand.Reader, template(time.Now().UnixNano(), hello.ServerName), root, key.Public(), key)
			return &tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: key}, err
		}},
	}
	go server.ServeTLS(w.host.Listen("tcp", ":443"), "", "")
	t.Cleanup(func() { server.Close() })
	return w
}

func (w *webServer) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	name := strings.TrimPrefix(request.Host, "mta-sts.")
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case request.Method == http.MethodPost && request.URL.Path == "/tls":
		if _, err := io.Copy(io.Discard, io.LimitReader(request.Body, 1<<20)); err != nil {
			return // half of a report is none
		}
		w.reports[name]++
		close(w.changed)
		w.changed = make(chan struct{})
	case w.policies[name]:
		answer.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(answer, "version: STSv1\r\nmode: enforce\r\nmx: plain.example\r\nmax_age: 604800\r\n") // who asks sees
	default:
		http.NotFound(answer, request)
	}
}

// publish gives a domain a policy, and withdraw takes it away.
func (w *webServer) publish(zone *testhost.Zone, name string) {
	zone.Address("mta-sts."+name, w.host.IP)
	zone.Add("_mta-sts." + name + `. TXT "v=STSv1; id=1;"`)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.policies[name] = true
}

func (w *webServer) withdraw(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.policies, name)
}

func (w *webServer) note(problem string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, problem)
}

func (w *webServer) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	problems := w.problems
	w.problems = nil
	return problems
}

func (w *webServer) expect(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reports[name] += 0
}

// missing are the domains whose report has not come.
func (w *webServer) missing() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(w.reports)), func(name string) bool { return w.reports[name] > 0 })
}

// await waits for the report about a domain, or until something else is enough.
func (w *webServer) await(ctx context.Context, wait time.Duration, name string, enough func() bool) (came bool) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		w.mu.Lock()
		changed, came := w.changed, w.reports[name] > 0
		w.mu.Unlock()
		if came || enough() {
			return came
		}
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return false
		}
	}
}
