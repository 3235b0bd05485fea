package start

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/parent"
)

const (
	// longLife is after how long a death counts as the first.
	longLife = time.Minute
	maxPause = 30 * time.Second
)

// Exit codes that say something about their program.
const (
	exitPanic    = 2 // of the Go runtime
	exitMisused  = 100
	exitDeferred = 111
)

// pause returns how long to wait before a start after so many deaths in a row.
func pause(deaths int) time.Duration {
	if deaths <= 1 {
		return 0
	}
	if shift := deaths - 2; shift < 5 {
		return min(maxPause, time.Second<<shift)
	}
	return maxPause
}

// start starts a member's process and sends it what it works with.
func (s *supervisor) start(m *member) {
	m.due, m.started, m.pulse = time.Time{}, s.clock.Now(), pulse{}
	m.speaks, m.old, m.retiring = parent.Version, false, false
	err := s.spawn(m)
	if err == nil {
		s.log(fmt.Sprintf("qmail-start: %s started (pid %d)", m.name, m.proc.pid()))
		s.await(m.proc)
		s.assign(m)
		s.equip(m)
		return
	}
	s.failed(m, fmt.Sprintf("%s cannot be started: %v", m.name, err))
}

// await has the end of a process told to the loop.
func (s *supervisor) await(proc process) {
	go func() {
		status, err := proc.wait()
		s.exits <- exit{proc, status, err}
	}()
}

// spawn makes the control channel and launches the program with its end.
func (s *supervisor) spawn(m *member) (err error) {
	if m.order == stopLogger {
		m.proc, err = s.launch.launch(m, nil)
		return err
	}
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		return err
	}
	defer theirs.Close()
	lines, err := parent.NewChannel(ours)
	if err != nil {
		ours.Close()
		return err
	}
	if m.proc, err = s.launch.launch(m, theirs); err != nil {
		lines.Close()
		return err
	}
	m.lines = lines
	return nil
}

// died notes the end of a process.
func (s *supervisor) died(e exit) {
	i := slices.IndexFunc(s.plan.members, func(m *member) bool { return m.proc == e.proc })
	if i < 0 {
		return // it was left behind
	}
	m := s.plan.members[i]
	how := fmt.Sprintf("%s (pid %d) %s", m.name, m.proc.pid(), describe(e))
	lived := s.clock.Now().Sub(m.started)
	m.proc = nil
	s.vacate(m)
	s.hangUp(m)
	if s.end != nil {
		if e.err == nil && e.status.Exited() && e.status.ExitStatus() == 0 {
			s.log("qmail-start: " + how)
		} else {
			s.log("qmail-start: warning: " + how + " while stopping")
		}
		return
	}
	switch {
	case m.leaving != nil:
		s.log("qmail-start: " + how + ": it was replaced")
		s.plan.remove(m)
		return
	case m.retiring:
		s.log("qmail-start: " + how + ", to be replaced")
		return
	case lived >= longLife:
		m.deaths = 0
	}
	s.failed(m, fmt.Sprintf("%s after %v", how, lived.Round(time.Millisecond)))
}

// failed plans the next start of a member that does not run.
func (s *supervisor) failed(m *member, what string) {
	m.deaths++
	s.countRestart(m)
	wait := pause(m.deaths)
	m.due = s.clock.Now().Add(wait)
	when := "now"
	if wait > 0 {
		when = "in " + wait.String()
	}
	s.log(fmt.Sprintf("qmail-start: warning: %s; it is started again %s", what, when))
}

// describe says how a process ended.
func describe(e exit) string {
	switch {
	case e.err != nil:
		return "is lost: " + e.err.Error()
	case e.status.Signaled():
		return fmt.Sprintf("was killed by signal %d (%v)", int(e.status.Signal()), e.status.Signal())
	}
	switch code := e.status.ExitStatus(); code {
	case 0:
		return "exited"
	case exitPanic:
		return "crashed: exit code 2"
	case exitMisused:
		return "refuses to work as it is installed or configured (its own message says why): exit code 100"
	case exitDeferred:
		return "gave up (its own message says why): exit code 111"
	default:
		return fmt.Sprintf("exited with code %d", code)
	}
}

// hangUp closes a member's control channel: it shall finish and exit.
func (s *supervisor) hangUp(m *member) {
	if m.lines == nil {
		return
	}
	// Nothing is written late on a socket: its close has no result.
	_ = m.lines.Close()
	m.lines = nil
}

// kill ends a member that does not keep to the protocol.
func (s *supervisor) kill(m *member, why string) {
	s.log(fmt.Sprintf("qmail-start: warning: %s (pid %d) %s; it is killed", m.name, m.proc.pid(), why))
	s.send(m, syscall.SIGKILL)
	s.hangUp(m)
}
