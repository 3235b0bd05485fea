// Package footprint bounds what a daemon takes of the machine: processors and
// wake-ups. docs/performance.md has the measurements behind it.
//
// The mains of daemons and those who start daemons import it; it imports
// nothing of ours.
package footprint

import (
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// OneProcessor is for a daemon whose work is one stream of short steps: with
// more, waking a second processor costs more than the step it would take.
// Waits for disk and network do not count.
func OneProcessor() { runtime.GOMAXPROCS(1) }

// HalfTheProcessors is for a daemon with much to compute for each of its
// connections. The stages of a message's way work at the same time, and none
// of them can use all processors.
func HalfTheProcessors() { runtime.GOMAXPROCS(max(1, runtime.NumCPU()/2)) }

const (
	// calmSlack is how late a timer of a daemon may be. Go's watchdog thread
	// sleeps 20 microseconds at a time whenever a program has anything to do,
	// and is most of what its processes cost in context switches; no timer of
	// ours needs to be that exact.
	calmSlack = 2 * time.Millisecond
	// usualSlack is what Linux gives to ordinary programs.
	usualSlack = 50 * time.Microsecond
)

// StartDaemon is os.StartProcess for a program of ours that stays.
func StartDaemon(path string, argv []string, attr *os.ProcAttr) (*os.Process, error) {
	return start(calmSlack, path, argv, attr)
}

// StartProgram is os.StartProcess for programs of others: they get the usual
// timers, not ours.
func StartProgram(path string, argv []string, attr *os.ProcAttr) (*os.Process, error) {
	return start(usualSlack, path, argv, attr)
}

// UsualTimers is for starts of programs of others by other means: what start
// starts gets the usual timers.
func UsualTimers(start func()) { withSlack(usualSlack, start) }

func start(slack time.Duration, path string, argv []string, attr *os.ProcAttr) (p *os.Process, err error) {
	withSlack(slack, func() { p, err = os.StartProcess(path, argv, attr) })
	return p, err
}

// withSlack forks from a thread with the timer slack that the child is to
// inherit (prctl(2), PR_SET_TIMERSLACK).
func withSlack(slack time.Duration, fork func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err == nil {
		// Timers are a matter of economy: without, everything works as well.
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack.Nanoseconds()), 0, 0, 0)
		defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(own), 0, 0, 0) }()
	}
	fork()
}
