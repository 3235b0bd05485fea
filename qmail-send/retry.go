package qmailsend

import (
	"math"
	"time"
)

// moment is a time on the scheduler's own scale, in nanoseconds: see timeline.
type moment int64

// never is later than every other moment.
const never = moment(math.MaxInt64)

func (m moment) add(d time.Duration) moment { return m + moment(d) }

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

// timeline is the scheduler's time: wall time at its start plus what has
// passed on a clock that never jumps. When the wall clock is set, births and
// due times that are learnt or written are converted, so that no message
// becomes old, or waits for ever, because somebody set the clock (R15).
type timeline struct {
	start time.Time // with its monotonic reading
}

// at returns the moment that is now, the clock's reading.
func (t timeline) at(now time.Time) moment {
	return moment(t.start.UnixNano()).add(now.Sub(t.start))
}

// fromWall converts a wall-clock time that was written by a process whose
// clock showed what ours shows now.
func (t timeline) fromWall(wall, now time.Time) moment {
	return t.at(now).add(wall.Round(0).Sub(now.Round(0)))
}

// toWall is the inverse of fromWall.
func (t timeline) toWall(m moment, now time.Time) time.Time {
	return now.Round(0).Add(time.Duration(m - t.at(now)))
}
