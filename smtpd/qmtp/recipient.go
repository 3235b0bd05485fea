package qmtp

import (
	"time"

	"postrider/internal/address"
	"postrider/internal/wire/lookup"
)

// verify says whether a recipient has a mailbox. Once that cannot be told, it
// is not asked again in this message.
func (m *message) verify(recipient address.Address) (verdict, error) {
	policy := m.settings.verify
	if m.mailboxes == nil || !policy.Asks(m.peer.relay) {
		return accepted, nil
	}
	if m.unsure {
		return mailboxUnsure, nil
	}
	found, err := m.mailboxes.Check(policy, &m.named, recipient, m.clock.Now())
	if err != nil {
		m.logProblem("verifyrcpt", err)
		m.unsure = true
	}
	switch {
	case found.TooMany:
		return harvester, nil
	case found.Verdict == lookup.Exists:
		return accepted, nil
	case found.Verdict == lookup.Unknown:
		return noMailbox, m.pause(found.Pause)
	case found.Verdict == lookup.Full:
		return mailboxFull, nil
	}
	return mailboxUnsure, nil // qmail-lookup has logged why
}

// pause lets a client wait that tries names. It is over early if the session is
// to end.
func (s *session) pause(wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	if err := s.flush(s.settings.timeout); err != nil {
		return err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.Ending:
	}
	// The time was ours: the message came no slower for that.
	s.textBegan = s.textBegan.Add(wait)
	return nil
}
