package privatekey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// Limits of RSA keys: what is smaller is broken, what is larger takes so long
// that clients wait for each other.
const (
	minRSA = 2048
	maxRSA = 8192
)

// MaxFile is the most bytes that a file may have: a key and a chain that fit into
// one handshake take half of it.
const MaxFile = 128 << 10

var errNoKey = errors.New("it has no private key")

// File is what a file holds.
type File struct {
	Key          crypto.Signer // of RSA, ECDSA or Ed25519
	Certificates [][]byte      // in DER, in the order of the file; perhaps none
}

// Parse reads the text of a file, which has to have one key.
func Parse(text []byte) (File, error) {
	if len(text) > MaxFile {
		return File{}, fmt.Errorf("it is larger than %d bytes", MaxFile)
	}
	var f File
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if err := f.take(block); err != nil {
			return File{}, err
		}
	}
	if f.Key == nil {
		return File{}, errNoKey
	}
	return f, nil
}

// take adds a block of the file.
func (f *File) take(block *pem.Block) error {
	if block.Type == "CERTIFICATE" {
		f.Certificates = append(f.Certificates, block.Bytes)
		return nil
	}
	defer clear(block.Bytes)
	key, err := parseKey(block)
	if err != nil || key == nil {
		return err
	}
	if f.Key != nil {
		return errors.New("it has two private keys")
	}
	f.Key = key
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
