package priv

import (
	"iter"
	"os"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
)

// OwnThread calls f in a thread of its own, which may change what threads have
// of their own, and which ends with f.
func OwnThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for ever: the thread is not used again
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		// The main thread does not end with its goroutine. It is held until
		// another one has done the work.
		defer runtime.UnlockOSThread()
		OwnThread(f)
	}()
	<-done
}

// Bound calls start in a thread whose capability bounding set holds nothing
// but keep: what start starts can get no other capability, whatever it
// executes. Without the capability SETPCAP start is called all the same.
func Bound(keep []uintptr, start func() error) (err error) {
	OwnThread(func() {
		if err = dropBounds(keep); err == nil {
			err = start()
		}
	})
	return err
}

func dropBounds(keep []uintptr) error {
	own, err := current()
	if err != nil || own.caps&(1<<unix.CAP_SETPCAP) == 0 {
		return err
	}
	for bit := range unboundedBy(keep) {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, bit, 0, 0, 0); err != nil {
			return os.NewSyscallError("prctl PR_CAPBSET_DROP", err)
		}
	}
	return nil
}

// unboundedBy yields the capabilities in this thread's bounding set that are
// not in keep. The kernel knows which there are.
func unboundedBy(keep []uintptr) iter.Seq[uintptr] {
	return func(yield func(uintptr) bool) {
		for bit := uintptr(0); bit < 64; bit++ {
			held, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, bit, 0, 0, 0)
			if err != nil {
				return // there are no more
			}
			if held == 1 && !slices.Contains(keep, bit) && !yield(bit) {
				return
			}
		}
	}
}
