package maildir

import (
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// sweepAge is after how long a file in tmp is nobody's any more: the rule
	// of Maildir readers (spec section 4.7).
	sweepAge = 36 * time.Hour
	// sweepEvery is how often a mailbox is swept. When that was last, the time
	// of access of its tmp tells: no other file is needed for it, and whoever
	// else reads tmp sweeps it, too.
	sweepEvery = 24 * time.Hour
	maxSwept   = 4096
)

// Sweep removes old files from tmp of the Maildir at path, which is relative to
// the open directory dir, if the last sweep was long enough ago. It costs one
// system call where it was not. An error means only that files are left.
func Sweep(dir int, path string, now time.Time) error {
	tmp := path + "/tmp"
	var st unix.Stat_t
	if err := unix.Fstatat(dir, tmp, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "stat", Path: tmp, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || now.Sub(time.Unix(st.Atim.Unix())) < sweepEvery {
		return nil
	}
	// Without this mark every delivery would sweep.
	times := []unix.Timespec{unix.NsecToTimespec(now.UnixNano()), {Nsec: unix.UTIME_OMIT}}
	if err := unix.UtimesNanoAt(dir, tmp, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "utimensat", Path: tmp, Err: err}
	}
	fd, err := unix.Openat(dir, tmp, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: tmp, Err: err}
	}
	opened := os.NewFile(uintptr(fd), tmp)
	defer opened.Close()
	names, err := opened.Readdirnames(maxSwept)
	if err != nil && err != io.EOF {
		return err
	}
	var failed error
	for _, name := range names {
		if !strings.HasPrefix(name, ".") && isOld(fd, name, now) {
			failed = errors.Join(failed, os.NewSyscallError("unlink", unix.Unlinkat(fd, name, 0)))
		}
	}
	return failed
}

// isOld reports whether a regular file was neither read nor written for
// sweepAge. Times of access are not to be had everywhere; those of writing are.
func isOld(dir int, name string, now time.Time) bool {
	var st unix.Stat_t
	if unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return false
	}
	return now.Sub(time.Unix(st.Mtim.Unix())) > sweepAge && now.Sub(time.Unix(st.Atim.Unix())) > sweepAge
}
