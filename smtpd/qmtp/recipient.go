package qmtp

import (
	"time"

	"postrider/internal/address"
	"postrider/internal/wire/lookup"
)

// askTime is how long an answer of qmail-lookup is waited for.
const askTime = 5 * time.Second

// Values of control/verifyrcpt.
const (
	verifyNone  = 0
	verifyOther = 1 // for clients that may not relay
	verifyAll   = 2
)

// verify says whether a recipient has a mailbox. Once that cannot be told, it
// is not asked again in this message; nor is it for who tries names.
func (m *message) verify(recipient address.Address) verdict {
	mode := m.settings.verifyRcpt
	if m.lookup == nil || mode == verifyNone || m.peer.relay && mode < verifyAll {
		return accepted
	}
	if m.settings.maxBadRcpt > 0 && m.unknown >= m.settings.maxBadRcpt {
		return harvester
	}
	if m.unsure {
		return mailboxUnsure
	}
	answer, err := lookup.Ask(m.lookup, recipient, askTime)
	if err != nil {
		m.logProblem("verifyrcpt", err)
		m.unsure = true
		return mailboxUnsure
	}
	switch answer.Verdict {
	case lookup.Exists:
		return accepted
	case lookup.Unknown:
		m.unknown++
		return noMailbox
	case lookup.Full:
		return mailboxFull
	}
	return mailboxUnsure // qmail-lookup has logged why
}
