package privatekey

import (
	"crypto"
	"crypto/ecdsa"
	"errors"
)

// ParseDKIM reads the text of a file with a key of DKIM: one of RSA or Ed25519
// (RFC 8463), and no certificate, since the DNS vouches for it.
func ParseDKIM(text []byte) (crypto.Signer, error) {
	f, err := Parse(text)
	if err != nil {
		return nil, err
	}
	if len(f.Certificates) > 0 {
		return nil, errors.New("it has a certificate: a key of TLS is for nothing else")
	}
	if _, is := f.Key.Public().(*ecdsa.PublicKey); is {
		return nil, errors.New("its private key is not one of RSA or Ed25519")
	}
	return f.Key, nil
}
