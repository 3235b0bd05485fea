package load

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// arrivals tells when files come into a directory. The kernel reports them, so
// that waiting costs the mail system nothing.
type arrivals struct{ f *os.File }

func watch(dir string) (*arrivals, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	a := &arrivals{os.NewFile(uintptr(fd), "inotify")}
	// A Maildir's files come by link or rename, or are made in place.
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		a.f.Close()
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	return a, nil
}

// next waits for a file and returns when it was seen.
func (a *arrivals) next(limit time.Duration) (time.Time, error) {
	if err := a.f.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return time.Time{}, err
	}
	var buf [4096]byte
	if _, err := a.f.Read(buf[:]); err != nil {
		return time.Time{}, fmt.Errorf("no message came within %v", limit)
	}
	return time.Now(), nil
}

func (a *arrivals) close() { a.f.Close() }
