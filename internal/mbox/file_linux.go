package mbox

import (
	"io"
	"os"
	"path/filepath"

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
	// Write-only, for a FIFO without a reader is an error then.
	fd, err := retryFD(func() (int, error) {
		return unix.Openat(dir, path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, fileMode)
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := &file{fd: fd, dir: dir, path: path}
	st, err := f.stat()
	if err != nil {
		_ = unix.Close(fd) // nothing was written
		return nil, err
	}
	f.regular = st.Mode&unix.S_IFMT == unix.S_IFREG
	return f, nil
}

func (f *file) stat() (st unix.Stat_t, err error) {
	_, err = retryFD(func() (int, error) { return 0, unix.Fstat(f.fd, &st) })
	return st, f.wrap("stat", err)
}

func (f *file) TryLock() (bool, error) {
	_, err := retryFD(func() (int, error) { return 0, unix.Flock(f.fd, unix.LOCK_EX|unix.LOCK_NB) })
	if err == unix.EWOULDBLOCK {
		return false, nil
	}
	return err == nil, f.wrap("flock", err)
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
