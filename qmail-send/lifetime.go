package qmailsend

import (
	"time"

	"postrider/qmail-send/bounce"
)

// lifetimes is how long messages are tried, by what they are.
type lifetimes struct {
	ordinary time.Duration // queuelifetime
	bounce   time.Duration // bouncelifetime: those without a sender
	bulk     time.Duration // bulklifetime: of lists and in bulk
}

// of returns how long a is tried.
func (l lifetimes) of(a *active) time.Duration {
	switch sender := a.sender.String(); {
	case sender == "" || sender == bounce.DoubleSender:
		return l.bounce
	case a.bulk:
		return l.bulk
	}
	return l.ordinary
}
