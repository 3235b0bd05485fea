package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

// OpenGroup returns a group for files on the file system that holds the
// directory at path. Open it before the first write there: All uses syncfs,
// which reports an error to a descriptor that was open before.
func OpenGroup(path string) (*Group, error) {
	fd, err := retryFD(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, pathError("open", path, err)
	}
	g := NewGroup(func() error {
		return os.NewSyscallError("syncfs", retry(func() error { return unix.Syncfs(fd) }))
	})
	g.queue = openSyncQueue()
	return g, nil
}

// FileGroup returns a group for files wherever they are. It has no All.
func FileGroup() *Group { return &Group{queue: openSyncQueue()} }
