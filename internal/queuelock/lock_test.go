package queuelock

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
)

func openLock(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// Mutation: with a try each second in place of the kernel's wait the successor
// comes too late.
func TestLockIsTakenTheMomentItIsFree(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, second := openLock(t, path), openLock(t, path)
	if err := Try(first); err != nil {
		t.Fatal(err)
	}
	if err := Try(second); err != ErrLocked {
		t.Errorf("a second lock: %v", err)
	}
	slow, taken := make(chan struct{}), make(chan error, 1)
	go func() { taken <- Await(second, clock.Real(), nil, func() { close(slow) }) }()
	select {
	case <-slow:
	case err := <-taken:
		t.Fatalf("taken from its holder: %v", err)
	}
	begun := time.Now()
	first.Close()
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(begun); waited > 500*time.Millisecond {
		t.Errorf("free for %v before it was taken", waited)
	}
}

func TestSignalEndsTheWaitForALock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, second := openLock(t, path), openLock(t, path)
	if err := Try(first); err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal, 2)
	signals <- unix.SIGHUP // not for those who wait
	signals <- unix.SIGTERM
	if err := Await(second, clock.Real(), signals, func() {}); err != ErrLocked {
		t.Errorf("got %v", err)
	}
}

// A file that is no lock file is told from a lock that somebody has.
func TestNoLockFile(t *testing.T) {
	t.Parallel()
	f := openLock(t, filepath.Join(t.TempDir(), "lock"))
	f.Close()
	if err := Try(f); err == nil || err == ErrLocked {
		t.Errorf("try: %v", err)
	}
	if err := Await(f, clock.Real(), nil, nil); err == nil || err == ErrLocked {
		t.Errorf("await: %v", err)
	}
}

// skipping is a clock that is where somebody waits for it to be.
type skipping struct{ now time.Time }

func (c *skipping) Now() time.Time { return c.now }

func (c *skipping) At(t time.Time) (<-chan time.Time, func()) {
	c.now = t
	woken := make(chan time.Time, 1)
	woken <- t
	return woken, func() {}
}

// Who waits says so once, and gives up in the end.
func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, second := openLock(t, path), openLock(t, path)
	if err := Try(first); err != nil {
		t.Fatal(err)
	}
	c := &skipping{now: time.Now()}
	begun, slow := c.now, 0
	err := Await(second, c, nil, func() {
		slow++
		if waited := c.now.Sub(begun); waited != remark {
			t.Errorf("said after %v", waited)
		}
	})
	if err != ErrLocked || slow != 1 || c.now.Sub(begun) != Patience {
		t.Errorf("%v after %v, said %d times", err, c.now.Sub(begun), slow)
	}
}
