// Package absence is how long a daemon waits for a peer that it has no link to:
// one that is being replaced or restarted is there again in a moment, and what
// has to be asked or handed in waits for it. One that stays away is not waited
// for again and again.
//
// Only a peer that ended is waited for (Ended): what else fails is trouble of
// the caller's own, or of a peer that is there, and no new link comes of it.
//
// Daemons that have links import it. It knows nothing of what goes over them.
package absence

import (
	"errors"
	"io"
	"sync"
	"syscall"
	"time"
)

// Last is as much time as there is when the daemon itself ends.
const Last = 5 * time.Second

// Ended reports whether err is how a connection to a peer fails that ended.
func Ended(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// Absence is that of one peer. It may be used by many goroutines.
type Absence struct {
	// Limit is how long the peer may be away before nobody waits any more. It
	// is set before the first use.
	Limit time.Duration
	// Ending is closed when the daemon ends; nil: it does not.
	Ending <-chan struct{}

	mu   sync.Mutex
	away bool
	from time.Time
	back chan struct{} // closed and replaced when a link comes
}

// New returns the absence of a peer that was never there: nobody waits for it.
func New(limit time.Duration) *Absence {
	return &Absence{Limit: limit, away: true, back: make(chan struct{})}
}

// Begin notes that the peer is gone.
func (a *Absence) Begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.away {
		a.away, a.from = true, time.Now()
	}
}

// End notes that a link came.
func (a *Absence) End() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.away = false
	close(a.back)
	a.back = make(chan struct{})
}

// Next returns a channel that is closed when the next link comes. Who fetches
// it before he uses the present link misses none.
func (a *Absence) Next() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.back
}

// Await waits for the link that Next spoke of, as long as the limit leaves: all
// of it, if the peer is not known to be gone. It reports whether that came.
func (a *Absence) Await(next <-chan struct{}) bool {
	left := a.left()
	if left <= 0 {
		return isClosed(next)
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-next:
		return true
	case <-timer.C:
		return false
	case <-a.Ending:
	}
	timer.Reset(min(left, Last))
	select {
	case <-next:
		return true
	case <-timer.C:
		return false
	}
}

func (a *Absence) left() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.away {
		return a.Limit - time.Since(a.from)
	}
	return a.Limit
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
