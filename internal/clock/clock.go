// Package clock is how a program learns the time. Programs take a Clock as a
// value, so that a test can move it; production passes Real.
//
// Everybody may import it.
package clock

import "time"

// Clock tells the time and wakes at a time.
type Clock interface {
	// Now returns the current wall-clock time.
	Now() time.Time
	// At returns a channel that delivers once the clock has reached t, and a
	// function that frees what the wait holds. The channel may also deliver
	// early; a caller looks at Now again.
	At(t time.Time) (c <-chan time.Time, stop func())
}

// Real returns the machine's clock.
func Real() Clock { return realClock{} }

// maxWait bounds one wait: the timer runs on monotonic time, so after a jump
// of the wall clock a waiter looks at Now again within this time.
const maxWait = time.Minute

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) At(t time.Time) (<-chan time.Time, func()) {
	// Round strips the monotonic reading: the difference is of wall times.
	d := t.Round(0).Sub(time.Now().Round(0))
	timer := time.NewTimer(max(0, min(d, maxWait)))
	return timer.C, func() { timer.Stop() }
}
