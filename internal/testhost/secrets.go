package testhost

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"time"
)

// Where a host has what opens its SMTP server.
const (
	CertFile     = "/var/qmail/control/servercert.pem"
	PasswordFile = "/var/qmail/users/smtppasswd"
)

// GiveKey gives the host a private key with a certificate of its name, which
// is returned as PEM. Who trusts that trusts the host.
func (h *Host) GiveKey() (cert string) {
	h.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.WriteKey(CertFile, key)
}

// WriteKey is GiveKey with the key and the file given. The file appears whole.
func (h *Host) WriteKey(path string, key crypto.Signer) (cert string) {
	h.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		h.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: h.Name}, DNSNames: []string{h.Name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0), // clocks are moved
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		h.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		h.t.Fatal(err)
	}
	cert = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})) + cert
	h.WriteFile(path+".new", text, 0o600)
	h.Must("mv", path+".new", path)
	return cert
}

// GivePassword gives a user of SMTP a password, kept by a scheme of
// qmail-authpw.
func (h *Host) GivePassword(scheme, user, password string) {
	h.t.Helper()
	argv := []string{"/var/qmail/bin/qmail-authpw", "-s", scheme, user}
	result, err := h.Run(Within(h.t, patience), Command{Argv: argv, Stdin: password + "\n"})
	if err != nil || result.Code != 0 {
		h.t.Fatalf("qmail-authpw: %v, %v", err, result)
	}
}

// StartTLS goes on encrypted, with whoever it is: the certificate is not
// verified.
func (c *Client) StartTLS() error {
	if err := c.Command("STARTTLS", 2); err != nil {
		return err
	}
	c.c = tls.Client(c.c, &tls.Config{InsecureSkipVerify: true})
	c.r.Reset(c.c)
	return c.hello()
}

// Login is AUTH PLAIN.
func (c *Client) Login(user, password string) error {
	return c.Command("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)), 2)
}
