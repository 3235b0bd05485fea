package auth

import (
	"errors"
	"time"

	"postrider/internal/wire/call"
	"postrider/internal/wire/codec"
)

const (
	// Wait is how long an answer may take, and how long a question waits for
	// its turn: a program may be asked, and passwords are made to cost time.
	Wait = 40 * time.Second
	// soon is how long the answer to M may take, for which no client waits.
	soon = 5 * time.Second
	// atOnce is how many questions are asked at a time. The link holds more; if
	// all who wait were in it, the next would be refused.
	atOnce = 32
)

var errUnsure = errors.New("it cannot tell now")

// Client asks who has the passwords.
type Client struct {
	*call.Client
	places chan struct{}
}

// NewClient returns a client that has no link yet.
func NewClient() *Client {
	return &Client{call.NewClient("who checks passwords"), make(chan struct{}, atOnce)}
}

// Mechanisms asks what can be checked, and waits for no peer that is gone
// (call.Client.AskNow).
func (c *Client) Mechanisms() (Mechanisms, error) {
	answer, err := c.AskNow(question{kind: kindMechanisms}.append(nil), soon)
	if err != nil {
		return 0, err
	}
	if len(answer) != 2 || answer[0] != kindMechanisms {
		return 0, errForm
	}
	return Mechanisms(answer[1]), nil
}

// Password asks whether a password is right.
func (c *Client) Password(a Attempt, password []byte) (Verdict, error) {
	return c.verdict(question{kind: kindPassword, Attempt: a, secret: password})
}

// CRAM asks whether a digest is the user's answer to a challenge.
func (c *Client) CRAM(a Attempt, challenge, digest []byte) (Verdict, error) {
	return c.verdict(question{kind: kindCRAM, Attempt: a, secret: challenge, proof: digest})
}

// Proof asks whether a SCRAM proof is right.
func (c *Client) Proof(a Attempt, message, proof []byte) (Verdict, error) {
	return c.verdict(question{kind: kindProof, Attempt: a, secret: message, proof: proof})
}

// Salt asks how the password of a user is salted.
func (c *Client) Salt(a Attempt) (salt []byte, iterations uint32, err error) {
	answer, err := c.ask(question{kind: kindSalt, Attempt: a})
	if err != nil {
		return nil, 0, err
	}
	r := codec.NewReader(answer)
	if r.Uint8() != kindSalt {
		return nil, 0, errUnsure
	}
	salt, iterations = r.Blob(MaxSalt), r.Uint32()
	return salt, iterations, r.Done()
}

func (c *Client) verdict(q question) (Verdict, error) {
	answer, err := c.ask(q)
	if err != nil {
		return Verdict{}, err
	}
	return parseVerdict(answer)
}

// ask waits for its turn and then for the answer. The next peer that is asked
// after one has ended counts attempts anew.
func (c *Client) ask(q question) ([]byte, error) {
	timer := time.NewTimer(Wait)
	defer timer.Stop()
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	case <-timer.C:
		return nil, call.ErrBusy
	}
	return c.Ask(q.append(nil), Wait)
}
