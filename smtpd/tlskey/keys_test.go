package tlskey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/privatekey"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/sign"
)

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// certify returns the certificate of a key, as PEM.
func certify(t *testing.T, key crypto.Signer) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der)
}

func pkcs8(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("PRIVATE KEY", der)
}

func generate(t *testing.T) (r *rsa.PrivateKey, e *ecdsa.PrivateKey, d ed25519.PrivateKey) {
	t.Helper()
	var errs [3]error
	r, errs[0] = rsa.GenerateKey(rand.Reader, 2048)
	e, errs[1] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, d, errs[2] = ed25519.GenerateKey(rand.Reader)
	if errs != [3]error{} {
		t.Fatal(errs)
	}
	return r, e, d
}

func write(t *testing.T, text string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "servercert.pem")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestReadKey(t *testing.T) {
	t.Parallel()
	r, e, d := generate(t)
	sec1, err := x509.MarshalECPrivateKey(e)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"RSA, PKCS 1", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r)) + certify(t, r), ""},
		{"RSA, PKCS 8", pkcs8(t, r) + certify(t, r), ""},
		{"the key last", certify(t, r) + certify(t, e) + pkcs8(t, r), ""},
		{"EC with parameters", block("EC PARAMETERS", []byte{1}) + block("EC PRIVATE KEY", sec1) + certify(t, e), ""},
		{"Ed25519", pkcs8(t, d) + certify(t, d), ""},
		{"text around", "my key\n" + pkcs8(t, d) + "\nand more\n" + certify(t, d) + "\n", ""},
		{"another's certificate", pkcs8(t, r) + certify(t, e), "is not that of its first certificate"},
		{"no certificate", pkcs8(t, r), "no certificate"},
		{"no key", certify(t, r), "no private key"},
		{"two keys", pkcs8(t, r) + pkcs8(t, e) + certify(t, r), "two private keys"},
		{"a pass phrase", block("ENCRYPTED PRIVATE KEY", []byte{1}) + certify(t, r), "pass phrase"},
		{"a broken key", block("PRIVATE KEY", []byte("secret")) + certify(t, r), "cannot be read"},
		{"a small key", pkcs8(t, small), "1024 bits"},
		{"a broken certificate", pkcs8(t, r) + block("CERTIFICATE", []byte{1}), "first certificate"},
		{"a long chain", pkcs8(t, r) + strings.Repeat(certify(t, r), 125), "larger than"},
		{"too large", strings.Repeat("x", privatekey.MaxFile+1), "larger than"},
		{"nothing", "", "no private key"},
	} {
		key, err := readKey(keyFile{"", write(t, c.text)})
		switch {
		case c.want == "" && (err != nil || key.Signer == nil || len(key.Certificates) == 0):
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

// journal collects log lines.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) line(s string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, s)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, "\n")
}

// rig is a running daemon, seen from its parent.
type rig struct {
	t       *testing.T
	channel *parent.Channel
	log     *journal
}

func newRig(t *testing.T) *rig {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, log: &journal{}}
	if r.channel, err = parent.NewChannel(ours); err != nil {
		t.Fatal(err)
	}
	child, err := parent.NewChannel(theirs)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- newDaemon(r.log.line).run(child) }()
	t.Cleanup(func() {
		r.channel.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) send(f parent.Frame) {
	r.t.Helper()
	if sent, err := r.channel.Send(f); err != nil || !sent {
		r.t.Fatalf("%v, %v", sent, err)
	}
}

// keys hands over files, read from their beginning whatever their offset is.
func (r *rig) keys(texts ...string) {
	r.t.Helper()
	for i, text := range texts {
		f := write(r.t, text)
		if _, err := f.Seek(5, 0); err != nil {
			r.t.Fatal(err)
		}
		name := ""
		if i > 0 {
			name = "b.example"
		}
		r.send(parent.Frame{Kind: parent.Key, Name: name, File: f})
	}
	r.send(parent.Frame{Kind: parent.KeysComplete})
}

// ask links a client and asks for the certificates.
func (r *rig) ask() []sign.Chain {
	r.t.Helper()
	chains, err := r.link().Chains()
	if err != nil {
		r.t.Fatal(err)
	}
	return chains
}

func (r *rig) link() *sign.Client {
	r.t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		r.t.Fatal(err)
	}
	r.send(parent.Frame{Kind: parent.Link, Name: parent.SignSMTPD, File: theirs})
	theirs.Close()
	c := sign.NewClient()
	if err := c.Relink(ours); err != nil {
		r.t.Fatal(err)
	}
	return c
}

func TestDaemon(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, second, third := generate(t)
	if got := r.ask(); len(got) != 0 {
		t.Errorf("before there are keys: %v", got)
	}
	r.keys(pkcs8(t, first)+certify(t, first), pkcs8(t, second)+certify(t, second))
	got := r.ask()
	if len(got) != 2 || got[0].Name != "" || got[1].Name != "b.example" {
		t.Fatalf("got %v", got)
	}
	r.keys(pkcs8(t, first) + certify(t, second)) // they do not fit
	if again := r.ask(); len(again) != 2 || again[0].ID() != got[0].ID() {
		t.Errorf("the keys before did not stay: %v", again)
	}
	r.keys(pkcs8(t, third) + certify(t, third))
	if now := r.ask(); len(now) != 1 || now[0].ID() == got[0].ID() {
		t.Errorf("got %v", now)
	}
	for _, want := range []string{
		"qmail-tlskey: control/servercert.pem: a key of RSA, valid until 2030-01-02",
		"qmail-tlskey: control/servercerts/b.example/servercert.pem: a key of ECDSA, valid until 2030-01-02",
		"qmail-tlskey: alert: control/servercert.pem: its private key is not that of its first certificate; the keys before it stay",
	} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("log has no %q:\n%s", want, r.log)
		}
	}
}

// A handshake that began with a certificate ends with its key, also if that was
// replaced meanwhile; not for ever.
func TestReplacedKeysSignForAMinute(t *testing.T) {
	t.Parallel()
	first, second, _ := generate(t)
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(func(string) {})
		keys := []sign.Key{{Chain: sign.Chain{Certificates: [][]byte{{1}}}, Signer: first}}
		d.replace(keys)
		d.replace([]sign.Key{{Chain: sign.Chain{Certificates: [][]byte{{2}}}, Signer: second}})
		if got := *d.before.Load(); len(got) != 1 || got[0].ID() != keys[0].ID() {
			t.Errorf("before: %v", got)
		}
		time.Sleep(handshakeTime + time.Second)
		if got := *d.before.Load(); len(got) != 0 {
			t.Errorf("still %v", got)
		}
	})
}
