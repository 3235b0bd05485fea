package qmailremote

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// brokenKey is a key whose process does not answer.
type brokenKey struct{ crypto.Signer }

func (brokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("qmail-tlskey: it does not run")
}

// TestOwnCertificate: a server that asks gets it; if it cannot be signed for,
// mail waits, and does not go in plain text.
func TestOwnCertificate(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	own := ca.issue(time.Time{}, "me.example.org")
	broken := *own
	broken.PrivateKey = brokenKey{own.PrivateKey.(crypto.Signer)}
	for _, c := range []struct {
		name  string
		own   *tls.Certificate
		shown string
		peer  string
		want  string
	}{
		{"shown", own, "me.example.org", secure + mailOver, okTLS + "none;/|"},
		{"none", nil, "", secure + mailOver, okTLS + "none;/|"},
		{"cannot sign", &broken, "", offered + "C STARTTLS\nS 220 go ahead\nT? tls",
			"ZConnected to 192.0.2.1 but TLS failed: the key of this host cannot sign now. (#4.7.5)/|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, oneExchanger...)
			h.cert, h.asksWho = ca.issue(time.Time{}, "mx.d.example"), true
			h.client.certificate = func(context.Context) *tls.Certificate { return c.own }
			h.peer("192.0.2.1", script(c.peer))
			if got := withoutCipher(h.deliver(simpleMessage, "d.example", "r@d.example")); got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			h.end()
			if got := strings.Join(h.shown, " "); got != c.shown {
				t.Errorf("the server was shown %q", got)
			}
		})
	}
}

// TestCertificateThatIsNotKnownYet: mail that is here before the answer of
// qmail-tlskey waits for it, and not for long.
func TestCertificateThatIsNotKnownYet(t *testing.T) {
	t.Parallel()
	own, cert := newOwnCertificate(), new(tls.Certificate)
	if own.shown(t.Context()) != nil {
		t.Error("there is one without a link")
	}
	answered := make(chan struct{})
	own.asked.Store(&answered)
	late, cancel := context.WithCancel(t.Context())
	cancel()
	if own.shown(late) != nil {
		t.Error("there is one without an answer")
	}
	shown := make(chan *tls.Certificate)
	go func() { shown <- own.shown(t.Context()) }()
	select {
	case <-shown:
		t.Fatal("it was not waited for")
	case <-time.After(20 * time.Millisecond):
	}
	own.cert.Store(cert)
	close(answered)
	if <-shown != cert {
		t.Error("it is not shown")
	}
}
