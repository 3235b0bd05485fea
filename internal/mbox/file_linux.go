package mbox

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const fileMode = 0o600

// file is an mbox on disk. It is no os.File: a FIFO would be waited for.
type file struct {
	fd, dir int // dir is the directory that path is relative to
	path    string
	regular bool
}

// Open opens the mbox at path, which is relative to the open directory dir,
// and creates it if there is none. dir must stay open as long as the File.
// Anything but a regular file is written as far as it can be: /dev/null keeps
// nothing, and nobody asked it to.
func Open(dir int, path string) (File, error) {
	f := &file{fd: -1, dir: dir, path: path}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

// open opens what lies under the name now, in place of what was open.
func (f *file) open() error {
	// Write-only, for a FIFO without a reader is an error then.
	fd, err := retryFD(func() (int, error) {
		return unix.Openat(f.dir, f.path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, fileMode)
	})
	if err != nil {
		return &os.PathError{Op: "open", Path: f.path, Err: err}
	}
	var st unix.Stat_t
	if _, err := retryFD(func() (int, error) { return 0, unix.Fstat(fd, &st) }); err != nil {
		_ = unix.Close(fd) // nothing was written
		return f.wrap("stat", err)
	}
	if f.fd >= 0 {
		_ = unix.Close(f.fd) // nothing was written
	}
	f.fd, f.regular = fd, st.Mode&unix.S_IFMT == unix.S_IFREG
	return nil
}

func (f *file) stat() (st unix.Stat_t, err error) {
	_, err = retryFD(func() (int, error) { return 0, unix.Fstat(f.fd, &st) })
	return st, f.wrap("stat", err)
}

// TryLock takes qmail's lock, and then the one that mutt, Python and most other
// readers know. Who holds one of them and waits for the other is not waited for
// with the first.
func (f *file) TryLock() (bool, error) {
	_, err := retryFD(func() (int, error) { return 0, unix.Flock(f.fd, unix.LOCK_EX|unix.LOCK_NB) })
	if err == unix.EWOULDBLOCK {
		return false, nil
	}
	if err != nil || !f.regular {
		return err == nil, f.wrap("flock", err)
	}
	taken, err := f.tryRecordLock()
	if taken && err == nil {
		var current bool
		if current, err = f.isCurrent(); current && !f.hasLockFile() {
			return true, nil
		}
		if err == nil {
			err = f.open() // closes what was open, with its locks
			return false, err
		}
	}
	_, unlockErr := retryFD(func() (int, error) { return 0, unix.Flock(f.fd, unix.LOCK_UN) })
	return false, errors.Join(err, f.wrap("unlock", unlockErr))
}

// tryRecordLock takes a lock of fcntl on all of the file, as belongs to the open
// file and not to the process, which has others open. Where the file system has
// none, flock is all there is.
func (f *file) tryRecordLock() (bool, error) {
	_, err := retryFD(func() (int, error) {
		return 0, unix.FcntlFlock(uintptr(f.fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart})
	})
	switch err {
	case nil, unix.EINVAL, unix.ENOSYS, unix.ENOLCK, unix.EOPNOTSUPP:
		return true, nil
	case unix.EAGAIN, unix.EACCES:
		return false, nil
	}
	return false, f.wrap("lock", err)
}

// lockFileAge is how old the lock file is of a program that is no more.
const lockFileAge = 5 * time.Minute

// hasLockFile tells whether somebody holds the lock that is a file, beside the one
// of fcntl. It is made by nobody here, but Python's mailbox gives the other one up
// a moment before it replaces the mbox.
func (f *file) hasLockFile() bool {
	var st unix.Stat_t
	_, err := retryFD(func() (int, error) {
		return 0, unix.Fstatat(f.dir, f.path+".lock", &st, unix.AT_SYMLINK_NOFOLLOW)
	})
	// Where others may make files, theirs are no locks; nor is one of the future.
	ours := st.Uid == uint32(os.Geteuid()) || st.Uid == 0
	age := time.Since(time.Unix(st.Mtim.Unix()))
	return err == nil && ours && age > -lockFileAge && age < lockFileAge
}

// isCurrent tells whether the name still is that of the open file: a reader that
// writes the mbox anew may have put another in its place, where messages are
// looked for from now on.
func (f *file) isCurrent() (bool, error) {
	var there unix.Stat_t
	_, err := retryFD(func() (int, error) { return 0, unix.Fstatat(f.dir, f.path, &there, 0) })
	if err == unix.ENOENT {
		return false, nil
	}
	if err != nil {
		return false, f.wrap("stat", err)
	}
	ours, err := f.stat()
	return err == nil && ours.Dev == there.Dev && ours.Ino == there.Ino, err
}

func (f *file) Size() (int64, error) {
	st, err := f.stat()
	return st.Size, err
}

func (f *file) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := retryFD(func() (int, error) { return unix.Write(f.fd, p[done:]) })
		if err == nil && n == 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return done, f.wrap("write", err)
		}
		done += n
	}
	return done, nil
}

// ReadAt reads what is there; of anything but a regular file, nothing.
func (f *file) ReadAt(p []byte, offset int64) (int, error) {
	if !f.regular {
		return 0, io.ErrUnexpectedEOF
	}
	fd, err := retryFD(func() (int, error) {
		return unix.Openat(f.dir, f.path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return 0, f.wrap("open for reading", err)
	}
	defer unix.Close(fd) // only read from
	var ours, there unix.Stat_t
	if unix.Fstat(f.fd, &ours) != nil || unix.Fstat(fd, &there) != nil || ours.Dev != there.Dev || ours.Ino != there.Ino {
		return 0, io.ErrUnexpectedEOF // the name is another file's by now
	}
	n, err := retryFD(func() (int, error) { return unix.Pread(fd, p, offset) })
	return max(0, n), f.wrap("read", err)
}

func (f *file) Truncate(size int64) error {
	if !f.regular {
		return nil
	}
	_, err := retryFD(func() (int, error) { return 0, unix.Ftruncate(f.fd, size) })
	return f.wrap("truncate", err)
}

func (f *file) Sync() error {
	_, err := retryFD(func() (int, error) { return 0, unix.Fsync(f.fd) })
	if err == unix.EINVAL && !f.regular {
		return nil
	}
	return f.wrap("fsync", err)
}

func (f *file) SyncName() error {
	if !f.regular {
		return nil
	}
	fd, err := retryFD(func() (int, error) {
		return unix.Openat(f.dir, filepath.Dir(f.path), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err == unix.EACCES {
		// A directory that its user may write but not read, as mail spools
		// are: syncfs needs no more than the file.
		_, err = retryFD(func() (int, error) { return 0, unix.Syncfs(f.fd) })
		return f.wrap("syncfs", err)
	}
	if err != nil {
		return f.wrap("open the directory of", err)
	}
	_, err = retryFD(func() (int, error) { return 0, unix.Fsync(fd) })
	_ = unix.Close(fd) // read-only: a close has no result that matters
	return f.wrap("fsync the directory of", err)
}

func (f *file) Close() error {
	// Not repeated when interrupted: Linux has freed the number.
	if err := unix.Close(f.fd); err != unix.EINTR {
		return f.wrap("close", err)
	}
	return nil
}

func (f *file) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: f.path, Err: err}
}

func retryFD(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != unix.EINTR {
			return n, err
		}
	}
}
