package smtpd

import (
	"errors"
	"time"

	"postrider/internal/wire/submit"
)

const (
	// linkTime is how long a qmail-spool may be gone before there is no waiting
	// for the next one: as long as it takes to replace or to restart it.
	linkTime = 20 * time.Second
	// maxLost is how often the answer to a message may be lost: it may be why
	// the spool dies.
	maxLost = 4
)

// submit hands in a short message, and again while the spool is being replaced.
// The one that ended may have committed the message, and the client must not be
// told that it was not accepted: the nonce makes one message of two.
func (p *spool) submit(last, envelope []byte, nonce submitNonce) (answer submit.Answer, err error) {
	for lost := 0; ; {
		next := p.absence.Next()
		for range 2 { // a connection may have ended while it was idle, or alone
			answer, err = p.exchange(commitFrames(last, envelope, nonce))
			if err == nil || errors.Is(err, submit.ErrBusy) {
				return answer, err
			}
			if !errors.Is(err, errUnsent) {
				lost++
			}
		}
		if lost >= maxLost || !isGone(err) || !p.absence.Await(next) {
			return answer, err
		}
	}
}
