package qmailsend

import (
	"math"
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

// retrySkip makes attempts at age 100 k² s local and 400 k² s remote.
var retrySkip = [channels]int64{local: 10, remote: 20}

func ageSeconds(birth, now moment) int64 {
	return max(0, int64(now-birth)/int64(time.Second))
}

// isqrt returns the floor of the square root, at most 65535 as qmail's.
func isqrt(n int64) int64 {
	if n >= 1<<32 {
		return 1<<16 - 1
	}
	root := int64(math.Sqrt(float64(n)))
	for root*root > n {
		root--
	}
	for (root+1)*(root+1) <= n {
		root++
	}
	return root
}
