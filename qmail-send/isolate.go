package qmailsend

import (
	"os"

	"postrider/internal/queuedir"
)

// When a delivery agent goes away, each message that it had may be the one that
// made it. All are tried again together; those that meet that again are
// suspects, few of which are in hand at a time, and later one. A pass that ends
// in another way clears a message; who is left is held. A user's qmail-local
// that ends is not counted: it harms nobody else, and he can end it himself.

const (
	suspectLosses = 2
	loneLosses    = 3
	maxLosses     = 4
	// maxSuspects is how many messages with suspectLosses are in hand at a time.
	maxSuspects = 16
)

// waitsAlone reports whether m may not be taken in hand now because of others
// that are suspected as it is.
func (s *scheduler) waitsAlone(m *message) bool {
	if m.losses < suspectLosses {
		return false
	}
	inHand := 0
	for other := range s.suspects {
		if other == m || other.active == nil && !other.is(loading) {
			continue
		}
		if inHand++; m.losses >= loneLosses || other.losses >= loneLosses {
			return true
		}
	}
	return inHand >= maxSuspects
}

// countLoss notes how a pass ended, and holds a message of which too many ended
// with the end of the delivery agent.
func (s *scheduler) countLoss(p *pass) {
	m := p.a.m
	if !p.lost {
		if m.losses > 0 {
			m.losses = 0
			delete(s.suspects, m)
		}
		return
	}
	if s.exiting {
		return // nobody died of it
	}
	m.losses++
	if m.losses >= suspectLosses {
		s.suspects[m] = struct{}{}
	}
	if m.losses < maxLosses || m.is(held) || p.a.cancelled {
		return
	}
	m.losses = 0
	delete(s.suspects, m)
	m.flags |= held
	const why = "its deliveries have ended 4 times in a row with the end of the delivery program"
	s.logf("alert: message %s is held: %s", m.id, why)
	p.a.progress.Ordered(queuedir.AppendOrder(nil,
		queuedir.Record{Kind: queuedir.Held, Text: why}, uint32(os.Geteuid()), s.clock.Now()))
}
