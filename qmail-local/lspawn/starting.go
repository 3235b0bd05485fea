package lspawn

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// startLimit is how long the start of a worker may take before it is looked
// whether its user holds it up.
const startLimit = 2 * time.Second

// watchStart is called before a worker is started, and what it returns
// afterwards. From the moment the new process has its user's uid until it has
// exec'd, that user can stop it: it then has our memory and our descriptors,
// and the thread that started it waits for it for ever.
func watchStart() (started func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(startLimit)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				killStopped(unix.Getpid())
			}
		}
	}()
	return func() { close(done) }
}

// killStopped kills the stopped children of a process. Among ours are also
// workers that run and that their users have stopped: those are no loss.
func killStopped(parent int) {
	names, err := procNames()
	if err != nil {
		return // the next tick tries again
	}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, found := processAt(name); found && p.parent == parent && p.state == "T" {
			_ = unix.Kill(pid, unix.SIGKILL) // it may have ended by itself
		}
	}
}
