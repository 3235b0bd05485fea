package privatekey

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
)

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("PRIVATE KEY", der)
}

func generate(t testing.TB) (r *rsa.PrivateKey, e *ecdsa.PrivateKey, d ed25519.PrivateKey) {
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

// TestParse has each file read as one of TLS and as one of DKIM.
func TestParse(t *testing.T) {
	t.Parallel()
	r, e, d := generate(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(e)
	if err != nil {
		t.Fatal(err)
	}
	cert := block("CERTIFICATE", []byte{1, 2})
	for _, c := range []struct{ name, text, tls, dkim string }{
		{"RSA, PKCS 1", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r)), "", ""},
		{"RSA, PKCS 8", pkcs8(t, r), "", ""},
		{"Ed25519, text around", "mine\n" + pkcs8(t, d) + "more\n", "", ""},
		{"EC with parameters", block("EC PARAMETERS", []byte{1}) + block("EC PRIVATE KEY", sec1), "", "not one of RSA or Ed25519"},
		{"a certificate", cert + pkcs8(t, r), "", "a key of TLS is for nothing else"},
		{"two keys", pkcs8(t, r) + pkcs8(t, d), "two private keys", "two private keys"},
		{"a small key", pkcs8(t, small), "1024 bits", "1024 bits"},
		{"a pass phrase", block("ENCRYPTED PRIVATE KEY", []byte("secret")), "pass phrase", "pass phrase"},
		{"a broken key", block("PRIVATE KEY", []byte("secret")), "cannot be read", "cannot be read"},
		{"no key", cert, "no private key", "no private key"},
		{"nothing", "", "no private key", "no private key"},
		{"too large", pkcs8(t, r) + strings.Repeat("x", MaxFile), "larger than", "larger than"},
	} {
		judge := func(as string, key any, err error, want string) {
			t.Helper()
			switch {
			case want == "" && (err != nil || key == nil):
				t.Errorf("%s as one of %s: %v", c.name, as, err)
			case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret")):
				t.Errorf("%s as one of %s: %v, want %s", c.name, as, err, want)
			}
		}
		f, err := Parse([]byte(c.text))
		judge("TLS", f.Key, err, c.tls)
		if got, want := len(f.Certificates), strings.Count(c.text, "BEGIN CERTIFICATE"); err == nil && got != want {
			t.Errorf("%s: %d certificates, want %d", c.name, got, want)
		}
		key, err := ParseDKIM([]byte(c.text))
		judge("DKIM", key, err, c.dkim)
	}
}

func FuzzParse(f *testing.F) {
	_, e, d := generate(f)
	f.Add([]byte(pkcs8(f, d)))
	f.Add([]byte(pkcs8(f, e) + block("CERTIFICATE", []byte{1})))
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse(text)
		if (err == nil) != (file.Key != nil) {
			t.Fatalf("%v, %v", file.Key, err)
		}
		if key, err := ParseDKIM(text); err == nil && (key == nil || len(file.Certificates) > 0) {
			t.Fatal("a key of DKIM that is none")
		}
	})
}
