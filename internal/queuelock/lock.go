// Package queuelock keeps two daemons from working on one queue.
//
// qmail-start imports it, which runs as root: so it links no format of the queue.
package queuelock

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
)

const (
	// Patience is how long a lock is waited for that another process has:
	// a predecessor that finishes its work, whose parent was killed.
	Patience = 30 * time.Second
	// remark is how long a wait for a lock is nothing to speak of.
	remark = time.Second
)

// ErrLocked says that another process has a lock, and keeps it.
var ErrLocked = errors.New("another process works on this queue")

// Try takes the lock of an open file if nobody has it; else ErrLocked. A
// lock goes with the process that has it: it is never stale.
func Try(f *os.File) error {
	err := flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return ErrLocked
	}
	return err
}

// Await takes the lock of an open file, waiting for whoever has it: at most
// Patience (ErrLocked), and not after TERM or INT on stop. slow is called
// if it takes more than a second.
func Await(f *os.File, c clock.Clock, stop <-chan os.Signal, slow func()) error {
	if err := Try(f); err != ErrLocked {
		return err
	}
	// The kernel wakes us at the moment the lock is free. Who gives up leaves
	// the waiting to end with the process.
	taken := make(chan error, 1)
	go func() { taken <- flock(f, unix.LOCK_EX) }()
	begun := c.Now()
	next := begun.Add(remark)
	for {
		wake, free := c.At(next)
		select {
		case err := <-taken:
			free()
			return err
		case sig := <-stop:
			if sig == unix.SIGTERM || sig == unix.SIGINT {
				free()
				return ErrLocked
			}
		case <-wake:
			now := c.Now()
			if !now.Before(begun.Add(Patience)) {
				return ErrLocked
			}
			if end := begun.Add(Patience); !now.Before(next) && next.Before(end) {
				slow()
				next = end
			}
		}
		free()
	}
}

// Want says, in the file, that somebody waits for its lock. Whoever takes it
// next says with Want(f, false) that nobody does.
func Want(f *os.File, yes bool) error {
	if yes {
		_, err := f.WriteAt([]byte("wanted\n"), 0)
		return err
	}
	return f.Truncate(0)
}

// Wanted tells who has the lock whether somebody waits for it.
func Wanted(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Size() > 0
}

func flock(f *os.File, how int) (err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) {
		for {
			if err = unix.Flock(int(fd), how); err != unix.EINTR {
				return
			}
		}
	})
	if controlErr != nil {
		return controlErr
	}
	return err
}
