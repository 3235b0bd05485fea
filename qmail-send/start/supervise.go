package start

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"postrider/internal/clock"
)

// supervisor keeps the plan running. One goroutine owns it; others only wait
// for children and post what they saw.
type supervisor struct {
	plan   *plan
	launch launcher
	clock  clock.Clock
	log    func(line string)
	doors  *doors
	exits  chan exit
	end    *ending // nil until it stops
	// estate, successor and what follows are for an upgrade.
	estate     estate
	successor  successor
	checking   bool       // the successor is being asked
	checked    chan error // what it said
	renewal    *renewal   // nil: nobody is being replaced
	drainLimit time.Duration
	newLogger  bool // the one of the predecessor is replaced
	// areas is where the members count; nil: nothing is counted.
	areas *areas
	// pulseDue is when the members are looked at next.
	pulseDue time.Time
	// status is what run returns: 0 unless something forces the end.
	status int
	// closeLog takes the log away from the logger, so that it ends.
	closeLog func()
}

// exit is the end of a process.
type exit struct {
	proc   process
	status syscall.WaitStatus
	err    error
}

func newSupervisor(p *plan, l launcher, c clock.Clock, log func(string)) *supervisor {
	return &supervisor{plan: p, launch: l, clock: c, log: log, doors: &doors{},
		exits: make(chan exit, len(p.members)+1), checked: make(chan error, 1), closeLog: func() {}}
}

// run starts all, and returns the exit status when all has ended.
func (s *supervisor) run(signals <-chan os.Signal) int {
	for _, m := range s.plan.members {
		if m.proc == nil && m.leaving == nil {
			s.start(m)
		}
	}
	s.pulseDue = s.clock.Now().Add(pulseInterval)
	for {
		s.do()
		s.countProcesses()
		if s.end != nil && s.end.order == stopDone {
			return s.status
		}
		wake, free := s.alarm()
		select {
		case e := <-s.exits:
			s.died(e)
		case err := <-s.checked:
			s.handOver(err)
		case sig := <-signals:
			s.signal(sig)
		case <-wake:
		}
		free()
	}
}

// do does all that is due.
func (s *supervisor) do() {
	now := s.clock.Now()
	if s.end != nil {
		s.advance(now)
		return
	}
	for _, m := range s.plan.members {
		if !m.due.IsZero() && !m.due.After(now) {
			s.start(m)
		}
	}
	s.continueRenewal(now)
	s.leave(now)
	s.open(now)
	s.takePulses(now)
}

// alarm returns a channel that delivers when something becomes due.
func (s *supervisor) alarm() (<-chan time.Time, func()) {
	var next time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if s.end != nil {
		sooner(s.end.deadline)
	} else {
		sooner(s.doors.next)
		sooner(s.pulseDue)
		now := s.clock.Now()
		s.nextRenewal(now, sooner)
		s.nextLeaving(now, sooner)
		for _, m := range s.plan.members {
			sooner(m.due)
		}
	}
	if next.IsZero() {
		return nil, func() {}
	}
	// Not At(next): the wall clock may have jumped since next was planned.
	now := s.clock.Now()
	return s.clock.At(now.Add(next.Sub(now)))
}

// signal passes HUP and ALRM on, with new keys at HUP, upgrades at USR2, and stops
// at TERM and INT.
func (s *supervisor) signal(sig os.Signal) {
	number, ok := sig.(syscall.Signal)
	if !ok {
		return
	}
	if number == syscall.SIGTERM || number == syscall.SIGINT {
		s.stop("on signal "+number.String(), 0)
		return
	}
	switch number {
	case syscall.SIGUSR2:
		s.upgrade()
	case syscall.SIGHUP:
		s.renewKeys()
	}
	for _, m := range s.plan.members {
		for _, forwarded := range m.role.Forward {
			if forwarded == number && m.proc != nil {
				s.send(m, number)
			}
		}
	}
}

// send signals a member that runs. One that has just ended is no trouble.
func (s *supervisor) send(m *member, number syscall.Signal) {
	if err := m.proc.signal(number); err != nil && err != os.ErrProcessDone {
		s.log(fmt.Sprintf("qmail-start: warning: unable to signal %s (pid %d): %v", m.name, m.proc.pid(), err))
	}
}
