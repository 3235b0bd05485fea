package priv

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// firstBeyond is the first descriptor that is no standard file.
const firstBeyond = 3

// closeInherited closes the descriptors that came through exec, but for the
// standard files and those that are expected.
// Those that the Go runtime opened for itself are close-on-exec, which none
// that came through exec can be; they stay, since the runtime would go on to
// use the number.
func closeInherited(expected []int) error {
	size, err := descriptorTableSize()
	if err != nil {
		return err
	}
	for fd := firstBeyond; fd < size; fd++ {
		if slices.Contains(expected, fd) {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue
		}
		// A close that fails has still freed the descriptor, and what was
		// open there was never ours to write.
		_ = unix.Close(fd)
	}
	return nil
}

// descriptorTableSize returns a number that no open descriptor reaches. It is
// not taken from /proc/self/fd, which a process that is not dumpable, such as
// one whose binary it cannot read, may not list.
func descriptorTableSize() (int, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, found := bytes.Cut(status, []byte("\nFDSize:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	size, err := strconv.Atoi(string(bytes.TrimSpace(line)))
	if !found || err != nil {
		return 0, errors.New("/proc/self/status has no FDSize")
	}
	return size, nil
}
