package start

import (
	"fmt"
	"syscall"
	"time"
)

// How long a member has to end after each of the ways to tell it.
const (
	drainTime = 10 * time.Second
	termTime  = 5 * time.Second
	killTime  = 5 * time.Second
)

// ending is how far the ordered stop has come.
type ending struct {
	order int // who is being stopped
	telling
}

// telling is how far members have been told to end.
type telling struct {
	told     int       // the step that was done last
	deadline time.Time // of the members, to end
}

// The steps of telling.
const (
	toldNothing = iota
	toldEnd     // of its channel
	toldTerm
	toldKill
)

// stop begins the ordered stop. Asked again, it does not wait for the current
// ones any longer.
func (s *supervisor) stop(why string, status int) {
	if s.end != nil {
		s.end.deadline = s.clock.Now()
		return
	}
	s.log("qmail-start: stopping " + why)
	s.status = status
	s.end = &ending{telling: telling{deadline: s.clock.Now()}}
	s.renewal = nil
	s.doors.close()
	for _, m := range s.plan.members {
		m.due = time.Time{}
	}
}

// advance goes on with the stop as far as it can.
func (s *supervisor) advance(now time.Time) {
	e := s.end
	for e.order < stopDone {
		running := s.running(e.order)
		if len(running) == 0 {
			e.order, e.told = e.order+1, toldNothing
			continue
		}
		if e.told != toldNothing && now.Before(e.deadline) {
			return
		}
		if e.told == toldNothing && e.order == stopLogger {
			s.log("qmail-start: stopped, but for the logger")
			s.closeLog()
		}
		if !s.tell(&e.telling, running, now) {
			e.order, e.told = e.order+1, toldNothing
		}
	}
	s.log("qmail-start: stopped")
}

func (s *supervisor) running(order int) []*member {
	var found []*member
	for _, m := range s.plan.members {
		if m.order == order && m.proc != nil {
			found = append(found, m)
		}
	}
	return found
}

// tell takes the next step for members that are to end. It returns false once
// there is none left: they stay behind.
func (s *supervisor) tell(t *telling, members []*member, now time.Time) bool {
	t.told++
	switch t.told {
	case toldEnd:
		t.deadline = now.Add(drainTime)
		for _, m := range members {
			s.hangUp(m)
		}
	case toldTerm:
		t.deadline = now.Add(termTime)
		s.force(members, syscall.SIGTERM, "has not finished in time")
	case toldKill:
		t.deadline = now.Add(killTime)
		s.force(members, syscall.SIGKILL, "does not end")
	default:
		for _, m := range members {
			s.log(fmt.Sprintf("qmail-start: warning: %s (pid %d) cannot be killed; it is left behind", m.name, m.proc.pid()))
		}
		return false
	}
	return true
}

func (s *supervisor) force(members []*member, number syscall.Signal, why string) {
	for _, m := range members {
		s.log(fmt.Sprintf("qmail-start: warning: %s (pid %d) %s; sending signal %d (%v)", m.name, m.proc.pid(), why, int(number), number))
		s.send(m, number)
	}
}
