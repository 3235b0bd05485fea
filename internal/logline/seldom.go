package logline

import (
	"errors"
	"strconv"
	"sync"
	"time"
)

const (
	// seldomEvery is how often trouble of one cause is told.
	seldomEvery = time.Minute
	// maxCauses bounds what is remembered.
	maxCauses = 64
)

// Seldom keeps trouble that every message meets, such as a full disk, from
// filling the log. The zero value is ready to use.
type Seldom struct {
	mu     sync.Mutex
	causes map[string]*cause
}

type cause struct {
	told    time.Time
	skipped int
}

// Allow tells whether a line about err may be logged now: one a minute for
// each innermost error. note is to be appended to the line: it tells how many
// others were left out.
func (s *Seldom) Allow(now time.Time, err error) (note string, ok bool) {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.causes[err.Error()]
	if c == nil {
		if s.causes == nil || len(s.causes) == maxCauses {
			s.causes = make(map[string]*cause)
		}
		s.causes[err.Error()] = &cause{told: now}
		return "", true
	}
	if since := now.Sub(c.told); 0 <= since && since < seldomEvery {
		c.skipped++
		return "", false
	}
	if c.skipped > 0 {
		note = " (and " + strconv.Itoa(c.skipped) + " times more since this was told last)"
	}
	c.told, c.skipped = now, 0
	return note, true
}
