package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

// OpenGroup returns a group for files on the file system that holds the
// directory at path. Open it before the first write there: All uses syncfs,
// which reports an error to a descriptor that was open before, and so does Bulk.
func OpenGroup(path string) (*Group, error) {
	fd, err := retryFD(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, pathError("open", path, err)
	}
	return groupOn(fd), nil
}

// groupOn is OpenGroup of a directory that is open, and stays so.
func groupOn(fd int) *Group {
	g := NewGroup(func() error {
		return os.NewSyscallError("syncfs", retry(func() error { return unix.Syncfs(fd) }))
	})
	g.whole = tellsOfAll(fd)
	g.queue = openSyncQueue()
	return g
}

// tellsOfAll reports whether syncfs can be relied on for the file system of fd.
// These keep the error of a page for each descriptor that was open before, and
// wait for their journal; of others it is not known, and one that is laid over
// another may leave that out.
func tellsOfAll(fd int) bool {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(fd, &st) }); err != nil {
		return false
	}
	switch int64(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC:
		return true
	}
	return false
}

// FileGroup returns a group for files wherever they are. It has no All.
func FileGroup() *Group { return &Group{queue: openSyncQueue()} }
