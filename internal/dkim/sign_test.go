package dkim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

var noon = time.Unix(1795000000, 0)

// sign returns a message with its signatures in front of it.
func sign(t testing.TB, message string, keys ...Key) string {
	t.Helper()
	m, err := Read(strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	fields, err := m.Sign(keys, noon)
	if err != nil {
		t.Fatal(err)
	}
	return string(fields) + message
}

func rsaKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestField(t *testing.T) {
	t.Parallel()
	got := sign(t, "Received: x\n"+letter, Key{Domain: "example.org", Selector: "e1", Lifetime: time.Hour, Signer: brisbane(t)})
	want := `DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
	d=example.org; s=e1;
	t=1795000000; x=1795003600;
	h=From:From:Reply-To:Subject:Subject:Date:Date:To:To:Cc:Content-Type
	:Content-Transfer-Encoding:MIME-Version:Sender:Message-ID:Message-ID;
	bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
	b=`
	if !strings.HasPrefix(got, want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
	for line := range strings.Lines(got) {
		if len(line) > 79 {
			t.Errorf("a line of %d octets: %s", len(line), line)
		}
	}
	if strings.Contains(sign(t, letter, Key{Signer: brisbane(t)}), "x=1") {
		t.Error("a signature ends that should not")
	}
}

// Messages are verified as they were signed, and not when they were changed.
func TestSignatures(t *testing.T) {
	t.Parallel()
	private := rsaKey(t)
	keys := []Key{{Domain: "example.org", Selector: "s1", Signer: private}, {Domain: "example.org", Selector: "e1", Signer: brisbane(t)}}
	for _, message := range []string{
		letter, "From: a@example.org\n\n", "From: a@example.org", "Subject: two\nFrom: a@example.org\nSubject: of them\nfrom : b@example.org\n\nx",
		"From: a@example.org\nCc: b\n c\n\td  \nResent-To: x\nResent-To: y\n\n \t x\n\n\n", "From: \u00f6@example.org\nList-Unsubscribe: <x>\nList-Unsubscribe-Post: y\n\n\u00f6\n",
	} {
		signed := sign(t, message, keys...)
		_, second, _ := strings.Cut(signed, "\nDKIM-Signature:")
		second = "DKIM-Signature:" + second
		if err := verify(signed, private.Public()); err != nil {
			t.Errorf("%q by RSA: %v\n%s", message, err, signed)
		}
		if err := verify(second, brisbane(t).Public()); err != nil {
			t.Errorf("%q by Ed25519: %v\n%s", message, err, signed)
		}
		for what, change := range map[string]string{
			"From": "From: x@example.org\n", "Subject": "Subject: x\n", "To": "To: x\n", "Cc": "Cc: x\n", "Date": "Date: x\n", "Reply-To": "Reply-To: x\n",
			"type": "Content-Type: text/html\n", "encoding": "Content-Transfer-Encoding: base64\n", "MIME": "MIME-Version: 1.0\n", "Sender": "Sender: x\n", "ID": "Message-ID: x\n",
		} {
			at := strings.Index(signed, message)
			if verify(signed[:at]+change+message, private.Public()) == nil {
				t.Errorf("%q: another %s is taken", message, what)
			}
		}
	}
	signed := sign(t, letter, keys[0])
	for _, c := range [][2]string{
		{"dinner", "supper"}, {"Joe.\n", "Joe.\nx"}, {"Hi.", "H i."}, {"hungry yet?\n\n", "hungry yet?\n"}, {"s=s1", "s=s2"}, {"t=1795", "t=1796"},
		{"example.org", "example.net"}, {"Suzie Q", "SuzieQ"}, {"<joe@", "<jim@"}, {"From:", "X-From:"},
	} {
		changed := strings.Replace(signed, c[0], c[1], 1)
		if changed == signed || verify(changed, private.Public()) == nil {
			t.Errorf("%q instead of %q is taken", c[1], c[0])
		}
	}
	for _, c := range [][2]string{{"Subject: Is", "SUBJECT :  Is"}, {"game.  Are", "game. \tAre"}, {"Joe.\n", "Joe.  \n\n\n"}, {"To: Suzie", "X-New: y\nTo: Suzie"}} {
		if err := verify(strings.Replace(signed, c[0], c[1], 1), private.Public()); err != nil {
			t.Errorf("%q instead of %q is not taken: %v", c[1], c[0], err)
		}
	}
}

// lazy is a signer whose signatures are wrong, or who has none.
type lazy struct {
	crypto.Signer
	err error
}

func (l lazy) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, _ := l.Signer.Sign(nil, digest, opts)
	signature[3] ^= 1
	return signature, l.err
}

func TestWrongSigners(t *testing.T) {
	t.Parallel()
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	busy := errors.New("busy")
	m, err := Read(strings.NewReader(letter))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		signer crypto.Signer
		want   error
	}{
		{lazy{brisbane(t), nil}, errSignature}, {lazy{rsaKey(t), nil}, errSignature}, {lazy{brisbane(t), busy}, busy}, {curve, ErrKey},
	} {
		fields, err := m.Sign([]Key{{Signer: brisbane(t)}, {Selector: "s1", Signer: c.signer}}, noon)
		if !errors.Is(err, c.want) || fields != nil || !strings.Contains(err.Error(), "s1") {
			t.Errorf("%T: %q, %v, want %v", c.signer, fields, err, c.want)
		}
	}
}

func TestManyFields(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]error{maxEach: nil, maxEach + 1: ErrManyFields} {
		m, err := Read(strings.NewReader(strings.Repeat("To: x\n", n) + letter[strings.Index(letter, "Subject"):]))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Sign([]Key{{Signer: brisbane(t)}}, noon); err != want {
			t.Errorf("%d fields: %v", n, err)
		}
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	private := rsaKey(t)
	pkix, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Record(private.Public(), pkix, ""); err != nil || got != "v=DKIM1; k=rsa; p="+base64.StdEncoding.EncodeToString(pkix) {
		t.Errorf("%s, %v", got, err)
	}
	// As RFC 8463 has it.
	if got, err := Record(brisbane(t).Public(), nil, ""); err != nil || got != "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := Record("x", nil, ""); err == nil {
		t.Errorf("got %s", got)
	}
}

func BenchmarkSign(b *testing.B) {
	for name, signer := range map[string]crypto.Signer{"RSA": rsaKey(b), "Ed25519": brisbane(b)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sign(b, letter, Key{Domain: "example.org", Selector: "s1", Signer: signer})
			}
		})
	}
}
