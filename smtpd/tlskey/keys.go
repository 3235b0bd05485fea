package tlskey

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"postrider/internal/privatekey"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/sign"
)

// path is how a log line names the file.
func (f keyFile) path() string {
	switch f.name {
	case "":
		return "control/servercert.pem"
	case parent.ClientKey:
		return "control/clientcert.pem"
	}
	if f.isDKIM() {
		return "control/domainkeys/" + f.dkimName()
	}
	return "control/servercerts/" + f.name + "/servercert.pem"
}

// readKey reads a private key and its certificates, in any order but that the
// certificate of the key comes before those of its issuers. No error holds a
// byte of the file.
func readKey(f keyFile) (sign.Key, error) {
	text, err := io.ReadAll(io.NewSectionReader(f.file, 0, privatekey.MaxFile+1))
	defer func() { clear(text) }()
	switch {
	case err != nil:
		return sign.Key{}, errors.New("it cannot be read")
	case len(f.name) > sign.MaxName:
		return sign.Key{}, errors.New("its name is too long")
	case f.isDKIM():
		return dkimKey(f, text)
	}
	read, err := privatekey.Parse(text)
	if err != nil {
		return sign.Key{}, err
	}
	key := sign.Key{Chain: sign.Chain{Name: f.name, Certificates: read.Certificates}, Signer: read.Key}
	return key, check(key)
}

// check compares the key with its certificate.
func check(key sign.Key) error {
	switch {
	case len(key.Certificates) == 0:
		return errors.New("it has no certificate")
	case key.Size() > sign.MaxCertificates:
		return fmt.Errorf("its certificates are larger than %d bytes", sign.MaxCertificates)
	}
	leaf, err := x509.ParseCertificate(key.Certificates[0])
	if err != nil {
		return fmt.Errorf("its first certificate: %w", err)
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(leaf.PublicKey) {
		return errors.New("its private key is not that of its first certificate")
	}
	return nil
}

// describe says what was read, with the day until which it is of use.
func describe(f keyFile, key sign.Key) string {
	if f.isDKIM() {
		return describeDKIM(f, key)
	}
	leaf, err := x509.ParseCertificate(key.Certificates[0])
	if err != nil {
		return f.path() // cannot be: check has parsed it
	}
	return fmt.Sprintf("%s: a key of %s, valid until %s", f.path(), leaf.PublicKeyAlgorithm, leaf.NotAfter.UTC().Format(time.DateOnly))
}
