package world

import (
	"os"

	"golang.org/x/sys/unix"
)

// MadeByRuntime tells a standard file that the caller had closed: the runtime
// then opened /dev/null for reading and writing. Without this, a caller that
// lost its message would send an empty one.
func MadeByRuntime(f *os.File) bool {
	raw, err := f.SyscallConn() // Fd would change the caller's file
	if err != nil {
		return true
	}
	made := true
	err = raw.Control(func(fd uintptr) {
		var st unix.Stat_t
		if unix.Fstat(int(fd), &st) != nil {
			return
		}
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err != nil {
			return
		}
		null := st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(1, 3)
		made = null && flags&unix.O_ACCMODE == unix.O_RDWR
	})
	return made || err != nil
}
