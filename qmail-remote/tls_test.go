package qmailremote

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"postrider/internal/control"
	"postrider/internal/tlspolicy"
)

// authority issues certificates in a test.
type authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	a.cert = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true}, nil, a.key.Public())
	return a
}

func (a *authority) sign(template, parent *x509.Certificate, key crypto.PublicKey) *x509.Certificate {
	a.t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore = time.Now().Add(-time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// issue makes a certificate for hosts, that is shown with that of the authority.
func (a *authority) issue(until time.Time, names ...string) *tls.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	leaf := a.sign(&x509.Certificate{DNSNames: names, NotAfter: until}, a.cert, key.Public())
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw, a.cert.Raw}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) roots() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool, nil
}

// serveTLS is the peers' side of a handshake.
func (n *testNet) serveTLS(conn net.Conn) (net.Conn, error) {
	config := &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.names = append(n.names, hello.ServerName)
		return n.cert, nil
	}}
	if n.asksWho {
		config.ClientAuth = tls.RequestClientCert
	}
	c := tls.Server(conn, config)
	// A client that hangs up behind the handshake says so at the next step.
	err := c.Handshake()
	if shown := c.ConnectionState().PeerCertificates; err == nil && len(shown) > 0 {
		n.mu.Lock()
		n.shown = append(n.shown, shown[0].DNSNames...)
		n.mu.Unlock()
	}
	return c, err
}

// policy gives the host a control/tlspolicy.
func (h *host) policy(lines ...string) {
	h.t.Helper()
	dir := h.t.TempDir()
	if err := os.WriteFile(dir+"/tlspolicy", []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		h.t.Fatal(err)
	}
	var err error
	if h.set.tls, err = tlspolicy.Read(control.Dir(dir)); err != nil {
		h.t.Fatal(err)
	}
}

// oneExchanger has the mail of d.example at mx.d.example, 192.0.2.1.
var oneExchanger = []string{"d.example. 60 IN MX 10 mx.d.example.", "mx.d.example. 60 IN A 192.0.2.1"}

const (
	offered = `S 220 peer ESMTP
	C EHLO me.example.org
	S 250-peer
	S 250-PIPELINING
	S 250 STARTTLS
	`
	secure = offered + `C STARTTLS
	S 220 go ahead
	T tls
	C EHLO me.example.org
	S 250 peer
	`
)

// mailOver is the rest of a dialogue in which a message is taken.
var mailOver = strings.TrimPrefix(sent, hello) + "S 250 queued" + bye

// withoutCipher leaves out which cipher it was.
func withoutCipher(s string) string {
	before, rest, found := strings.Cut(s, "; cipher=TLS_")
	if !found {
		return s
	}
	_, after, _ := strings.Cut(rest, ";")
	return before + ";" + withoutCipher(after)
}

const okTLS = "r|K192.0.2.1 accepted message./Remote host said: 250 queued/STARTTLS proto=TLSv1.3; verify="

// TestOpportunisticTLS: TLS if it works, plain text on a new connection if not.
func TestOpportunisticTLS(t *testing.T) {
	t.Parallel()
	const later = "ZConnected to 192.0.2.1 but "
	for _, c := range []struct {
		name    string
		policy  string
		scripts []string
		want    string
	}{
		{"it works", "", []string{secure + mailOver}, okTLS + "none;/|"},
		{"it is not offered", "", []string{hello + mailOver}, ok1},
		{"it is not wanted", ":none", []string{offered + mailOver}, ok1},
		{"refused", "", []string{offered + "C STARTTLS\nS 454 later" + bye, offered + mailOver}, ok1},
		{"refused for good", "", []string{offered + "C STARTTLS\nS 502 what" + bye, offered + mailOver}, ok1},
		{"closed", "", []string{offered + "C STARTTLS\n. close"}, later + "TLS failed: connection lost: EOF. (#4.7.5)/|"},
		{"closed in the handshake", "", []string{offered + "C STARTTLS\nS 220 go\n. close", offered + mailOver}, ok1},
		{"going away", "", []string{offered + "C STARTTLS\nS 421 shutting down"},
			later + "TLS failed: connection lost: server closes the connection. (#4.7.5)/Remote host said: 421 shutting down/|"},
		{"going away inside", "", []string{offered + "C STARTTLS\nS 220 go\nT tls\nC EHLO me.example.org\nS 421 shutting down"},
			later + "TLS failed: connection lost: server closes the connection. (#4.7.5)/Remote host said: 421 shutting down/|"},
		{"put off", "", []string{offered + "C STARTTLS\nS 451 busy" + bye}, later + "STARTTLS was refused. (#4.7.4)/Remote host said: 451 busy/|"},
		{"no handshake", "", []string{offered + "C STARTTLS\nS 220 go\nT! fail", offered + mailOver}, ok1},
		{"words in front of the handshake", "", []string{offered + `C STARTTLS
			S- 220 go\r\n250 you are welcome\r\n`, offered + mailOver}, ok1},
		{"refused and no connection after it", "", []string{offered + "C STARTTLS\nS 454 later" + bye, "S 421 busy"},
			later + "greeting failed./Remote host said: 421 busy/|"},
		{"EHLO is refused inside", "", []string{offered + "C STARTTLS\nS 220 go\nT tls\nC EHLO me.example.org\nS 550 no" + bye},
			later + "my name was rejected./Remote host said: 550 no/|"},

		{"needed and not offered", ":encrypt", []string{hello + strings.TrimPrefix(bye, "\n")},
			later + "it offers no TLS, for which control/tlspolicy (:encrypt) asks. (#4.7.4)/|"},
		{"needed and refused", "d.example:encrypt", []string{offered + "C STARTTLS\nS 454 later" + bye},
			later + "STARTTLS was refused, for which control/tlspolicy (d.example:encrypt) asks. (#4.7.4)/Remote host said: 454 later/|"},
		{"needed and failed", ":encrypt", []string{offered + "C STARTTLS\nS 220 go\nT! fail"},
			later + "TLS failed, for which control/tlspolicy (:encrypt) asks: tls: first record does not look like a TLS handshake. (#4.7.5)/|"},
		{"needed and there", ":encrypt", []string{secure + mailOver}, okTLS + "none;/|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, oneExchanger...)
			h.cert = newAuthority(t).issue(time.Time{}, "mx.d.example")
			if c.policy != "" {
				h.policy(c.policy)
			}
			h.peer("192.0.2.1", scripts(c.scripts)...)
			if got := withoutCipher(h.deliver(simpleMessage, "d.example", "r@d.example")); got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			h.end()
		})
	}
}

