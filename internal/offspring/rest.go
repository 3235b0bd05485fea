package offspring

import (
	"sync"
	"time"
)

const (
	// maxResting is how many families without a leader may have time left.
	maxResting = 64
	// firstPause is how long after its end it is looked whether a family has ended,
	// and lastPause how long at most when it has not: each pause is twice the one
	// before.
	firstPause = time.Second
	lastPause  = time.Minute
)

// resting are the families of this process, as their marks are, whose leader has
// ended and that still have time.
var resting struct {
	sync.Mutex
	until map[uint64]*time.Timer
	// turn is had by who ends one of them.
	turn sync.Mutex
}

// Rest ends what the leader of a family, for whom was waited now, has left behind:
// at the time given, or at once if too many others have time left. Where programs
// cannot be marked nobody knows what that is. Whoever ends himself calls EndRest.
func (f Family) Rest(until time.Time) {
	if f.mark == 0 || !f.kin().live() {
		return
	}
	resting.Lock()
	room := len(resting.until) < maxResting
	if room {
		if resting.until == nil {
			resting.until = make(map[uint64]*time.Timer)
		}
		resting.until[f.mark] = time.AfterFunc(time.Until(until), func() { f.endRest(firstPause) })
	}
	resting.Unlock()
	if !room {
		f.kin().end()
	}
}

// endRest ends a family, and looks again after a pause whether it has.
func (f Family) endRest(pause time.Duration) {
	resting.turn.Lock()
	defer resting.turn.Unlock()
	live := f.kin().live()
	if live {
		f.kin().end()
	}
	resting.Lock()
	defer resting.Unlock()
	switch _, known := resting.until[f.mark]; {
	case !known: // EndRest came first
	case live:
		resting.until[f.mark] = time.AfterFunc(pause, func() { f.endRest(min(2*pause, lastPause)) })
	default:
		delete(resting.until, f.mark)
	}
}

// EndRest ends at once all that has time left.
func EndRest() {
	resting.Lock()
	all := make(kin)
	for mark, timer := range resting.until {
		timer.Stop()
		all[mark] = true
	}
	clear(resting.until)
	resting.Unlock()
	if len(all) > 0 {
		all.end()
	}
}
