package submitlink

import (
	"errors"
	"time"

	"postrider/internal/wire/submit"
)

// maxLost is how often the answer to a message may be lost: it may be why the
// spool dies.
const maxLost = 4

// Again calls handIn, which hands a message in, and again while the spool is being
// replaced. The one that ended, or that we did not hear, may have committed it, and
// the client must not be told that it was not accepted: the nonce makes one message
// of two. sent says that the spool may have it.
//
// A spool that is there can lose connections alone, as one that is short of memory
// does, and one that leaves ends them all before the next link comes: it is tried
// again in a moment.
func (l *Link) Again(handIn func() (answer submit.Answer, sent bool, err error)) (answer submit.Answer, err error) {
	lost := 0
	for m := l.moments(); ; {
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
		if lost >= maxLost || !isGone(err) || !m.await(next) {
			return answer, err
		}
	}
}

// moments are the waits of one message for a spool.
type moments struct {
	link  *Link
	until time.Time
	pause time.Duration
}

// firstPause and longestPause are between two tries at a spool that is there.
const (
	firstPause   = 10 * time.Millisecond
	longestPause = time.Second
)

func (l *Link) moments() *moments {
	return &moments{link: l, until: time.Now().Add(l.Absence.Limit), pause: firstPause}
}

// await waits for the next link or, while there is one, for a moment. It reports
// whether there is something to try.
func (m *moments) await(next <-chan struct{}) bool {
	if m.link.Current() == nil {
		return m.link.Absence.Await(next)
	}
	if time.Now().After(m.until) {
		return false
	}
	timer := time.NewTimer(m.pause)
	defer timer.Stop()
	m.pause = min(2*m.pause, longestPause)
	select {
	case <-next:
	case <-timer.C:
	case <-m.link.Absence.Ending:
		return m.link.Absence.Await(next)
	}
	return true
}
