package spool

import (
	"os"

	"golang.org/x/sys/unix"
)

// openDropbox watches drop/. Events only wake: what they say is not believed.
func openDropbox(path string, s *server) (*dropbox, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, path, unix.IN_MOVED_TO|unix.IN_ONLYDIR); err != nil {
		_ = f.Close() // nothing is written to it
		return nil, &os.PathError{Op: "watch", Path: path, Err: err}
	}
	wake := make(chan struct{}, 1)
	go func() {
		buf := make([]byte, 4096)
		for {
			if _, err := f.Read(buf); err != nil {
				s.log("warning: drop/ is only looked at every minute: " + err.Error())
				return
			}
			select {
			case wake <- struct{}{}:
			default:
			}
		}
	}()
	return newDropbox(s, wake), nil
}
