package enqueue

import (
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/offspring"
)

// watch is a child that may be killed, with all that it has started, while
// somebody waits for it. What it leaves behind has time until its own is over.
type watch struct {
	pid    int
	family offspring.Family
	until  time.Time     // zero: without an end
	ended  chan struct{} // closed when the child was waited for

	mu     sync.Mutex
	reaped bool
	killed bool // read it after wait
}

// watchProgram watches a child; without a limit, when it leads no group, it is
// not killed.
func watchProgram(pid int, family offspring.Family, limit time.Duration, giveUp <-chan struct{}) *watch {
	w := &watch{pid: pid, family: family, ended: make(chan struct{})}
	if limit > 0 {
		w.until = time.Now().Add(limit)
		go w.run(limit, giveUp)
	}
	return w
}

func (w *watch) run(limit time.Duration, giveUp <-chan struct{}) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-giveUp:
	case <-w.ended:
		return
	}
	w.kill()
}

func (w *watch) kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	// Until it is reaped the number is its own.
	if !w.reaped {
		w.family.Kill()
		w.killed = true
	}
}

// wait waits for the end of the child, once.
func (w *watch) wait() (status syscall.WaitStatus, err error) {
	defer w.rest()
	defer close(w.ended)
	// First only look, so that no moment lies between the end of the child's
	// number and reaped.
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, w.pid, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		break // with an error Wait4 says more
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reaped = true
	for {
		_, err = syscall.Wait4(w.pid, &status, 0, nil)
		if err != syscall.EINTR {
			return status, err
		}
	}
}

// rest ends what the child has left behind: in time, or now if it was killed.
func (w *watch) rest() {
	switch {
	case w.killed:
		w.family.Rest(time.Now())
	case !w.until.IsZero():
		w.family.Rest(w.until)
	}
}