// TestNextHostForTLS: a host that goes away when it is asked for TLS leaves the
// message to the next one.
func TestNextHostForTLS(t *testing.T) {
	t.Parallel()
	for _, away := range []string{". close", "S 421 shutting down", "S 450 not now" + bye} {
		t.Run(away, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, twoMX...)
			h.cert = newAuthority(t).issue(time.Time{}, "mx2.d.example")
			h.peer("192.0.2.1", script(offered+"C STARTTLS\n"+away))
			h.peer("192.0.2.2", script(secure+mailOver))
			want := strings.Replace(okTLS, "192.0.2.1", "192.0.2.2", 1) + "none;/|"
			if got := withoutCipher(h.deliver(simpleMessage, "d.example", "r@d.example")); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
			h.end()
		})
	}
}

// TestWordsBeforeTheHandshake: what a server, or somebody on the way, says in
// clear behind its 220 to STARTTLS is never taken for its word inside TLS. The
// connection ends without an octet more, and mail waits where TLS is needed
// (R33).
func TestWordsBeforeTheHandshake(t *testing.T) {
	t.Parallel()
	lmtp := strings.NewReplacer("EHLO", "LHLO").Replace
	for _, c := range []struct{ name, words string }{
		{"a reply", `S- 220 go\r\n250 peer\r\n`},
		{"the replies to all of a transaction", `S- 220 go\r\n250 peer\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n`},
		{"half a reply", `S- 220 go\r\n250-peer`},
		{"one octet", `S- 220 go\r\n2`},
		{"an empty line", `S- 220 go\r\n\r\n`},
		{"a record of TLS", "S- 220 go\\r\\n\x16\x03\x01"},
	} {
		for _, protocol := range []struct {
			name, at string
			says     func(string) string
		}{
			{"SMTP", "192.0.2.1", func(s string) string { return s }},
			{"LMTP", "192.0.2.1:24", lmtp},
		} {
			t.Run(protocol.name+", "+c.name, func(t *testing.T) {
				t.Parallel()
				h := newHost(t, oneExchanger...)
				h.policy("d.example:encrypt", "192.0.2.1:encrypt")
				if protocol.name == "LMTP" {
					h.set.tables.lmtp = map[string]string{"d.example": "192.0.2.1"}
				}
				h.peer(protocol.at, script(protocol.says(offered)+"C STARTTLS\n"+c.words+"\nE end"))
				got := h.deliver(simpleMessage, "d.example", "r@d.example")
				if !strings.HasPrefix(got, "ZConnected to 192.0.2.1 but TLS failed, ") || !strings.HasSuffix(got, ": server spoke without being asked. (#4.7.5)/|") {
					t.Errorf("got %s", got)
				}
				h.end()
			})
		}
	}
}

