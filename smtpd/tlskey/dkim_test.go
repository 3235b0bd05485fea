package tlskey

import (
	"crypto"
	"crypto/x509"
	"strings"
	"testing"

	"postrider/internal/wire/parent"
)

func TestReadDKIM(t *testing.T) {
	t.Parallel()
	r, e, d := generate(t)
	for _, c := range []struct{ name, text, want string }{
		{"RSA", pkcs8(t, r), ""},
		{"RSA, PKCS 1", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r)), ""},
		{"Ed25519", "text\n" + pkcs8(t, d), ""},
		{"a key of TLS", pkcs8(t, r) + certify(t, r), "a key of TLS is for nothing else"},
		{"ECDSA", pkcs8(t, e), "not one of RSA or Ed25519"},
		{"no key", "", "no private key"},
		{"a pass phrase", block("ENCRYPTED PRIVATE KEY", []byte{1}), "pass phrase"},
	} {
		key, err := readKey(keyFile{parent.DKIMKey + "k.pem", write(t, c.text)})
		switch {
		case c.want == "" && (err != nil || key.Name != "k.pem"):
			t.Errorf("%s: %v, %v", c.name, key.Name, err)
		case c.want == "":
			if public, err := x509.ParsePKIXPublicKey(key.Certificates[0]); err != nil || !public.(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
				t.Errorf("%s: its public half is another one: %v", c.name, err)
			}
		case err == nil || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

// A key of DKIM that cannot be used does not harm the others, and the one before
// it stays.
func TestDKIMKeysStandAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, _, second := generate(t)
	hand := func(texts map[string]string) {
		t.Helper()
		for _, name := range []string{"a", "b", "c"} {
			if text, there := texts[name]; there {
				r.send(parent.Frame{Kind: parent.Key, Name: parent.DKIMKey + name, File: write(t, text)})
			}
		}
		r.send(parent.Frame{Kind: parent.KeysComplete})
	}
	names := func() (list string) {
		t.Helper()
		for _, chain := range r.ask() {
			list += chain.Name + " "
		}
		return list
	}
	hand(map[string]string{"a": pkcs8(t, first), "b": pkcs8(t, second), "c": "nothing"})
	if got := names(); got != "a b " {
		t.Errorf("got %s", got)
	}
	hand(map[string]string{"a": "nothing", "c": pkcs8(t, second)})
	if got := names(); got != "a c " {
		t.Errorf("got %s", got)
	}
	for _, want := range []string{
		"qmail-tlskey: control/domainkeys/a: a key of RSA, 2048 bits", "qmail-tlskey: control/domainkeys/b: a key of Ed25519",
		"qmail-tlskey: alert: control/domainkeys/c: it has no private key; mail that it signs waits",
		"qmail-tlskey: alert: control/domainkeys/a: it has no private key; the key before it stays",
	} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("log has no %q:\n%s", want, r.log)
		}
	}
}
