package tlskey

import (
	"crypto/x509"
	"os"

	"postrider/internal/wire/parent"
	"postrider/internal/wire/sign"
)

// Examine reads a file with a key of TLS as the daemon does, and returns the
// certificates in it, that of the key first. The key is forgotten.
func Examine(path string) ([]*x509.Certificate, error) {
	key, err := examine("", path)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for _, der := range key.Certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func examine(name, path string) (sign.Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return sign.Key{}, err
	}
	defer f.Close() // was only read
	return readKey(keyFile{name, f})
}

// ExamineDKIM reads a file with a key of DKIM as the daemon does, and returns
// its public half (SubjectPublicKeyInfo).
func ExamineDKIM(path string) (public []byte, err error) {
	key, err := examine(parent.DKIMKey, path)
	if err != nil {
		return nil, err
	}
	return key.Certificates[0], nil
}
