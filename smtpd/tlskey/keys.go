package tlskey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"time"

	"postrider/internal/wire/parent"
	"postrider/internal/wire/sign"
)

// Limits of RSA keys: what is smaller is broken, what is larger takes so long
// that clients wait for each other.
const (
	minRSA = 2048
	maxRSA = 8192
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
	text, err := io.ReadAll(io.NewSectionReader(f.file, 0, maxFile+1))
	defer func() { clear(text) }()
	switch {
	case err != nil:
		return sign.Key{}, errors.New("it cannot be read")
	case len(text) > maxFile:
		return sign.Key{}, fmt.Errorf("it is larger than %d bytes", maxFile)
	case len(f.name) > sign.MaxName:
		return sign.Key{}, errors.New("its name is too long")
	}
	key := sign.Key{Chain: sign.Chain{Name: f.name}}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if err := take(&key, block); err != nil {
			return sign.Key{}, err
		}
	}
	if f.isDKIM() {
		return dkimKey(f, key)
	}
	return key, check(key)
}

// take adds a block of the file.
func take(key *sign.Key, block *pem.Block) error {
	if block.Type == "CERTIFICATE" {
		key.Certificates = append(key.Certificates, block.Bytes)
		return nil
	}
	defer clear(block.Bytes)
	signer, err := parseKey(block)
	if err != nil || signer == nil {
		return err
	}
	if key.Signer != nil {
		return errors.New("it has two private keys")
	}
	key.Signer = signer
	return nil
}

// parseKey returns nil for a block of another kind, such as EC PARAMETERS.
func parseKey(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("its private key has a pass phrase")
	default:
		return nil, nil
	}
	if err != nil {
		return nil, errors.New("its private key cannot be read; is it encrypted?")
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if n := key.N.BitLen(); n < minRSA || n > maxRSA {
			return nil, fmt.Errorf("its RSA key has %d bits, not %d to %d", n, minRSA, maxRSA)
		}
		return key, nil
	case *ecdsa.PrivateKey:
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, errors.New("its private key is not one of RSA, ECDSA or Ed25519")
}

// check compares the key with its certificate.
func check(key sign.Key) error {
	switch {
	case key.Signer == nil:
		return errors.New("it has no private key")
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
