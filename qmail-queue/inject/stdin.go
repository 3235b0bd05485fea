package inject

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

var errClosed = errors.New("standard input is closed")

// checkStdin refuses a standard input that the caller had closed. The runtime
// then opened /dev/null for reading and writing, and a caller that lost its
// message would send an empty one.
func checkStdin(f *os.File) error {
	raw, err := f.SyscallConn() // Fd would change the caller's file
	if err != nil {
		return err
	}
	made := false
	err = raw.Control(func(fd uintptr) {
		var st unix.Stat_t
		if unix.Fstat(int(fd), &st) != nil {
			return
		}
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		null := st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(1, 3)
		made = err == nil && null && flags&unix.O_ACCMODE == unix.O_RDWR
	})
	if made {
		return errClosed
	}
	return err
}
