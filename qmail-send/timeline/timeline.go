package timeline

import (
	"math"
	"time"
)

// Moment is a time on the scheduler's own scale, in nanoseconds: see Line.
type Moment int64

// Never is later than every other moment.
const Never = Moment(math.MaxInt64)

// Add returns the moment d after m.
func (m Moment) Add(d time.Duration) Moment { return m + Moment(d) }

// Line is the scheduler's time: wall time at its start plus what has
// passed on a clock that never jumps. When the wall clock is set, births and
// due times that are learnt or written are converted, so that no message
// becomes old, or waits for ever, because somebody set the clock (R15).
type Line struct {
	start time.Time // with its monotonic reading
}

// New returns the time of a scheduler that starts at start.
func New(start time.Time) Line { return Line{start} }

// At returns the moment that is now, the clock's reading.
func (t Line) At(now time.Time) Moment {
	return Moment(t.start.UnixNano()).Add(now.Sub(t.start))
}

// FromWall converts a wall-clock time that was written by a process whose
// clock showed what ours shows now.
func (t Line) FromWall(wall, now time.Time) Moment {
	return t.At(now).Add(wall.Round(0).Sub(now.Round(0)))
}

// ToWall is the inverse of FromWall.
func (t Line) ToWall(m Moment, now time.Time) time.Time {
	return now.Round(0).Add(time.Duration(m - t.At(now)))
}
