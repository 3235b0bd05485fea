package qmailsend

import (
	"iter"
	"slices"
	"time"

	"postrider/internal/figures"
	"postrider/internal/wire/manage"
)

// A census counts the messages of the queue by state and age, some of them in
// each turn of the loop: nobody waits for a large queue. One begins when
// qmail-start looks whether the loop turns, every 10 s.
type census struct {
	// more counts some more, and reports whether any are left; nil: none is under
	// way. cancel ends it before.
	more   func() (struct{}, bool)
	cancel func()

	states [phaseCount]int64
	ages   [ageClasses]int64
	oldest moment
}

// phases are in the order of figures.States.
var phases = [phaseCount]manage.Phase{
	manage.Waiting, manage.Deferred, manage.InHand, manage.HeldBack, manage.Reporting, manage.Leaving, manage.Aside,
}

const phaseCount = 7

// countAtOnce is how many messages are counted in a turn: a tenth of a millisecond.
const countAtOnce = 2000

// The classes of figures.Ages end at these ages.
var ageLimits = [...]time.Duration{10 * time.Minute, time.Hour, 4 * time.Hour, 24 * time.Hour, 72 * time.Hour}

const ageClasses = len(ageLimits) + 1

// beginCensus begins one if the last is over and anybody reads it.
func (s *scheduler) beginCensus() {
	if !s.counts.Taken() || s.census.underWay() {
		return
	}
	s.census = census{oldest: never}
	s.census.more, s.census.cancel = iter.Pull(s.countAll())
}

func (c *census) underWay() bool { return c.more != nil }

// stop ends one before its time.
func (c *census) stop() {
	if c.underWay() {
		c.cancel()
		c.more, c.cancel = nil, nil
	}
}

// countAll counts all messages, and yields after some. Those that come or go
// meanwhile may be counted or not.
func (s *scheduler) countAll() iter.Seq[struct{}] {
	return func(yield func(struct{}) bool) {
		now, n := s.now(), 0
		for _, m := range s.messages {
			s.census.count(m, now)
			if n++; n%countAtOnce == 0 && !yield(struct{}{}) {
				return
			}
		}
	}
}

func (c *census) count(m *message, now moment) {
	phase := m.phase()
	c.states[slices.Index(phases[:], phase)]++
	if phase != manage.HeldBack {
		c.oldest = min(c.oldest, m.birth)
	}
	class := 0
	for class < len(ageLimits) && time.Duration(now-m.birth) >= ageLimits[class] {
		class++
	}
	c.ages[class]++
}

// countSome goes on with a census, and publishes one that is complete.
func (s *scheduler) countSome(now moment) {
	if !s.census.underWay() {
		return
	}
	if _, left := s.census.more(); left {
		return
	}
	s.census.stop()
	for i, n := range s.census.states {
		s.counts.Set(figures.QueueMessages, i, n)
	}
	for i, n := range s.census.ages {
		s.counts.Set(figures.QueueAge, i, n)
	}
	age := int64(0)
	if s.census.oldest != never {
		age = int64(time.Duration(now-s.census.oldest) / time.Second)
	}
	s.counts.Set(figures.QueueOldest, 0, max(0, age))
	var standings [down + 1]int64
	for d := range s.destinations.all {
		standings[d.standing]++
	}
	for i, n := range standings {
		s.counts.Set(figures.DestinationsKnown, i, n)
	}
}
