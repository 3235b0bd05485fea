package smtpd

import (
	"errors"
	"time"
)

// errSlow ends a session whose message text comes too slowly.
var errSlow = errors.New("too slow")

// pace measures how fast the text of a message comes. A client that sends an
// octet now and then would never be silent for long enough, and would hold its
// buffers for as long as a session may last (R60).
type pace struct {
	began  time.Time
	octets int64
}

func newPace() pace { return pace{began: time.Now()} }

// left is how long the next octets may take: what came so far may have taken a
// silence and as long as the lowest rate needs for it. A rate of 0 is none.
func (p *pace) left(silence time.Duration, rate int) time.Duration {
	if rate <= 0 {
		return silence
	}
	seconds := min(float64(p.octets)/float64(rate), 1e9)
	due := p.began.Add(silence + time.Duration(seconds*float64(time.Second)))
	return min(silence, time.Until(due))
}
