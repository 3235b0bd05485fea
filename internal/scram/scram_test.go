package scram

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// The exchange of RFC 7677 section 3, of the password "pencil".
const (
	rfcFirst     = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
	rfcNonce     = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	rfcSalt      = "W22ZaJ0SNY7soEsUEjb6gQ=="
	rfcServer    = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	rfcProof     = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	rfcSignature = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
)

func unbase64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRFC7677(t *testing.T) {
	t.Parallel()
	first, err := ParseClientFirst(rfcFirst)
	if err != nil || first.User != "user" || first.Binding != NoBinding {
		t.Fatalf("%+v, %v", first, err)
	}
	answer := first.Answer(rfcNonce, unbase64(t, rfcSalt), 4096)
	if answer.String() != rfcServer {
		t.Errorf("got %s", answer)
	}
	message, proof, err := answer.Finish(rfcProof, nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := Derive("pencil", unbase64(t, rfcSalt), 4096)
	if err != nil {
		t.Fatal(err)
	}
	signature, ok := keys.Verify([]byte(message), proof)
	if !ok || Final(signature) != rfcSignature {
		t.Errorf("%v, %s", ok, Final(signature))
	}
	proof[5] ^= 1
	if _, ok := keys.Verify([]byte(message), proof); ok {
		t.Error("a wrong proof is taken")
	}
	for password, want := range map[string]bool{"pencil": true, "pencil ": false, "": false} {
		if got, err := keys.IsPassword(password); got != want || err != nil {
			t.Errorf("%q: %v, %v", password, got, err)
		}
	}
	if _, ok := (Keys{}).Verify([]byte(message), proof); ok {
		t.Error("no keys take a proof")
	}
}

func TestClientFirst(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"n,,n=user,r=x", "n||user"},
		{"y,,n=user,r=x", "y||user"},
		{"p=tls-exporter,,n=user,r=x", "p||user"},
		{"n,a=jim,n=user,r=x", "n|jim|user"},
		{"n,a=a=2Cb=3Dc,n==2C=3D,r=x", "n|a,b=c|,="},
		{"n,,n=j\xc3\xb6,r=x", "n||j\xc3\xb6"},
		{"n,,n=user,r=x,ext=1", "n||user"},
		{"n,,n=user=2c,r=x", ""}, {"n,,n==,r=x", ""}, {"n,,n=,r=x", ""}, {"n,,n=user,r=", ""},
		{"n,,m=must,n=user,r=x", ""}, {"n,,r=x,n=user", ""}, {"n,b=jim,n=user,r=x", ""}, {"n,a=,n=user,r=x", ""},
		{"z,,n=user,r=x", ""}, {"ny,,n=user,r=x", ""}, {"p,,n=user,r=x", ""}, {"", ""}, {"n", ""}, {",,", ""}, {"n,", ""},
		{"n,,n=user,r=x y", ""}, {"n,,n=user,r=\x00", ""}, {"n,,n=\xf6,r=x", ""}, {"n,,n=user", ""},
	} {
		m, err := ParseClientFirst(c.text)
		got := ""
		if err == nil {
			got = string(rune(m.Binding)) + "|" + m.AuthzID + "|" + m.User
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

func TestFinish(t *testing.T) {
	t.Parallel()
	first, err := ParseClientFirst("p=tls-exporter,,n=user,r=abc")
	if err != nil {
		t.Fatal(err)
	}
	answer := first.Answer("def", []byte("salt"), 4096)
	bound := base64.StdEncoding.EncodeToString([]byte("p=tls-exporter,,BINDING"))
	proof := base64.StdEncoding.EncodeToString(make([]byte, KeySize))
	for text, want := range map[string]error{
		"c=" + bound + ",r=abcdef,p=" + proof:      nil,
		"c=" + bound + ",r=abcdef,x=1,p=" + proof:  nil,
		"c=biws,r=abcdef,p=" + proof:               errBinding,
		"c=" + bound + ",r=abc,p=" + proof:         errNonce,
		"c=" + bound + ",r=abcdef,p=" + proof[4:]:  errForm,
		"c=" + bound + ",r=abcdef,p=!" + proof[1:]: errForm,
		"c=" + bound + ",r=abcdef":                 errForm,
		"r=abcdef,c=" + bound + ",p=" + proof:      errForm,
		",p=" + proof:                              errForm,
		"":                                         errForm,
		strings.Repeat(",", 5000) + ",p=" + proof:  errForm,
	} {
		if _, _, err := answer.Finish(text, []byte("BINDING")); !errors.Is(err, want) {
			t.Errorf("%.60q: %v, want %v", text, err, want)
		}
	}
}

// What is parsed can be answered, and no message of a client is taken for the
// last one of another exchange.
func FuzzMessages(f *testing.F) {
	f.Add(rfcFirst, rfcProof)
	f.Add("p=tls-exporter,a=x,n=a=2Cb,r=c", "c=,r=,p=")
	f.Fuzz(func(t *testing.T, one, two string) {
		first, err := ParseClientFirst(one)
		if err != nil {
			return
		}
		if first.User == "" || strings.Contains(first.nonce, ",") {
			t.Fatalf("%q: %+v", one, first)
		}
		answer := first.Answer("fresh", []byte("salt"), 4096)
		message, proof, err := answer.Finish(two, nil)
		if err == nil && (len(proof) != KeySize || !strings.Contains(message, answer.String()) || !strings.Contains(two, "fresh")) {
			t.Fatalf("%q, %q: %q", one, two, message)
		}
	})
}
