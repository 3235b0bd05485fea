package priv

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// startLimit is how long a start may take before it is looked whether somebody
// holds it up.
const startLimit = 2 * time.Second

// WatchStart is called before a child is started as another user, and what it
// returns afterwards. From the moment the child has its uid until it has
// exec'd, every process of that user can stop it: it then has our memory and
// our descriptors, and the thread that started it waits for it for ever. Such
// a child is killed.
func WatchStart() (started func()) { return watchStart(startLimit) }

func watchStart(limit time.Duration) (started func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(limit)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				killStopped()
			}
		}
	}()
	return func() { close(done) }
}

// killStopped kills our stopped children. Among them are also those that run
// and that somebody has stopped: those are no loss. The kernel is asked and not
// /proc, which may hide processes of others.
func killStopped() {
	for range 1000 { // and the rest at the next tick
		pid := stoppedChild(unix.P_ALL, 0)
		if pid == 0 || unix.Kill(pid, unix.SIGKILL) != nil {
			return
		}
		// Until it is dead it would be found again.
		for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
		}
	}
}

// Stopped tells whether a signal has stopped a child of this process. One that
// somebody traces is not stopped.
func Stopped(pid int) bool { return stoppedChild(unix.P_PID, pid) == pid }

// stoppedChild returns one of these children that is stopped, or 0. It stays as
// it is.
func stoppedChild(kind, id int) (pid int) {
	var info struct {
		head [3]int32
		_    [unsafe.Sizeof(uintptr(0)) - 4]byte // none where pointers have 4 bytes
		pid  int32
		_    [128]byte
	}
	for {
		_, _, errno := unix.Syscall6(unix.SYS_WAITID, uintptr(kind), uintptr(id), uintptr(unsafe.Pointer(&info)),
			unix.WSTOPPED|unix.WNOWAIT|unix.WNOHANG, 0, 0)
		switch errno {
		case 0:
			return int(info.pid)
		case unix.EINTR:
		default:
			return 0
		}
	}
}
