package qmailsend

import (
	"time"

	"postrider/qmail-send/timeline"
)

// moment is a time on the scheduler's own scale.
type moment = timeline.Moment

// never is later than every other moment.
const never = timeline.Never

const (
	// queueTrouble is when something is tried again that failed on the queue
	// itself (spec 2.5).
	queueTrouble = 123 * time.Second
	// lostRetry is when a message is tried again whose delivery agent went
	// away, the first time.
	lostRetry = 5 * time.Second
)
