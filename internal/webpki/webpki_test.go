package webpki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"testing"
	"time"
)

// issue makes an authority, or a certificate of one.
func issue(t *testing.T, template, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.NotBefore = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	if parent == nil {
		parent, by = template, key
		template.IsCA, template.BasicConstraintsValid = true, true
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func TestVerify(t *testing.T) {
	t.Parallel()
	root, rootKey := issue(t, &x509.Certificate{}, nil, nil)
	between, betweenKey := issue(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true}, root, rootKey)
	leaf, _ := issue(t, &x509.Certificate{DNSNames: []string{"mx.example", "*.w.example"}}, between, betweenKey)
	old, _ := issue(t, &x509.Certificate{DNSNames: []string{"mx.example"}, NotAfter: time.Now().Add(-time.Minute)}, between, betweenKey)
	client, _ := issue(t, &x509.Certificate{DNSNames: []string{"mx.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, between, betweenKey)
	stranger, _ := issue(t, &x509.Certificate{DNSNames: []string{"mx.example"}}, nil, nil)
	pool := x509.NewCertPool()
	pool.AddCert(root)
	whole := func(c *x509.Certificate) []*x509.Certificate { return []*x509.Certificate{c, between} }
	for _, c := range []struct {
		name  string
		shown []*x509.Certificate
		names []string
		want  bool
	}{
		{"good", whole(leaf), []string{"mx.example"}, true},
		{"one of two names", whole(leaf), []string{"other.example", "MX.example"}, true},
		{"a wildcard", whole(leaf), []string{"a.w.example"}, true},
		{"a wildcard is for one label", whole(leaf), []string{"a.b.w.example"}, false},
		{"below", whole(leaf), []string{".example"}, true},
		{"below, by a wildcard", whole(leaf), []string{".w.example"}, true},
		{"not below", whole(leaf), []string{".mx.example", ".x.example"}, false},
		{"no name", whole(leaf), nil, false},
		{"the chain has a gap", []*x509.Certificate{leaf}, []string{"mx.example"}, false},
		{"too old", whole(old), []string{"mx.example"}, false},
		{"for clients", whole(client), []string{"mx.example"}, false},
		{"of nobody", whole(stranger), []string{"mx.example"}, false},
		{"nothing", nil, []string{"mx.example"}, false},
	} {
		if err := Verify(pool, c.shown, c.names, time.Now()); (err == nil) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestPoolFollowsItsFile(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/roots"
	r := &Roots{bundles: []string{path + ".none", path}}
	if _, err := r.Pool(); err != ErrNoRoots {
		t.Errorf("without a file: %v", err)
	}
	write := func(text string) {
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	first, _ := issue(t, &x509.Certificate{DNSNames: []string{"a.example"}}, nil, nil)
	second, _ := issue(t, &x509.Certificate{DNSNames: []string{"a.example"}}, nil, nil)
	for _, c := range []*x509.Certificate{first, second} {
		write("# " + c.Subject.CommonName + "\n" + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
		pool, err := r.Pool()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := r.Pool(); err != nil || again != pool {
			t.Errorf("read again: %v", err)
		}
		for _, other := range []*x509.Certificate{first, second} {
			if err := Verify(pool, []*x509.Certificate{other}, []string{"a.example"}, time.Now()); (err == nil) != (other == c) {
				t.Errorf("%v", err)
			}
		}
	}
	write("nothing")
	if _, err := r.Pool(); err == nil {
		t.Error("a file without certificates")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Pool(); err == nil {
		t.Error("a directory")
	}
}
