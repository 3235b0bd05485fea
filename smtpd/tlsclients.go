package smtpd

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"postrider/internal/control"
	"postrider/internal/idn"
)

// readTLSClients reads who may relay by a client certificate: addresses, in
// certificates that control/clientca.pem vouches for, or fingerprints.
func (r *settingsReader) readTLSClients(s *settings) {
	var err error
	s.tlsClients, err = readTLSClients(r.dir)
	r.note(err)
	s.clientCAs, err = readClientCAs(r.dir)
	r.note(err)
}

// readTLSClients reads control/tlsclients; nil is no such file.
func readTLSClients(dir control.Dir) (map[string]struct{}, error) {
	clients := make(map[string]struct{})
	present, err := dir.Each("tlsclients", func(line string) error {
		key := idn.AddressKey(line)
		if !strings.Contains(line, "@") {
			key = strings.ToLower(strings.ReplaceAll(line, ":", ""))
			if sum, err := hex.DecodeString(key); err != nil || len(sum) != sha256.Size {
				return fmt.Errorf("%q is neither an address nor a SHA-256 fingerprint", line)
			}
		}
		clients[key] = struct{}{}
		return nil
	})
	if !present {
		return nil, err
	}
	return clients, nil
}

// readClientCAs reads control/clientca.pem; nil is no such file.
func readClientCAs(dir control.Dir) (*x509.CertPool, error) {
	text, present, err := dir.Text("clientca.pem")
	if err != nil || !present {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(text)) {
		return nil, fmt.Errorf("%s/clientca.pem: there is no certificate in it", dir)
	}
	return pool, nil
}

// trustedClient returns by what a client may relay who has shown these
// certificates, and proved that it has the key of the first; or "".
func (s *settings) trustedClient(shown []*x509.Certificate, now time.Time) string {
	if len(shown) == 0 || s.tlsClients == nil {
		return ""
	}
	leaf := shown[0]
	sum := sha256.Sum256(leaf.Raw)
	if print := hex.EncodeToString(sum[:]); s.isTLSClient(print) {
		return print
	}
	if s.clientCAs == nil || !s.vouchedFor(leaf, shown[1:], now) {
		return ""
	}
	for _, address := range addressesIn(leaf) {
		if s.isTLSClient(idn.AddressKey(address)) {
			return address
		}
	}
	return ""
}

func (s *settings) isTLSClient(key string) bool {
	_, found := s.tlsClients[key]
	return found
}

// vouchedFor reports whether one of clientca.pem has issued the certificate.
func (s *settings) vouchedFor(leaf *x509.Certificate, between []*x509.Certificate, now time.Time) bool {
	options := x509.VerifyOptions{
		Roots:         s.clientCAs,
		Intermediates: x509.NewCertPool(),
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range between {
		options.Intermediates.AddCert(c)
	}
	_, err := leaf.Verify(options)
	return err == nil
}

// emailAddress is an attribute of subjects, from before there was a field for
// addresses of its own.
var emailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

func addressesIn(c *x509.Certificate) []string {
	addresses := c.EmailAddresses
	for _, name := range c.Subject.Names {
		if text, ok := name.Value.(string); ok && name.Type.Equal(emailAddress) {
			addresses = append(addresses, text)
		}
	}
	return addresses
}
