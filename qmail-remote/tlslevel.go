package qmailremote

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"postrider/internal/dane"
	"postrider/internal/tlspolicy"
	"postrider/internal/webpki"
)

// tlsLevel is what a connection must have before mail goes over it.
type tlsLevel int

const (
	ifOffered   tlsLevel = iota // TLS if it works, plain text if not
	inPlain                     // no TLS
	encrypted                   // TLS, with whoever it is
	byAuthority                 // a certificate that this machine trusts
	byDNS                       // a certificate that TLSA records are for
	byKey                       // one of some keys
)

// Who asks for what a connection must have, if it is the domain.
const (
	byDANE = "DANE"
	bySTS  = "MTA-STS"
)

// security is all that a connection must have. It does not change.
type security struct {
	level tlsLevel
	by    string // who asks for that, for people
	word  string // for the report, if the certificate is as it must be
	sni   string // the name in the handshake; may be empty
	names []string
	tlsa  []dane.Record
	pins  []tlspolicy.Hash
	old   bool
	// trial: a certificate that is not as it should be is only told.
	trial bool
	// require: the server must offer REQUIRETLS.
	require bool
	// reported is what is told of sessions; nil: nothing.
	reported *reported
	// remember is how long host, once it has had TLS, gets nothing without.
	remember time.Duration
	host     string
	// key is the same for all that is alike: their deliveries share connections.
	key string
}

// plainText is for a server with which TLS has failed.
var plainText = security{level: inPlain}

// plainWillDo reports whether mail may go in plain text if TLS does not work.
func (w *security) plainWillDo() bool { return w.level == ifOffered || w.trial }

// asks is the end of a sentence about what failed.
func (w *security) asks() string {
	if w.by == "" {
		return ""
	}
	return ", for which " + printable(w.by) + " asks"
}

// wrongCertificate says why the certificate is not as it must be.
type wrongCertificate struct {
	err error
	// ours: it cannot be said now what this machine trusts.
	ours bool
}

func (w *wrongCertificate) Error() string { return w.err.Error() }

// config is for one handshake. Certificates are looked at behind it, by verify.
func (w *security) config(own func(*tls.CertificateRequestInfo) (*tls.Certificate, error)) *tls.Config {
	c := &tls.Config{
		ServerName:           w.sni,
		InsecureSkipVerify:   true,
		MinVersion:           tls.VersionTLS12,
		GetClientCertificate: own,
	}
	if w.old {
		c.MinVersion = tls.VersionTLS10
	}
	return c
}

// verify tells by what the server was verified, or what is wrong with it. An error of roots, which are
// this machine's, is none of the server's, but no mail may go either.
func (w *security) verify(shown []*x509.Certificate, roots func() (*x509.CertPool, error), now time.Time) (word string, err error) {
	ours := false
	switch w.level {
	case byAuthority:
		var pool *x509.CertPool
		if pool, err = roots(); err != nil {
			ours = true
		} else {
			err = webpki.Verify(pool, shown, w.names, now)
		}
	case byDNS:
		err = dane.Verify(w.tlsa, shown, w.names, now)
	case byKey:
		err = w.pinned(shown)
	default:
		return "none", nil
	}
	if err == nil {
		return w.word, nil
	}
	return "none", &wrongCertificate{err, ours}
}

func (w *security) pinned(shown []*x509.Certificate) error {
	if len(shown) == 0 {
		return errors.New("the server showed no certificate")
	}
	if !slices.Contains(w.pins, tlspolicy.Hash(sha256.Sum256(shown[0].RawSubjectPublicKeyInfo))) {
		return errors.New("it has another key")
	}
	return nil
}
