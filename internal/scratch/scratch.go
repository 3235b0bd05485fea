// Package scratch keeps messages that are on their way in files without a
// name: they take disk and no memory, and nothing of them is left when their
// process ends, however it does.
//
// Daemons that need a message as a whole import it. What is written is
// hostile; the directory is the daemon's own.
//
// Every error is temporary.
package scratch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ErrFull is returned for what would exceed the bound of all files together.
var ErrFull = errors.New("too much mail on its way at once")

// Dir is a directory for files, with a bound.
type Dir struct {
	path string
	most int64
	used atomic.Int64
}

// At returns a Dir whose files together have at most so many bytes.
func At(path string, most int64) *Dir { return &Dir{path: path, most: most} }

// Used returns how many bytes all files have.
func (d *Dir) Used() int64 { return d.used.Load() }

// File is written from its beginning to its end and then read. It is not safe
// for concurrent use.
type File struct {
	dir  *Dir
	f    *os.File
	size int64
}

// Create makes an empty file.
func (d *Dir) Create() (*File, error) {
	fd, err := unix.Open(d.path, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) {
		return d.createNamed() // this file system has no such files
	}
	if err != nil {
		return nil, &os.PathError{Op: "create a file in", Path: d.path, Err: err}
	}
	return &File{dir: d, f: os.NewFile(uintptr(fd), d.path)}, nil
}

func (d *Dir) createNamed() (*File, error) {
	f, err := os.CreateTemp(d.path, "")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return &File{dir: d, f: f}, nil
}

// Write appends to the file.
func (f *File) Write(p []byte) (int, error) {
	if f.dir.used.Add(int64(len(p))) > f.dir.most {
		f.dir.used.Add(int64(-len(p)))
		return 0, fmt.Errorf("%s: %w", f.dir.path, ErrFull)
	}
	n, err := f.f.Write(p)
	f.size += int64(n)
	f.dir.used.Add(int64(n - len(p)))
	return n, err
}

// Size returns how much was written.
func (f *File) Size() int64 { return f.size }

// Section returns n bytes from offset on.
func (f *File) Section(offset, n int64) *io.SectionReader {
	return io.NewSectionReader(f.f, offset, n)
}

// Close frees the file. It may be called again.
func (f *File) Close() {
	if f.f == nil {
		return
	}
	_ = f.f.Close() // nobody reads it again
	f.f = nil
	f.dir.used.Add(-f.size)
}
