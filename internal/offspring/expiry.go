package offspring

import "sync"

// Expiry is the end of a program before its time, by somebody else than who waits
// for it: a number that was waited for may be another program's.
type Expiry struct {
	mu     sync.Mutex
	over   bool // it was waited for
	killed bool
}

// Kill ends a family unless its leader was waited for.
func (e *Expiry) Kill(f Family) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.over {
		e.killed = true
		f.Kill()
	}
}

// Ended is called when the leader was waited for, and says whether it was killed.
func (e *Expiry) Ended() (killed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
	return e.killed
}
