// Package dane compares the certificates of a mail server with what the DNS
// says of them in TLSA records (RFC 6698, RFC 7671, RFC 7672).
//
// internal/resolver and qmail-remote import it. That the records are authentic
// is the caller's to know; the certificates are hostile.
package dane

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"time"
)

// What the fields of a record mean here.
const (
	usageTA = 2 // the key that issued the server's certificate
	usageEE = 3 // the key of the server itself

	selectorCertificate = 0
	selectorKey         = 1

	matchingFull   = 0
	matchingSHA256 = 1
	matchingSHA512 = 2
)

// Record is a TLSA record.
type Record struct {
	Usage, Selector, Matching uint8
	Data                      []byte
}

var (
	errNoCertificate = errors.New("the server showed no certificate")
	errNoMatch       = errors.New("no TLSA record matches its certificates")
)

// Usable returns the records that count for SMTP: the usages 0 and 1, which
// need certificate authorities, do not (RFC 7672 section 3.1.3).
func Usable(records []Record) []Record {
	var usable []Record
	for _, r := range records {
		if (r.Usage == usageTA || r.Usage == usageEE) && r.sound() {
			usable = append(usable, r)
		}
	}
	return usable
}

// sound reports whether the record can match anything.
func (r Record) sound() bool {
	if r.Selector != selectorCertificate && r.Selector != selectorKey {
		return false
	}
	switch r.Matching {
	case matchingFull:
		if r.Selector == selectorCertificate {
			_, err := x509.ParseCertificate(r.Data)
			return err == nil
		}
		_, err := x509.ParsePKIXPublicKey(r.Data)
		return err == nil
	case matchingSHA256:
		return len(r.Data) == sha256.Size
	case matchingSHA512:
		return len(r.Data) == sha512.Size
	}
	return false
}

// NamesCount reports whether it matters for which name a certificate is.
func NamesCount(records []Record) bool {
	for _, r := range records {
		if r.Usage == usageTA {
			return true
		}
	}
	return false
}

// Verify compares what a server showed, its own certificate first, with usable
// records. Names are those that the certificate may have if an authority of
// the records issued it; if the key is the server's own, neither name nor date
// counts (RFC 7672 section 3.1.1).
func Verify(records []Record, shown []*x509.Certificate, names []string, now time.Time) error {
	if len(shown) == 0 {
		return errNoCertificate
	}
	for _, r := range records {
		if r.Usage == usageEE && r.matches(shown[0]) {
			return nil
		}
	}
	anchors := x509.NewCertPool()
	found := false
	for _, r := range records {
		if r.Usage != usageTA {
			continue
		}
		for _, c := range shown[1:] {
			if r.matches(c) {
				anchors.AddCert(c)
				found = true
			}
		}
		if c := r.certificate(); c != nil {
			anchors.AddCert(c)
			found = true
		}
	}
	if !found {
		return errNoMatch
	}
	return issued(shown, anchors, names, now)
}

// issued verifies that one of the anchors issued the server's certificate for
// one of the names.
func issued(shown []*x509.Certificate, anchors *x509.CertPool, names []string, now time.Time) error {
	options := x509.VerifyOptions{Roots: anchors, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range shown[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := shown[0].Verify(options); err != nil {
		return err
	}
	err := errors.New("there is no name to verify")
	for _, name := range names {
		if err = shown[0].VerifyHostname(name); err == nil {
			return nil
		}
	}
	return err
}

// certificate returns the authority that the record has in full. The server
// need not show it (RFC 7671 section 5.2.2).
func (r Record) certificate() *x509.Certificate {
	if r.Selector != selectorCertificate || r.Matching != matchingFull {
		return nil
	}
	c, err := x509.ParseCertificate(r.Data)
	if err != nil {
		return nil
	}
	return c
}

func (r Record) matches(c *x509.Certificate) bool {
	part := c.Raw
	if r.Selector == selectorKey {
		part = c.RawSubjectPublicKeyInfo
	}
	switch r.Matching {
	case matchingSHA256:
		sum := sha256.Sum256(part)
		part = sum[:]
	case matchingSHA512:
		sum := sha512.Sum512(part)
		part = sum[:]
	}
	return bytes.Equal(part, r.Data)
}
