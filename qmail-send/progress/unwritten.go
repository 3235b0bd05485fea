package progress

import (
	"time"

	"postrider/internal/queuedir"
)

// Unwritten is the results of a message that are not in its progress file.
type Unwritten struct {
	finished []int  // recipients that were delivered to
	lines    []byte // encoded: all but finished, and what could not be written before
	covered  int    // the part of lines up to the last bounce record
	failures int    // results behind that which are to be told
	count    int    // results
	reasons  tried  // go behind lines, and may be lost
}

// Len is how many results there are.
func (u *Unwritten) Len() int { return u.count }

// ToTell is how many results are to be told behind the last bounce record.
func (u *Unwritten) ToTell() int { return u.failures }

// Covered is where the last bounce record ends in the lines; 0: there is none.
func (u *Unwritten) Covered() int { return u.covered }

// Delivered notes a success of which nobody is told.
func (u *Unwritten) Delivered(index int) {
	u.finished = append(u.finished, index)
	u.count++
}

// Succeeded notes a success that the sender is to be told of.
func (u *Unwritten) Succeeded(kind queuedir.RecordKind, index int, at time.Time, text string) {
	u.lines = queuedir.AppendSucceeded(u.lines, kind, index, at, text)
	u.failures++
	u.count++
}

// Failed notes a failure; without a text it makes no bounce.
func (u *Unwritten) Failed(index int, at time.Time, text string) {
	u.lines = queuedir.AppendFailed(u.lines, index, at, text)
	if text != "" {
		u.failures++
	}
	u.count++
}

// Deferred notes what is to be told of a recipient that is delayed.
func (u *Unwritten) Deferred(index int, at time.Time, text string) {
	u.lines = queuedir.AppendDeferred(u.lines, index, at, text)
	u.count++
}

// Told notes of which delay the sender was told, by which notice.
func (u *Unwritten) Told(channel byte, age time.Duration, notice queuedir.ID) {
	u.lines = queuedir.AppendTold(u.lines, channel, age, notice)
	u.count++
}

// Ordered notes lines that tell of an order.
func (u *Unwritten) Ordered(lines []byte) {
	u.lines = append(u.lines, lines...)
	u.count++
}

// Bounced adds the record that bounce covers all failures so far.
func (u *Unwritten) Bounced(bounce queuedir.ID) {
	u.lines = queuedir.AppendBounced(u.lines, bounce)
	u.covered, u.failures = len(u.lines), 0
	u.count++
}

// Add puts later results behind u's.
func (u *Unwritten) Add(later Unwritten) {
	u.encode()
	later.encode()
	if later.covered > 0 {
		u.covered, u.failures = len(u.lines)+later.covered, 0
	}
	u.lines = append(u.lines, later.lines...)
	u.reasons.lines = append(u.reasons.lines, later.reasons.lines...)
	u.failures += later.failures
	u.count += later.count
}

// Seal makes the lines of u, which come behind n bytes of what was tried, and
// returns them with those that may be lost.
func (u *Unwritten) Seal(n int64) (lines, tried []byte) {
	u.encode()
	u.mend(n)
	return u.lines, u.reasons.lines
}

// encode makes lines of everything.
func (u *Unwritten) encode() {
	u.reasons.encode()
	if len(u.finished) == 0 {
		return
	}
	u.before(queuedir.AppendDelivered(nil, u.finished))
	u.finished = nil
}

// mend makes the lines of u fit for coming behind n bytes of what was tried.
func (u *Unwritten) mend(n int64) {
	if n > 0 && len(u.lines) > 0 {
		u.before(queuedir.AppendMend(nil, n))
	}
}

// before puts a line before those of u.
func (u *Unwritten) before(line []byte) {
	if u.covered > 0 {
		u.covered += len(line)
	}
	u.lines = append(line, u.lines...)
}