// TestVerifiedTLS has certificates that are as they must be, and others.
func TestVerifiedTLS(t *testing.T) {
	t.Parallel()
	trusted, other := newAuthority(t), newAuthority(t)
	good := trusted.issue(time.Time{}, "mx.d.example")
	pin := sha256.Sum256(good.Leaf.RawSubjectPublicKeyInfo)
	const bad = "ZConnected to 192.0.2.1 but its certificate is not what control/tlspolicy (d.example:"
	for _, c := range []struct {
		name   string
		policy string
		cert   *tls.Certificate
		want   string // its beginning
	}{
		{"below the domain", "verify", good, okTLS + "name;/|"},
		{"for the domain", "verify", trusted.issue(time.Time{}, "d.example"), okTLS + "name;/|"},
		{"of another domain", "verify", trusted.issue(time.Time{}, "mx.e.example"), bad + "verify) asks for: "},
		{"of a domain that ends like it", "verify", trusted.issue(time.Time{}, "mxd.example"), bad + "verify) asks for: "},
		{"for a name that is asked for", "verify mx.e.example mx.d.example", good, okTLS + "name;/|"},
		{"not for a name that is asked for", "verify mx.e.example", good, bad + "verify mx.e.example) asks for: "},
		{"of another authority", "verify", other.issue(time.Time{}, "mx.d.example"), bad + "verify) asks for: "},
		{"too old", "verify", trusted.issue(time.Now().Add(-time.Minute), "mx.d.example"), bad + "verify) asks for: "},
		{"the right key", "pin " + hex.EncodeToString(pin[:]), good, okTLS + "pin;/|"},
		{"another key", "pin " + hex.EncodeToString(pin[:]), trusted.issue(time.Time{}, "mx.d.example"), bad + "pin " + hex.EncodeToString(pin[:]) + ") asks for: it has another key. (#4.7.5)/|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, oneExchanger...)
			h.client.roots = trusted.roots
			h.cert = c.cert
			h.policy("d.example:" + c.policy)
			dialogue := secure + mailOver
			if strings.HasPrefix(c.want, bad) {
				// The handshake was good, and so is the goodbye.
				dialogue = strings.TrimSuffix(secure, "C EHLO me.example.org\n\tS 250 peer\n\t") + strings.TrimPrefix(bye, "\n")
			}
			h.peer("192.0.2.1", script(dialogue))
			if got := withoutCipher(h.deliver(simpleMessage, "d.example", "r@d.example")); !strings.HasPrefix(got, c.want) {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			h.end()
			if len(h.names) != 1 || h.names[0] != "mx.d.example" {
				t.Errorf("asked for %v", h.names)
			}
		})
	}
}

// TestTLSInThePool: connections are shared only by deliveries that want the
// same, and a server that has spoken or gone is noticed inside TLS, too.
func TestTLSInThePool(t *testing.T) {
	t.Parallel()
	h := newHost(t, append(oneExchanger, "e.example. 60 IN MX 10 mx.d.example.")...)
	h.cert = newAuthority(t).issue(time.Time{}, "mx.d.example")
	h.policy("e.example:encrypt")
	first := strings.TrimPrefix(sent, hello) + "S 250 queued"
	again := "\nC MAIL FROM:<s@x.example>\nS 250 ok\nC RCPT TO:<r@d.example>\nS 250 ok\nC DATA\nS 354 go\nD Subject: x||hi\nS 250 queued"
	h.peer("192.0.2.1", script(secure+first+again+bye), script(secure+first+again+"\nS 421 had enough"), script(secure+first+bye))
	send := func(domain string) {
		t.Helper()
		if got := withoutCipher(h.deliver(simpleMessage, domain, "r@d.example")); got != okTLS+"none;/|" {
			t.Errorf("got %s", got)
		}
	}
	send("d.example")
	send("e.example")
	send("d.example")
	send("e.example")
	// The second connection is not in step any more.
	key := poolKey{addr: at("192.0.2.1"), helo: "me.example.org", tls: "encrypt"}
	s := h.client.pool.take(key)
	for s != nil && s.tls.silent() {
		time.Sleep(time.Millisecond) // until the word has come
	}
	if s != nil {
		h.client.pool.put(s)
	}
	send("e.example")
	h.end()
}

// TestPortForTLS: TLS comes first at port 465.
func TestPortForTLS(t *testing.T) {
	t.Parallel()
	h := newHost(t, "relay.example. 60 IN A 192.0.2.1")
	h.cert = newAuthority(t).issue(time.Time{}, "relay.example")
	h.set.routes = map[string]string{"": "relay.example:465"}
	h.peer("192.0.2.1:465", script("T tls\n"+success))
	if got := withoutCipher(h.deliver(simpleMessage, "d.example", "r@d.example")); got != okTLS+"none;/|" {
		t.Errorf("got %s", got)
	}
	h.end()
	h.peer("192.0.2.1:465", script("T! fail"))
	if got := h.deliver(simpleMessage, "d.example", "r@d.example"); !strings.HasPrefix(got, "ZConnected to 192.0.2.1 but TLS failed, for which its port asks: ") {
		t.Errorf("got %s", got)
	}
	h.end()
}
