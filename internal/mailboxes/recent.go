package mailboxes

import (
	"sync"
	"time"
)

const (
	// maxRecent bounds the recipients that are remembered.
	maxRecent = 4096
	// recentTime is how long at least one is; twice that at most.
	recentTime = 5 * time.Second
)

// recent remembers recipients that exist, for a moment: mail comes in bursts,
// and each question costs the way to another process and back.
type recent struct {
	mu       sync.Mutex
	now, old map[string]struct{} // of this period and of the one before
	began    time.Time
}

func (r *recent) has(recipient string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	if _, found := r.now[recipient]; found {
		return true
	}
	_, found := r.old[recipient]
	return found
}

func (r *recent) add(recipient string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	if r.now == nil || len(r.now) >= maxRecent/2 {
		r.old, r.now, r.began = r.now, make(map[string]struct{}), now
	}
	r.now[recipient] = struct{}{}
}

// turn begins a new period if this one is over; the caller holds mu.
func (r *recent) turn(now time.Time) {
	switch age := now.Sub(r.began); {
	case 0 <= age && age < recentTime:
	case 0 <= age && age < 2*recentTime:
		r.old, r.now, r.began = r.now, nil, r.began.Add(recentTime)
	default: // or the clock was set back
		r.old, r.now, r.began = nil, nil, now
	}
}
