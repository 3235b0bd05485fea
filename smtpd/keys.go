package smtpd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"postrider/internal/wire/sign"
)

// memoryGoalTLS is memoryGoal with room for the TLS of sessions.
const memoryGoalTLS = memoryGoal + 64<<20

// keyring is what is known of the keys, which qmail-tlskey has. The classic
// form has none: nil.
type keyring struct {
	client *sign.Client
	linked atomic.Bool
	certs  atomic.Pointer[certificates] // nil: there are none
}

func newKeyring() *keyring { return &keyring{client: sign.NewClient()} }

// present reports whether there is to be TLS.
func (k *keyring) present() bool { return k != nil && k.linked.Load() }

// certificates returns those of now, or nil.
func (k *keyring) certificates() *certificates {
	if k == nil {
		return nil
	}
	return k.certs.Load()
}

// relink takes the link to a qmail-tlskey that has new keys, or that is new
// itself, and asks for the certificates. Without an answer those that were
// known stay: their keys may be there again.
func (k *keyring) relink(f *os.File) error {
	if !k.linked.Swap(true) && debug.SetMemoryLimit(-1) == memoryGoal {
		debug.SetMemoryLimit(memoryGoalTLS)
	}
	if err := k.client.Relink(f); err != nil {
		return err
	}
	chains, err := k.client.Chains()
	if err != nil {
		return err
	}
	certs, err := newCertificates(k.client, chains)
	if err != nil {
		return err
	}
	k.certs.Store(certs)
	return nil
}

// certificates are by the name of their host; the default has none.
type certificates struct{ byName map[string]*tls.Certificate }

// newCertificates returns nil if there are no chains.
func newCertificates(client *sign.Client, chains []sign.Chain) (*certificates, error) {
	if len(chains) == 0 {
		return nil, nil
	}
	c := &certificates{make(map[string]*tls.Certificate, len(chains))}
	for _, chain := range chains {
		leaf, err := x509.ParseCertificate(chain.Certificates[0])
		if err != nil {
			return nil, fmt.Errorf("certificate of %q: %w", chain.Name, err)
		}
		c.byName[chain.Name] = &tls.Certificate{
			Certificate: chain.Certificates,
			PrivateKey:  client.Signer(chain.ID(), leaf.PublicKey),
			Leaf:        leaf,
		}
	}
	if c.byName[""] == nil {
		return nil, errors.New("no certificate is the default")
	}
	return c, nil
}

// pick returns the certificate for the name that a client asks for. Hosts that
// send mail often ask for names that are not here, and would rather see another
// certificate than none.
func (c *certificates) pick(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.byName[c.served(hello.ServerName)], nil
}

// served returns the name under which a host that was asked for has a
// certificate of its own, or "".
func (c *certificates) served(name string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if c.byName[name] == nil {
		return ""
	}
	return name
}
