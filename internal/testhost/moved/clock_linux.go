// Package moved is a clock that a test moves: the machine's clock plus an
// offset that stands in a file. The programs in its sub-folders are the ones
// of cmd/ with this clock, and nothing else differs.
//
// Only those programs and testhost import it.
//
// Trust: the file is the test's.
//
// Files: clock_linux.go (the clock).
package moved

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
)

// File is the name of the offset's file below the qmail home directory: eight
// bytes, nanoseconds, little-endian.
const File = "testhost-clock"

// interval is how often a waiter looks whether the clock was moved.
const interval = 20 * time.Millisecond

type movedClock struct{ offset []byte }

// Open returns the clock of the qmail home directory. The file stays mapped
// until the program ends.
func Open(home string) (clock.Clock, error) {
	f, err := os.Open(filepath.Join(home, File))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	offset, err := unix.Mmap(int(f.Fd()), 0, 8, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", f.Name(), err)
	}
	return movedClock{offset}, nil
}

// Set writes the offset's file at path.
func Set(path string, offset time.Duration) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	data := binary.LittleEndian.AppendUint64(nil, uint64(offset))
	_, err = f.WriteAt(data, 0)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (c movedClock) Now() time.Time {
	return time.Now().Round(0).Add(time.Duration(binary.LittleEndian.Uint64(c.offset)))
}

func (c movedClock) At(t time.Time) (<-chan time.Time, func()) {
	reached := make(chan time.Time, 1)
	stopped := make(chan struct{})
	go func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			if now := c.Now(); !now.Before(t) {
				reached <- now
				return
			}
			select {
			case <-tick.C:
			case <-stopped:
				return
			}
		}
	}()
	return reached, sync.OnceFunc(func() { close(stopped) })
}
