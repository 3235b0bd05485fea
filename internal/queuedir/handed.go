package queuedir

import (
	"os"

	"golang.org/x/sys/unix"
)

// HandedEntry is OpenEntry for who cannot open the queue's files and was handed
// them; body is used if the body is a file of its own. The caller owns both,
// and keeps them open as long as the entry.
func HandedEntry(id ID, f, body *os.File) (*Entry, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	e := &Entry{ID: id, size: info.Size(), content: f, body: body}
	if e.size <= maxInMemory {
		if err := e.take(int(f.Fd()), f.Name()); err != nil {
			return nil, err
		}
	} else if e.f, err = again(f); err != nil {
		return nil, err
	}
	if err := e.check(); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// openBody opens the body's file.
func (e *Entry) openBody() (*os.File, error) {
	if e.body != nil {
		return again(e.body)
	}
	return OpenFile(e.layout.Body(e.ID))
}

// again returns another descriptor of f, at its beginning.
func again(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	if _, err := unix.Seek(fd, 0, 0); err != nil {
		_ = unix.Close(fd) // only read from
		return nil, os.NewSyscallError("lseek", err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}
