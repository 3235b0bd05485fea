package queuelock

import (
	"errors"
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

// counting is a clock that counts who waits for it.
type counting struct {
	clock.Clock
	begun, ended int
}

func (c *counting) At(t time.Time) (<-chan time.Time, func()) {
	c.begun++
	wake, free := c.Clock.At(t)
	return wake, func() { c.ended++; free() }
}

// TERM and INT end the wait, no other signal does, and no timer goes on.
func TestSignalEndsTheWaitForALock(t *testing.T) {
	t.Parallel()
	for _, end := range []unix.Signal{unix.SIGTERM, unix.SIGINT} {
		path := filepath.Join(t.TempDir(), "lock")
		first, second := openLock(t, path), openLock(t, path)
		if err := Try(first); err != nil {
			t.Fatal(err)
		}
		signals := make(chan os.Signal, 2)
		signals <- unix.SIGHUP // not for those who wait
		signals <- end
		c := &counting{Clock: clock.Real()}
		if err := Await(second, c, signals, func() {}); err != ErrLocked || len(signals) != 0 {
			t.Errorf("%v: got %v, %d signals are left", end, err, len(signals))
		}
		if c.begun != 2 || c.ended != 2 {
			t.Errorf("%v: waited %d times, freed %d", end, c.begun, c.ended)
		}
	}
}

// Whoever gets the lock leaves no timer.
func TestTakenLockFreesItsTimer(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, second := openLock(t, path), openLock(t, path)
	if err := Try(first); err != nil {
		t.Fatal(err)
	}
	c := &counting{Clock: clock.Real()}
	if err := Await(second, c, nil, func() { first.Close() }); err != nil {
		t.Fatal(err)
	}
	if c.begun != c.ended || c.begun < 2 {
		t.Errorf("waited %d times, freed %d", c.begun, c.ended)
	}
	if err := Try(openLock(t, path)); err != ErrLocked {
		t.Errorf("it is not taken: %v", err)
	}
}

// A file that is no lock file is told from a lock that somebody has.
func TestNoLockFile(t *testing.T) {
	t.Parallel()
	f := openLock(t, filepath.Join(t.TempDir(), "lock"))
	f.Close()
	for _, f := range []*os.File{f, nil} {
		if err := Try(f); err == nil || err == ErrLocked {
			t.Errorf("try: %v", err)
		}
		if err := Await(f, clock.Real(), nil, nil); err == nil || err == ErrLocked {
			t.Errorf("await: %v", err)
		}
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

// early is a clock that wakes after a part of what is asked for.
type early struct{ now time.Time }

const part = 300 * time.Millisecond

func (c *early) Now() time.Time { return c.now }

func (c *early) At(time.Time) (<-chan time.Time, func()) {
	c.now = c.now.Add(part)
	woken := make(chan time.Time, 1)
	woken <- c.now
	return woken, func() {}
}

// A clock that wakes too early is waited for again: the wait is neither said to
// be long before it is, nor given up, and said to be long once.
func TestEarlyWake(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, second := openLock(t, path), openLock(t, path)
	if err := Try(first); err != nil {
		t.Fatal(err)
	}
	c := &early{now: time.Now()}
	begun, slow := c.now, 0
	err := Await(second, c, nil, func() {
		slow++
		if waited := c.now.Sub(begun); waited < remark || waited >= remark+part {
			t.Errorf("said after %v", waited)
		}
	})
	if waited := c.now.Sub(begun); err != ErrLocked || slow != 1 || waited < Patience || waited >= Patience+part {
		t.Errorf("%v after %v, said %d times", err, waited, slow)
	}
}

// Who waits is seen by who has the lock, until the next one has it.
func TestWanted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	holder, waiting := openLock(t, path), openLock(t, path)
	if Wanted(holder) {
		t.Error("a new lock is wanted")
	}
	for range 2 {
		if err := Want(waiting, true); err != nil || !Wanted(holder) {
			t.Errorf("somebody waits: %v, %v", Wanted(holder), err)
		}
	}
	if err := Want(waiting, false); err != nil || Wanted(holder) {
		t.Errorf("nobody waits any more: %v, %v", Wanted(holder), err)
	}
	waiting.Close()
	if Wanted(waiting) {
		t.Error("a file that was closed is wanted")
	}
	for _, yes := range []bool{true, false} {
		if err := Want(waiting, yes); !errors.Is(err, os.ErrClosed) {
			t.Errorf("want %v of a file that was closed: %v", yes, err)
		}
	}
}
