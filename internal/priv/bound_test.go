package priv

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// The main thread of a process cannot end: what is done to it would stay.
func TestOwnThreadIsNotTheMainThread(t *testing.T) {
	t.Parallel()
	for range 1000 {
		OwnThread(func() {
			if unix.Gettid() == unix.Getpid() {
				t.Error("in the main thread")
			}
		})
	}
}

func TestBound(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can give capabilities up")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own := boundingSet()
	want := []uintptr{unix.CAP_SETUID, unix.CAP_KILL}
	var got uint64
	if err := Bound(want, func() error { got = boundingSet(); return nil }); err != nil {
		t.Fatal(err)
	}
	if got != capBits(want) {
		t.Errorf("in the thread: %#x, want %#x", got, capBits(want))
	}
	if now := boundingSet(); now != own {
		t.Errorf("outside of it: %#x, was %#x", now, own)
	}
}

func boundingSet() (bits uint64) {
	for bit := range unboundedBy(nil) {
		bits |= 1 << bit
	}
	return bits
}
