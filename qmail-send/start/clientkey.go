package start

import (
	"errors"
	"io/fs"

	"postrider/internal/wire/parent"
)

// clientCertFile holds the private key and the certificate that other hosts
// get which ask qmail-remote for one. A qmail-tlskey of its own has the key:
// who is asked by qmail-remote does not have those of qmail-smtpd.
const clientCertFile = "clientcert.pem"

// openClient returns the frames that hand the key over.
func (k keyFiles) openClient() ([]parent.Frame, error) {
	f, err := k.openOne(clientCertFile)
	if err != nil {
		return nil, err
	}
	return []parent.Frame{{Kind: parent.Key, Name: parent.ClientKey, File: f}, {Kind: parent.KeysComplete}}, nil
}

// readClientKey opens the key, if there is one.
func (set *settings) readClientKey(files keyFiles) error {
	frames, err := files.openClient()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	set.clientKey, set.openClientKey = frames, files.openClient
	return err
}

// addClientKey adds who has the key to the plan, or nobody.
func (p *plan) addClientKey(set settings) *member {
	if len(set.clientKey) == 0 {
		return nil
	}
	m := p.add("qmail-tlskey", " client", stopSpool) // asked until the last delivery
	m.gifts, m.renew = set.clientKey, set.openClientKey
	return m
}
