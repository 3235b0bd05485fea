package sign

import (
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"postrider/internal/wire/call"
)

// Wait is how long an answer may take; a handshake waits for it.
const Wait = 10 * time.Second

// Why there is no signature.
var (
	errUnknown = errors.New("it does not have this key any more")
	errRefused = errors.New("it does not sign this")
)

// atOnce is how many signatures are asked for at a time. The link holds more;
// if all who wait were in it, the next would be refused.
const atOnce = 32

// Client asks qmail-tlskey.
type Client struct {
	*call.Client
	places chan struct{}
}

// NewClient returns a client that has no link yet.
func NewClient() *Client {
	return &Client{call.NewClient("qmail-tlskey"), make(chan struct{}, atOnce)}
}

// Chains asks for all chains, the one without a name first. None means that
// the peer has no key. It waits for no peer that is gone (call.Client.AskNow).
func (c *Client) Chains() ([]Chain, error) {
	var all []Chain
	for i := range MaxChains {
		answer, err := c.AskNow(binary.BigEndian.AppendUint16([]byte{kindChain}, uint16(i)), Wait)
		if err != nil {
			return nil, err
		}
		if answer[0] == kindNone {
			return all, nil
		}
		if answer[0] != kindChain {
			return nil, fmt.Errorf("question for certificates: %w", errForm)
		}
		chain, err := parseChain(answer[1:])
		if err != nil {
			return nil, fmt.Errorf("certificates: %w", err)
		}
		all = append(all, chain)
	}
	return all, nil
}

// Signer is the private key of a chain, which the peer has. It is a
// crypto.Signer.
type Signer struct {
	client *Client
	id     ID
	public crypto.PublicKey
}

// Signer returns the private key to the public one of a chain.
func (c *Client) Signer(id ID, public crypto.PublicKey) *Signer {
	return &Signer{client: c, id: id, public: public}
}

// Public returns the public key.
func (s *Signer) Public() crypto.PublicKey { return s.public }

// Sign has a digest signed; the peer has randomness of its own.
func (s *Signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	question, err := appendRequest(nil, request{s.id, opts, digest})
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(Wait)
	defer timer.Stop()
	select {
	case s.client.places <- struct{}{}:
		defer func() { <-s.client.places }()
	case <-timer.C:
		return nil, call.ErrBusy
	}
	answer, err := s.client.Ask(question, Wait)
	switch {
	case err != nil:
		return nil, err
	case answer[0] == kindNone:
		return nil, errUnknown
	case answer[0] != kindSign || len(answer) == 1 || len(answer) > 1+MaxSignature:
		return nil, errRefused
	}
	return answer[1:], nil
}
