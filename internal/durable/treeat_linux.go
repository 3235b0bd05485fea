package durable

import (
	"io"

	"golang.org/x/sys/unix"
)

// ClosingTree is a Tree that does not stay open for ever.
type ClosingTree interface {
	Tree
	io.Closer
}

// OpenTreeAt returns the file operations below the directory at path, which
// is relative to the open directory dir. Unlike the names below it, path may
// go over symbolic links: it is for users' directories, opened by their
// owner's processes.
func OpenTreeAt(dir int, path string) (ClosingTree, error) {
	fd, err := retryFD(func() (int, error) {
		return unix.Openat(dir, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, pathError("open", path, err)
	}
	return systemTree{fd}, nil
}

func (t systemTree) Close() error { return closeFD(t.fd, ".") }
