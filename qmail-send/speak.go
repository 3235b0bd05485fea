package qmailsend

import (
	"time"

	"postrider/qmail-send/bounce"
)

// When the sender of a message is to hear something: of a delay, or that it is
// given up. That does not depend on whether its destination may have it.

// silentSender is message.heard of those whose senders hear of no delay.
const silentSender = 255

// agesReached counts the ages of control/delaywarn that a message has reached.
func (s *scheduler) agesReached(m *message, now moment) (n uint8) {
	if m.heard == silentSender {
		return silentSender
	}
	life := s.lifetimeOf(m)
	for _, age := range s.settings.delayWarn {
		if age < life && now >= m.birth.Add(age) {
			n++
		}
	}
	return n
}

// mustSpeak reports whether an attempt that fails now tells the sender something.
func (s *scheduler) mustSpeak(m *message, now moment) bool {
	return now > m.birth.Add(s.lifetimeOf(m)) || s.agesReached(m, now) > m.heard
}

// speakAt returns when the next attempt would be that tells the sender something
// if it failed as the destination's last delivery has.
func (s *scheduler) speakAt(m *message, d *destination, now moment) moment {
	cv := s.settings.retry.After(remote, "@"+d.domain, d.said)
	life := s.lifetimeOf(m)
	at := cv.NotBefore(m.birth, m.birth.Add(life)+1)
	if m.heard == silentSender {
		return at
	}
	for _, age := range s.settings.delayWarn {
		if age < life && m.birth.Add(age) > now {
			at = min(at, cv.NotBefore(m.birth, m.birth.Add(age)))
		}
	}
	return at
}

// lifetimeOf is lifetimes.of for a message that need not be in hand.
func (s *scheduler) lifetimeOf(m *message) time.Duration {
	l := s.settings.lifetimes
	switch {
	case m.is(senderless):
		return l.bounce
	case m.is(inBulk):
		return l.bulk
	}
	return l.ordinary
}

// noteSender keeps what of the sender decides when he is to hear.
func (m *message) noteSender(sender string, bulk bool) {
	if sender == "" || sender == bounce.DoubleSender {
		m.flags |= senderless
	}
	if bulk {
		m.flags |= inBulk
	}
	if m.is(senderless|inBulk) || bounce.IsVERP(sender) {
		m.heard = silentSender
	}
}

// noteHeard notes of which delay the sender was told, as the progress file says.
func (s *scheduler) noteHeard(m *message, told time.Duration) {
	n := uint8(0)
	for _, age := range s.settings.delayWarn {
		if age <= told {
			n++
		}
	}
	m.heard = max(m.heard, n)
}
