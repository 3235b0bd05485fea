// Package webpki has the certificate authorities that this machine trusts, and
// verifies certificates of other hosts with them.
//
// qmail-remote and qmail-mtasts import it. The file of authorities is the
// administrator's; certificates of hosts are hostile.
package webpki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
)

// bundles are where systems have all authorities in one file. The first that
// exists counts.
var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt", // Debian, Arch, Gentoo, Alpine
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

// maxBundle is the most bytes of such a file.
const maxBundle = 16 << 20

// ErrNoRoots says that this machine trusts nobody.
var ErrNoRoots = errors.New("this machine has no file of certificate authorities in /etc/ssl or /etc/pki")

// Roots are the authorities, read again when their file changes. Many
// goroutines may use them.
type Roots struct {
	bundles []string

	mu   sync.Mutex
	path string
	seen fs.FileInfo
	pool *x509.CertPool
}

// SystemRoots returns the authorities of this machine.
func SystemRoots() *Roots { return &Roots{bundles: bundles} }

// Pool returns the authorities as they are now.
func (r *Roots) Pool() (*x509.CertPool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, path := range r.bundles {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if r.pool != nil && r.path == path && same(r.seen, info) {
			return r.pool, nil
		}
		pool, err := read(path, info)
		if err != nil {
			return nil, err
		}
		r.path, r.seen, r.pool = path, info, pool
		return pool, nil
	}
	return nil, ErrNoRoots
}

func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func read(path string, info fs.FileInfo) (*x509.CertPool, error) {
	if !info.Mode().IsRegular() || info.Size() > maxBundle {
		return nil, fmt.Errorf("%s is no file of certificates", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: there is no certificate in it", path)
	}
	return pool, nil
}

// Verify verifies that an authority has issued what a server showed, its own
// certificate first, for one of the names. A name that begins with a dot
// stands for all below it.
func Verify(roots *x509.CertPool, shown []*x509.Certificate, names []string, now time.Time) error {
	if len(shown) == 0 {
		return errors.New("the server showed no certificate")
	}
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range shown[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := shown[0].Verify(options); err != nil {
		return err
	}
	for _, name := range names {
		if isFor(shown[0], name) {
			return nil
		}
	}
	return &WrongName{has: shown[0].DNSNames, wanted: names}
}

// WrongName is the error of a certificate that is for none of the names.
type WrongName struct{ has, wanted []string }

func (e *WrongName) Error() string {
	return fmt.Sprintf("the certificate is for %.200q, not for %s", strings.Join(e.has, " "), strings.Join(e.wanted, " or "))
}

func isFor(c *x509.Certificate, name string) bool {
	if !strings.HasPrefix(name, ".") {
		return c.VerifyHostname(name) == nil
	}
	for _, has := range c.DNSNames {
		if strings.HasSuffix(strings.ToLower(has), name) {
			return true
		}
	}
	return false
}
