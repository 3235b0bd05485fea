package tlskey

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"postrider/internal/privatekey"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/sign"
)

// isDKIM tells the files with keys of DKIM by their names.
func (f keyFile) isDKIM() bool { return strings.HasPrefix(f.name, parent.DKIMKey) }

// dkimName is the name of the file.
func (f keyFile) dkimName() string { return strings.TrimPrefix(f.name, parent.DKIMKey) }

// dkimKey makes a key of DKIM of what a file has. Its public half stands in the
// place of a certificate: the DNS vouches for it.
func dkimKey(f keyFile, text []byte) (sign.Key, error) {
	key, err := privatekey.ParseDKIM(text)
	if err != nil {
		return sign.Key{}, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return sign.Key{}, errors.New("its public key has no form")
	}
	return sign.Key{Chain: sign.Chain{Name: f.dkimName(), Certificates: [][]byte{public}}, Signer: key}, nil
}

// without says that a key of DKIM cannot be used. The others do not depend on it;
// the one of that name before it stays.
func (d *daemon) without(f keyFile, err error) []sign.Key {
	for _, key := range *d.keys.Load() {
		if key.Name == f.dkimName() {
			d.log(fmt.Sprintf("%salert: %s: %v; the key before it stays", logPrefix, f.path(), err))
			return []sign.Key{key}
		}
	}
	d.log(fmt.Sprintf("%salert: %s: %v; mail that it signs waits", logPrefix, f.path(), err))
	return nil
}

func describeDKIM(f keyFile, key sign.Key) string {
	kind := "Ed25519"
	if public, err := x509.ParsePKIXPublicKey(key.Certificates[0]); err == nil {
		if r, is := public.(interface{ Size() int }); is {
			kind = fmt.Sprintf("RSA, %d bits", 8*r.Size())
		}
	}
	return fmt.Sprintf("%s: a key of %s", f.path(), kind)
}
