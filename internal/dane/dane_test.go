package dane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"reflect"
	"testing"
	"time"
)

// chain makes an authority and a certificate of it for mx.example.
func chain(t testing.TB, until time.Time) []*x509.Certificate {
	t.Helper()
	keys := make([]*ecdsa.PrivateKey, 2)
	for i := range keys {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"mx.example"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: until}
	made := make([]*x509.Certificate, 2)
	for i, template := range []*x509.Certificate{leaf, ca} {
		der, err := x509.CreateCertificate(rand.Reader, template, ca, keys[i].Public(), keys[1])
		if err != nil {
			t.Fatal(err)
		}
		if made[i], err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
	}
	return made
}

func sum256(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
func sum512(b []byte) []byte { s := sha512.Sum512(b); return s[:] }

func TestVerify(t *testing.T) {
	t.Parallel()
	good := chain(t, time.Now().Add(time.Hour))
	old := chain(t, time.Now().Add(-time.Minute))
	other := chain(t, time.Now().Add(time.Hour))
	leaf, ca := good[0], good[1]
	right, wrong := []string{"mx.example"}, []string{"mx.other.example"}
	for _, c := range []struct {
		name    string
		records []Record
		shown   []*x509.Certificate
		names   []string
		want    bool
	}{
		{"3 0 0", []Record{{3, 0, 0, leaf.Raw}}, good, wrong, true},
		{"3 0 1", []Record{{3, 0, 1, sum256(leaf.Raw)}}, good, wrong, true},
		{"3 0 2", []Record{{3, 0, 2, sum512(leaf.Raw)}}, good, wrong, true},
		{"3 1 0", []Record{{3, 1, 0, leaf.RawSubjectPublicKeyInfo}}, good, wrong, true},
		{"3 1 1", []Record{{3, 1, 1, sum256(leaf.RawSubjectPublicKeyInfo)}}, good, wrong, true},
		{"3 1 2", []Record{{3, 1, 2, sum512(leaf.RawSubjectPublicKeyInfo)}}, good, wrong, true},
		{"a date does not count for 3", []Record{{3, 1, 1, sum256(old[0].RawSubjectPublicKeyInfo)}}, old, nil, true},
		{"any record will do", []Record{{3, 1, 1, sum256(other[0].RawSubjectPublicKeyInfo)}, {3, 1, 1, sum256(leaf.RawSubjectPublicKeyInfo)}}, good, right, true},
		{"2 0 1", []Record{{2, 0, 1, sum256(ca.Raw)}}, good, right, true},
		{"2 1 1", []Record{{2, 1, 1, sum256(ca.RawSubjectPublicKeyInfo)}}, good, right, true},
		{"2 1 0", []Record{{2, 1, 0, ca.RawSubjectPublicKeyInfo}}, good, right, true},
		{"2 0 0, not shown", []Record{{2, 0, 0, ca.Raw}}, good[:1], right, true},
		{"one of the names", []Record{{2, 0, 1, sum256(ca.Raw)}}, good, append(wrong, right...), true},

		{"another key", []Record{{3, 1, 1, sum256(other[0].RawSubjectPublicKeyInfo)}}, good, right, false},
		{"3 does not mean the authority", []Record{{3, 1, 1, sum256(ca.RawSubjectPublicKeyInfo)}}, good, right, false},
		{"2 does not mean the server", []Record{{2, 1, 1, sum256(leaf.RawSubjectPublicKeyInfo)}}, good, right, false},
		{"the wrong name", []Record{{2, 0, 1, sum256(ca.Raw)}}, good, wrong, false},
		{"no name", []Record{{2, 0, 1, sum256(ca.Raw)}}, good, nil, false},
		{"2 with an old certificate", []Record{{2, 0, 1, sum256(old[1].Raw)}}, old, right, false},
		{"an authority that has not issued it", []Record{{2, 0, 1, sum256(other[1].Raw)}}, []*x509.Certificate{leaf, other[1]}, right, false},
		{"another authority", []Record{{2, 0, 1, sum256(other[1].Raw)}}, good, right, false},
		{"2 0 0, of another", []Record{{2, 0, 0, other[1].Raw}}, good, right, false},
		{"no record", nil, good, right, false},
		{"no certificate", []Record{{3, 0, 0, leaf.Raw}}, nil, right, false},
	} {
		if err := Verify(c.records, c.shown, c.names, time.Now()); (err == nil) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestUsable(t *testing.T) {
	t.Parallel()
	leaf := chain(t, time.Now().Add(time.Hour))[0]
	hash := make([]byte, 32)
	usable := []Record{{2, 0, 1, hash}, {3, 1, 2, make([]byte, 64)}, {3, 0, 0, leaf.Raw}, {3, 1, 0, leaf.RawSubjectPublicKeyInfo}}
	useless := []Record{{0, 0, 1, hash}, {1, 1, 1, hash}, {4, 0, 1, hash}, {255, 0, 1, hash}, {3, 2, 1, hash}, {3, 0, 3, hash},
		{3, 0, 1, hash[:31]}, {3, 0, 2, hash}, {3, 0, 0, hash}, {3, 1, 0, nil}, {3, 1, 1, nil}}
	if got := Usable(append(useless, usable...)); !reflect.DeepEqual(got, usable) {
		t.Errorf("got %v", got)
	}
	if NamesCount(usable[1:]) || !NamesCount(usable) {
		t.Error("names count for usage 2 only")
	}
}

// FuzzRecord lets a zone say anything; with the certificate of nobody there is
// no match but by what was taken from it.
func FuzzRecord(f *testing.F) {
	made := chain(f, time.Now().Add(time.Hour))
	f.Add(uint8(3), uint8(1), uint8(1), sum256(made[0].RawSubjectPublicKeyInfo))
	f.Add(uint8(2), uint8(0), uint8(0), made[1].Raw)
	f.Add(uint8(2), uint8(0), uint8(1), make([]byte, 32))
	f.Fuzz(func(t *testing.T, usage, selector, matching uint8, data []byte) {
		usable := Usable([]Record{{usage, selector, matching, data}})
		if len(usable) == 1 && usage != 2 && usage != 3 {
			t.Fatal("a usage that SMTP does not have")
		}
		_ = Verify(usable, made, []string{"mx.example"}, time.Now())
	})
}
