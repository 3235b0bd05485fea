package queuedir

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ErrNotFile is returned for a name of the queue that is something else than a
// regular file. It says nothing about the message, whose file may come back.
var ErrNotFile = errors.New("is not a regular file")

// openFlags keep who opens from following links, from waiting for the other end
// of a pipe, and from what a terminal does.
const openFlags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC

// OpenFile opens a file of the queue for reading. It follows no link and waits
// for nobody: a pipe is none.
func OpenFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, openFlags, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: ErrNotFile}
	}
	if err != nil {
		_ = f.Close() // only read from
		return nil, err
	}
	return f, nil
}

// OpenDir opens a directory of the queue to list it. It follows no link and
// waits for nobody, whatever stands in its place.
func OpenDir(name string) (*os.File, error) {
	return os.OpenFile(name, openFlags|unix.O_DIRECTORY, 0)
}

// DirAdvice is what the administrator does about a directory of the queue that
// OpenDir cannot open.
const DirAdvice = "move away what is in its place, if it is none, and run qmail-setup"
