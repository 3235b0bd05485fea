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
	order    int // who is being stopped
	told     int // how: the step of telling that was done last
	deadline time.Time
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
	s.end = &ending{deadline: s.clock.Now()}
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
		s.tell(running, now)
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

// tell takes the next step for the members that are being stopped.
func (s *supervisor) tell(members []*member, now time.Time) {
	e := s.end
	e.told++
	switch e.told {
	case toldEnd:
		e.deadline = now.Add(drainTime)
		if e.order == stopLogger {
			s.log("qmail-start: stopped, but for the logger")
			s.closeLog()
		}
		for _, m := range members {
			s.hangUp(m)
		}
	case toldTerm:
		e.deadline = now.Add(termTime)
		s.force(members, syscall.SIGTERM, "has not finished in time")
	case toldKill:
		e.deadline = now.Add(killTime)
		s.force(members, syscall.SIGKILL, "does not end")
	default:
		for _, m := range members {
			s.log(fmt.Sprintf("qmail-start: warning: %s (pid %d) cannot be killed; it is left behind", m.name, m.proc.pid()))
		}
		e.order, e.told = e.order+1, toldNothing
	}
}

func (s *supervisor) force(members []*member, number syscall.Signal, why string) {
	for _, m := range members {
		s.log(fmt.Sprintf("qmail-start: warning: %s (pid %d) %s; sending signal %d (%v)", m.name, m.proc.pid(), why, int(number), number))
		s.send(m, number)
	}
}
