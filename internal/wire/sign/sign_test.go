package sign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/call"
)

func serve(t *testing.T, keys []Key) *Client {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := call.Serve(theirs, 2, func(q []byte) []byte { return Answer(q, keys[:min(2, len(keys))], keys[min(2, len(keys)):]) }); err != nil {
			t.Error(err)
		}
	}()
	c := NewClient()
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	return c
}

func testKeys(t *testing.T) (rsaKey *rsa.PrivateKey, ecKey *ecdsa.PrivateKey, edKey ed25519.PrivateKey, keys []Key) {
	t.Helper()
	var errs [3]error
	rsaKey, errs[0] = rsa.GenerateKey(rand.Reader, 2048)
	ecKey, errs[1] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, edKey, errs[2] = ed25519.GenerateKey(rand.Reader)
	if errs != [3]error{} {
		t.Fatal(errs)
	}
	for i, k := range []crypto.Signer{rsaKey, ecKey, edKey} {
		keys = append(keys, Key{Chain{Certificates: [][]byte{{byte(i)}, {0xff}}}, k})
		if i > 0 {
			keys[i].Name = fmt.Sprintf("host%d.example", i)
		}
	}
	return rsaKey, ecKey, edKey, keys
}

func TestChains(t *testing.T) {
	t.Parallel()
	_, _, _, keys := testKeys(t)
	got, err := serve(t, keys).Chains()
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	for i, c := range got {
		if !reflect.DeepEqual(c, keys[i].Chain) {
			t.Errorf("%v, want %v", c, keys[i].Chain)
		}
	}
	if got, err := serve(t, nil).Chains(); err != nil || len(got) != 0 {
		t.Errorf("without a key: %v, %v", got, err)
	}
}

func TestSign(t *testing.T) {
	t.Parallel()
	rsaKey, ecKey, edKey, keys := testKeys(t)
	c := serve(t, keys)
	d1, d256, d512 := sha1.Sum([]byte("x")), sha256.Sum256([]byte("x")), sha512.Sum512([]byte("x"))
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA512}
	for i, one := range []struct {
		key    int
		digest []byte
		opts   crypto.SignerOpts
		good   func(signature []byte) bool
	}{
		{0, d256[:], crypto.SHA256, func(s []byte) bool { return rsa.VerifyPKCS1v15(&rsaKey.PublicKey, crypto.SHA256, d256[:], s) == nil }},
		{0, d512[:], pss, func(s []byte) bool { return rsa.VerifyPSS(&rsaKey.PublicKey, crypto.SHA512, d512[:], s, pss) == nil }},
		{0, append(make([]byte, 16), d1[:]...), crypto.MD5SHA1, func(s []byte) bool { return len(s) == 256 }},
		{1, d1[:], crypto.SHA1, func(s []byte) bool { return ecdsa.VerifyASN1(&ecKey.PublicKey, d1[:], s) }},
		{1, d256[:], crypto.SHA256, func(s []byte) bool { return ecdsa.VerifyASN1(&ecKey.PublicKey, d256[:], s) }},
		{2, []byte("handshake"), crypto.Hash(0), func(s []byte) bool {
			return ed25519.Verify(edKey.Public().(ed25519.PublicKey), []byte("handshake"), s)
		}},
		{2, make([]byte, MaxData), crypto.Hash(0), func(s []byte) bool {
			return ed25519.Verify(edKey.Public().(ed25519.PublicKey), make([]byte, MaxData), s)
		}},
	} {
		signer := c.Signer(keys[one.key].ID(), keys[one.key].Public())
		signature, err := signer.Sign(nil, one.digest, one.opts)
		if err != nil || !one.good(signature) {
			t.Errorf("%d: %x, %v", i, signature, err)
		}
	}
}

