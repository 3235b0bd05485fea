package dkim

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"

	"postrider/internal/dkim/dkimtest"
)

// verify verifies the first signature of a message.
var verify = dkimtest.Verify

// letter is the message of RFC 8463 appendix A.
const letter = `From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
`

const signedLetter = `DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
` + letter

// brisbane is the key of that example.
func brisbane(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	seed, err := base64.StdEncoding.DecodeString("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
	if err != nil {
		t.Fatal(err)
	}
	return ed25519.NewKeyFromSeed(seed)
}

// TestReferenceVerifiesTheStandard: what the other tests rely on.
func TestReferenceVerifiesTheStandard(t *testing.T) {
	t.Parallel()
	if err := verify(signedLetter, brisbane(t).Public()); err != nil {
		t.Error(err)
	}
	if verify(strings.Replace(signedLetter, "hungry", "angry", 1), brisbane(t).Public()) == nil {
		t.Error("another body is taken")
	}
	if verify(strings.Replace(signedLetter, "dinner", "supper", 1), brisbane(t).Public()) == nil {
		t.Error("another header is taken")
	}
}

// canonical is what a message becomes here.
func canonical(t testing.TB, message string, piece int) (fields []string, body string) {
	t.Helper()
	var out bytes.Buffer
	b := &bodyHash{hash: recorder{&out}, out: make([]byte, 0, outSize)}
	h, err := read(&pieces{message, piece}, b)
	if err != nil {
		t.Fatal(err)
	}
	b.sum()
	for _, f := range h.fields {
		fields = append(fields, string(appendRelaxed(nil, f.text)))
	}
	return fields, out.String()
}

// recorder is a hash that keeps what it is given.
type recorder struct{ *bytes.Buffer }

func (r recorder) Sum([]byte) []byte { return nil }
func (r recorder) Size() int         { return 0 }
func (r recorder) BlockSize() int    { return 1 }

// pieces reads a text some octets at a time.
type pieces struct {
	left string
	most int
}
