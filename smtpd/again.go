package smtpd

import (
	"time"

	"postrider/internal/wire/submit"
)

const (
	// againTime is how long a short message whose answer was lost waits for
	// the next qmail-spool: as long as a restart takes, and no longer than
	// the daemon has when it shall end.
	againTime = 5 * time.Second
	// againTries is how often it is sent again.
	againTries = 3
)

// again sends a short message again after its answer was lost: the spool that
// died may have committed it, and the client must not be told that it was not
// accepted. The nonce makes one message of two.
func (p *spool) again(last, envelope []byte, nonce submitNonce, lost error) (submit.Answer, error) {
	patience := time.NewTimer(againTime)
	defer patience.Stop()
	for range againTries {
		relinked := p.nextLink()
		if answer, err := p.exchange(commitFrames(last, envelope, nonce)); err == nil {
			return answer, nil
		}
		select {
		case <-relinked:
		case <-patience.C:
			return submit.Answer{}, lost
		}
	}
	return submit.Answer{}, lost
}

// nextLink returns a channel that is closed when a new link comes.
func (p *spool) nextLink() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.relinked
}