// More handshakes than the link holds wait for each other.
func TestManySignAtOnce(t *testing.T) {
	t.Parallel()
	_, ecKey, _, keys := testKeys(t)
	c := serve(t, keys)
	signer := c.Signer(keys[1].ID(), keys[1].Public())
	digest := make([]byte, 32)
	var all sync.WaitGroup
	for range 2000 {
		all.Go(func() {
			if s, err := signer.Sign(nil, digest, crypto.SHA256); err != nil || !ecdsa.VerifyASN1(&ecKey.PublicKey, digest, s) {
				t.Errorf("%x, %v", s, err)
			}
		})
	}
	all.Wait()
}

// What is no digest is not signed, nor with a key that is not there.
func TestNotSigned(t *testing.T) {
	t.Parallel()
	_, _, _, keys := testKeys(t)
	c := serve(t, keys)
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	for i, one := range []struct {
		key    int
		length int
		opts   crypto.SignerOpts
	}{
		{0, 31, crypto.SHA256}, {0, 33, crypto.SHA256}, {0, 0, crypto.SHA256}, {0, 300, crypto.Hash(0)}, {0, 20, crypto.Hash(0)},
		{1, 32, crypto.SHA512}, {2, MaxData + 1, crypto.Hash(0)}, {2, 0, crypto.Hash(0)},
		{0, 32, &rsa.PSSOptions{SaltLength: 0, Hash: crypto.SHA256}}, {0, 31, pss}, {0, 28, crypto.SHA224},
		{2, 64, crypto.SHA512}, {2, 32, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}},
	} {
		s, err := c.Signer(keys[one.key].ID(), nil).Sign(nil, make([]byte, one.length), one.opts)
		if err != errRefused && err != errForm {
			t.Errorf("%d: %x, %v", i, s, err)
		}
	}
	if s, err := c.Signer(ID{}, nil).Sign(nil, make([]byte, 32), crypto.SHA256); err != errUnknown {
		t.Errorf("a key that is not there: %x, %v", s, err)
	}
	for _, q := range []string{"x", "C", "C1", "C123", "S", "S123", "S" + string(make([]byte, len(ID{}))), "S" + string(make([]byte, len(ID{})+1)), "S" + string(make([]byte, len(ID{})+2))} {
		if a := Answer([]byte(q), keys, nil); string(a) != "R" {
			t.Errorf("%q: %q", q, a)
		}
	}
}

func FuzzChain(f *testing.F) {
	f.Add(appendChain(nil, Chain{"mx.example", [][]byte{{1, 2, 3}, {4}}})[1:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseChain(b)
		if err == nil && !bytes.Equal(appendChain(nil, c)[1:], b) {
			t.Fatalf("%x becomes %v", b, c)
		}
	})
}

func FuzzRequest(f *testing.F) {
	for _, opts := range []crypto.SignerOpts{crypto.SHA256, crypto.Hash(0), &rsa.PSSOptions{SaltLength: -1, Hash: crypto.SHA256}} {
		b, err := appendRequest(nil, request{opts: opts, data: make([]byte, 32)})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[1:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRequest(b)
		if err != nil {
			return
		}
		again, err := appendRequest(nil, r)
		if err != nil || !bytes.Equal(again[1:], b) {
			t.Fatalf("%x becomes %x, %v", b, again, err)
		}
	})
}

// answering is a client whose peer answers the same to everything.
func answering(t *testing.T, answer []byte) *Client {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	go call.Serve(theirs, 2, func([]byte) []byte { return answer })
	c := NewClient()
	if err := c.Relink(ours); err != nil {
		t.Fatal(err)
	}
	return c
}

