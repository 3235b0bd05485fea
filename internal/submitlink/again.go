package submitlink

import (
	"errors"

	"postrider/internal/wire/submit"
)

// maxLost is how often the answer to a message may be lost: it may be why the
// spool dies.
const maxLost = 4

// Again calls handIn, which hands a message in, and again while the spool is being
// replaced. The one that ended, or that we did not hear, may have committed it, and
// the client must not be told that it was not accepted: the nonce makes one message
// of two. sent says that the spool may have it.
func (l *Link) Again(handIn func() (answer submit.Answer, sent bool, err error)) (answer submit.Answer, err error) {
	for lost := 0; ; {
		next := l.Absence.Next()
		for range 2 { // a connection may have ended while it was idle, or alone
			var sent bool
			answer, sent, err = handIn()
			if err == nil || errors.Is(err, submit.ErrBusy) {
				return answer, err
			}
			if sent {
				lost++
			}
		}
		if lost >= maxLost || !isGone(err) || !l.Absence.Await(next) {
			return answer, err
		}
	}
}
