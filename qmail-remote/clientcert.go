package qmailremote

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"postrider/internal/wire/sign"
)

// ownCertificate is what servers get that ask who we are. Its key is in
// qmail-tlskey.
type ownCertificate struct {
	client *sign.Client
	cert   atomic.Pointer[tls.Certificate] // nil: there is none
	// asked is set with the first link, and closed when that has an answer.
	asked atomic.Pointer[chan struct{}]
}

func newOwnCertificate() *ownCertificate { return &ownCertificate{client: sign.NewClient()} }

// shown returns the certificate; nil: there is none. At a start mail may be here
// before it: a host that takes our mail for it alone would refuse that for good.
func (o *ownCertificate) shown(ctx context.Context) *tls.Certificate {
	if asked := o.asked.Load(); asked != nil && o.cert.Load() == nil {
		wait, cancel := context.WithTimeout(ctx, startTime)
		defer cancel()
		select {
		case <-*asked:
		case <-wait.Done():
		}
	}
	return o.cert.Load()
}

// learn asks for the certificate after a new link was made. Without an answer
// the one that was known stays.
func (o *ownCertificate) learn() error {
	chains, err := o.client.Chains()
	if err != nil || len(chains) == 0 {
		return err
	}
	leaf, err := x509.ParseCertificate(chains[0].Certificates[0])
	if err != nil {
		return fmt.Errorf("own certificate: %w", err)
	}
	o.cert.Store(&tls.Certificate{
		Certificate: chains[0].Certificates,
		PrivateKey:  o.client.Signer(chains[0].ID(), leaf.PublicKey),
		Leaf:        leaf,
	})
	return nil
}

// takeKey takes a link to a qmail-tlskey that has new keys, or that is new itself.
func (w *worker) takeKey(f *os.File) error {
	if err := w.own.client.Relink(f); err != nil {
		return err
	}
	answered := make(chan struct{})
	first := w.own.asked.CompareAndSwap(nil, &answered)
	go func() { // the answer may take a while
		if err := w.own.learn(); err != nil {
			warn(w.log, "link to qmail-tlskey: %v", err)
		}
		if first {
			close(answered)
		}
	}()
	return nil
}

// errOwnKey says that a handshake failed by our fault.
var errOwnKey = errors.New("the key of this host cannot sign now")

// ownKey is the key in one handshake; failed tells whether it could not sign.
type ownKey struct {
	crypto.Signer
	failed bool
}

func (k *ownKey) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := k.Signer.Sign(rand, digest, opts)
	k.failed = err != nil
	return signature, err
}

// certificateFor returns what a handshake shows to a server that asks. The
// classic form has nothing to show.
func (c *client) certificateFor(key *ownKey) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		var known *tls.Certificate
		if c.certificate != nil {
			known = c.certificate(asked.Context())
		}
		if known == nil {
			return new(tls.Certificate), nil // nobody in particular
		}
		shown := *known
		key.Signer, _ = known.PrivateKey.(crypto.Signer)
		shown.PrivateKey = key
		return &shown, nil
	}
}
