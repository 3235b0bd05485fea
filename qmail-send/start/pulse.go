package start

import (
	"fmt"
	"time"

	"postrider/internal/wire/parent"
)

// A daemon that is stopped, or whose loop hangs, has deliveries and clients
// that nobody else can end. So each is asked again and again whether it does
// anything: by a frame that it has to take. That it was taken is seen in the
// socket, for nothing that a daemon says is read here.
const (
	pulseInterval = 10 * time.Second
	// maxMissed is at how many looks in a row a frame may still be there. They
	// are counted and not timed: when the whole machine was asleep, so were we.
	maxMissed = 3
)

// pulse is what the looks at a member found.
type pulse struct {
	listens bool // it has taken all that belongs to its start
	missed  int
}

// takePulses looks at all members when it is time to.
func (s *supervisor) takePulses(now time.Time) {
	if now.Before(s.pulseDue) {
		return
	}
	s.pulseDue = now.Add(pulseInterval)
	for _, m := range s.plan.members {
		if m.lines != nil {
			s.takePulse(m)
		}
	}
}

// takePulse kills a member that does not take its frames. A start takes as
// long as it takes: locks are waited for, and a large queue is made durable.
func (s *supervisor) takePulse(m *member) {
	waiting, err := m.lines.Untaken()
	switch {
	case err != nil:
		return // it is ending: its exit is about to be seen
	case !waiting:
		m.pulse = pulse{listens: true}
		s.give(m, parent.Frame{Kind: parent.Pulse})
	case m.pulse.listens:
		if m.pulse.missed++; m.pulse.missed >= maxMissed {
			s.kill(m, fmt.Sprintf("has done nothing for %v", maxMissed*pulseInterval))
		}
	}
}