// What is no chain, and no signature, is taken for none.
func TestAnswersOfAnotherForm(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"R", "S", "C", "C\x02a", "C\x00", "C\x00\x00\x00\x00", "C\x00\x00\x00\x00\x00", "C\x00\x00\x00\x00\x02x", "C\xffx",
		"R\x01a\x00\x00\x00\x02xy", "C\xfe" + strings.Repeat("x", MaxName+1) + "\x00\x00\x00\x01x", "C\x00\x00\x00\x01"} {
		if chains, err := answering(t, []byte(answer)).Chains(); err == nil {
			t.Errorf("%q: %v", answer, chains)
		}
	}
	all, err := answering(t, []byte("C\x01a\x00\x00\x00\x02xy\x00\x00\x00\x01z")).Chains()
	if err != nil || len(all) != MaxChains || all[0].Name != "a" || all[0].Size() != 4+2+4+1 || string(all[0].Certificates[1]) != "z" {
		t.Errorf("a peer that never ends: %d chains, %v", len(all), err)
	}
	all, err = answering(t, []byte("C\xfd"+strings.Repeat("x", MaxName)+"\x00\x00\x00\x01x")).Chains()
	if err != nil || len(all[0].Name) != MaxName {
		t.Errorf("the longest name: %v", err)
	}
	digest := make([]byte, 32)
	for _, answer := range []string{"S", "R", "Cx", "S" + string(make([]byte, MaxSignature+1))} {
		if s, err := answering(t, []byte(answer)).Signer(ID{}, nil).Sign(nil, digest, crypto.SHA256); err != errRefused {
			t.Errorf("%.10q: %x, %v", answer, s, err)
		}
	}
	longest := make([]byte, MaxSignature)
	if s, err := answering(t, append([]byte("S"), longest...)).Signer(ID{}, nil).Sign(nil, digest, crypto.SHA256); err != nil || !bytes.Equal(s, longest) {
		t.Errorf("the longest signature: %d bytes, %v", len(s), err)
	}
	c := NewClient()
	if _, err := c.Chains(); !errors.Is(err, call.ErrNoLink) {
		t.Errorf("chains without a link: %v", err)
	}
	if _, err := c.Signer(ID{}, nil).Sign(nil, digest, crypto.SHA256); !errors.Is(err, call.ErrNoLink) {
		t.Errorf("a signature without a link: %v", err)
	}
	if got := c.Signer(ID{}, "key").Public(); got != "key" {
		t.Errorf("public key %v", got)
	}
}

// A handshake that finds all places taken waits for one, and not for ever.
func TestSignWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewClient()
		for range atOnce {
			c.places <- struct{}{}
		}
		begun := time.Now()
		if _, err := c.Signer(ID{}, nil).Sign(nil, make([]byte, 32), crypto.SHA256); err != call.ErrBusy || time.Since(begun) != Wait {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

// keyOf is a key that signs as it is told.
type keyOf struct {
	crypto.Signer
	signature []byte
	err       error
}

func (k keyOf) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return k.signature, k.err }

// A key that fails, or signs at too great a length, does not sign.
func TestKeyThatFails(t *testing.T) {
	t.Parallel()
	_, ecKey, _, _ := testKeys(t)
	chain := Chain{Certificates: [][]byte{{1}}}
	question, err := appendRequest(nil, request{chain.ID(), crypto.SHA256, make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key  keyOf
		want byte
	}{
		{keyOf{ecKey, []byte("x"), errors.New("no")}, kindRefused},
		{keyOf{ecKey, make([]byte, MaxSignature+1), nil}, kindRefused},
		{keyOf{ecKey, make([]byte, MaxSignature), nil}, kindSign},
	} {
		if got := Answer(question, []Key{{chain, c.key}}, nil); got[0] != c.want {
			t.Errorf("%d bytes, %v: %q", len(c.key.signature), c.key.err, got[0])
		}
	}
	for name, change := range map[string]func(q []byte){
		"hash": func(q []byte) { q[1+len(ID{})] = byte(len(hashes)) }, "padding": func(q []byte) { q[1+len(ID{})+1] = 2 },
	} {
		q := bytes.Clone(question)
		change(q)
		if got := Answer(q, []Key{{chain, ecKey}}, nil); got[0] != kindRefused {
			t.Errorf("another %s: %q", name, got)
		}
	}
}
