package qmailremote

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"postrider/internal/clock"
	"postrider/internal/dkim"
	"postrider/internal/dkimsign"
	"postrider/internal/queuedir"
	"postrider/internal/wire/sign"
)

const (
	// signAtOnce is how many messages are signed at a time: each may take a few
	// times dkim.MaxHeader.
	signAtOnce = 4
	// keepSignatures is how many are kept for further hosts that get a message,
	// and keepFor how long.
	keepSignatures = 512
	keepFor        = time.Hour
	// startTime is how long a message waits for the keys to be known.
	startTime = 5 * time.Second
)

// Why there is no signature.
var (
	errNoKeys = errors.New("qmail-tlskey, which has the keys, has not said which: does it run?")
	errLater  = errors.New("it took too long")
)

// signer has messages signed by the qmail-tlskey that has the keys of DKIM. A
// message is signed once, however many hosts it goes to.
type signer struct {
	client *sign.Client
	clock  clock.Clock
	places chan struct{}
	keys   atomic.Pointer[keyRing] // nil: not known yet
	known  chan struct{}           // closed when they are
	told   sync.Once

	mu    sync.Mutex
	made  map[madeFor]*signature
	order []madeFor // of made, the oldest first
}

// keyRing are the keys by the names of their files.
type keyRing map[string]crypto.Signer

// madeFor is what a signature is for.
type madeFor struct {
	id   queuedir.ID
	form form
}

// signature is one that was made, or is being made until done.
type signature struct {
	done   chan struct{}
	fields []byte
	err    error
	keys   []dkim.Key // by which
	until  time.Time
}

func newSigner(c clock.Clock) *signer {
	return &signer{client: sign.NewClient(), clock: c, places: make(chan struct{}, signAtOnce),
		made: make(map[madeFor]*signature), known: make(chan struct{})}
}

// takeDKIM takes a link to a qmail-tlskey that has new keys, or that is new itself.
func (w *worker) takeDKIM(f *os.File) error {
	if err := w.client.signer.client.Relink(f); err != nil {
		return err
	}
	go func() { // the answer may take a while
		if err := w.client.signer.learn(); err != nil {
			warn(w.log, "keys of DKIM: %v", err)
		}
	}()
	return nil
}

// learn asks which keys there are. Without an answer those that were known stay.
func (s *signer) learn() error {
	chains, err := s.client.Chains()
	if err != nil {
		return err
	}
	ring := make(keyRing, len(chains))
	for _, chain := range chains {
		public, err := x509.ParsePKIXPublicKey(chain.Certificates[0])
		if err != nil {
			return fmt.Errorf("%s: %w", chain.Name, err)
		}
		ring[chain.Name] = s.client.Signer(chain.ID(), public)
	}
	s.keys.Store(&ring)
	s.told.Do(func() { close(s.known) })
	return nil
}

// keysFor returns the keys of rules, or an error unless all are there.
func (s *signer) keysFor(ctx context.Context, rules []dkimsign.Rule) ([]dkim.Key, error) {
	ring := s.keys.Load()
	if ring == nil {
		// At a start, mail may be here before the keys.
		wait, cancel := context.WithTimeout(ctx, startTime)
		defer cancel()
		select {
		case <-s.known:
			ring = s.keys.Load()
		case <-wait.Done():
			return nil, errNoKeys
		}
	}
	keys := make([]dkim.Key, len(rules))
	for i, rule := range rules {
		key := (*ring)[rule.Key]
		if key == nil {
			return nil, fmt.Errorf("qmail-tlskey does not have the key control/%s/%s: it gets new ones by HUP to qmail-start", dkimsign.KeyDir, rule.Key)
		}
		keys[i] = dkim.Key{Domain: rule.Domain, Selector: rule.Selector, Lifetime: rule.Lifetime, Signer: key}
	}
	return keys, nil
}

// fields returns the signatures of a message in the form b.
func (s *signer) fields(ctx context.Context, how *signing, b *body, form form) ([]byte, error) {
	at := madeFor{how.id, form}
	for {
		made, ours := s.begin(at, how.keys)
		if ours {
			made.fields, made.err = s.make(ctx, how.keys, b)
			s.end(at, made)
			return made.fields, made.err
		}
		select {
		case <-made.done:
		case <-ctx.Done():
			return nil, errLater
		}
		// Another one's time or file is not ours.
		if !errors.Is(made.err, errLater) && !errors.Is(made.err, errUnreadable) {
			return made.fields, made.err
		}
	}
}

// begin returns the signature that is there or being made, or a new one that is
// the caller's to make.
func (s *signer) begin(at madeFor, keys []dkim.Key) (made *signature, ours bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	if made := s.made[at]; made != nil && made.isFor(keys) && now.Before(made.until) {
		return made, false
	}
	s.forget(at)
	for len(s.order) >= keepSignatures {
		s.forget(s.order[0])
	}
	made = &signature{done: make(chan struct{}), keys: keys, until: now.Add(keepFor)}
	s.made[at], s.order = made, append(s.order, at)
	return made, true
}

// isFor reports whether it was made by these keys, which may have changed.
func (m *signature) isFor(keys []dkim.Key) bool {
	if len(m.keys) != len(keys) {
		return false
	}
	for i, key := range keys {
		if m.keys[i] != key {
			return false
		}
	}
	return true
}

// end gives a signature to those who wait for it. One that could not be made is
// not kept.
func (s *signer) end(at madeFor, made *signature) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if made.err != nil && s.made[at] == made {
		s.forget(at)
	}
	close(made.done)
}

// forget drops what is known for at; the caller holds mu.
func (s *signer) forget(at madeFor) {
	if s.made[at] == nil {
		return
	}
	delete(s.made, at)
	for i, other := range s.order {
		if other == at {
			s.order = append(s.order[:i], s.order[i+1:]...)
			return
		}
	}
}

// make signs a message.
func (s *signer) make(ctx context.Context, keys []dkim.Key, b *body) ([]byte, error) {
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	case <-ctx.Done():
		return nil, errLater
	}
	m, err := b.forSigning()
	if err == dkim.ErrLongHeader {
		return nil, err
	}
	if err != nil {
		return nil, errUnreadable
	}
	return m.Sign(keys, s.clock.Now())
}
