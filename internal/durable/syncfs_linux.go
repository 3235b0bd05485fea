package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

// OpenGroup returns the group of the file system that holds the directory at
// path. Open it before the first write there, and one only for each file
// system: syncfs reports an error to a descriptor that was open before.
func OpenGroup(path string) (*Group, error) {
	fd, err := retryFD(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, pathError("open", path, err)
	}
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(fd, &st) }); err != nil {
		_ = unix.Close(fd)
		return nil, pathError("statfs", path, err)
	}
	return NewGroup(func() error {
		return os.NewSyscallError("syncfs", retry(func() error { return unix.Syncfs(fd) }))
	}, syncfsIsTrusted(int64(st.Type))), nil
}

// syncfsIsTrusted tells the file systems whose syncfs waits for data and
// directory entries alike and reports what was lost.
func syncfsIsTrusted(kind int64) bool {
	switch kind {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC:
		return true
	}
	return false
}
