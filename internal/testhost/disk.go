package testhost

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// Disk describes the file system a host keeps /var/qmail and /home on: an
// image file that is mounted through a loop device.
type Disk struct {
	Size    int64    // bytes, sparse; 0 means 4 GiB
	FS      string   // "ext4" (default, journaled), "xfs" or "btrfs"
	Options string   // mount options
	Image   *os.File // the file system itself, the test's; nil: one is made
}

const defaultDiskSize = 4 << 30

// NewImage makes an image that has no name, so that nothing is left of it
// whatever happens to the test, and a file system in it.
func NewImage(d Disk) (*os.File, error) {
	f, err := unnamedFile()
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(d.Size); err != nil {
		f.Close()
		return nil, err
	}
	var argv []string
	switch d.FS {
	case "ext4":
		argv = []string{"mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", "/proc/self/fd/3"}
	case "xfs":
		argv = []string{"mkfs.xfs", "-q", "-f", "/proc/self/fd/3"}
	case "btrfs":
		argv = []string{"mkfs.btrfs", "-q", "-f", "/proc/self/fd/3"}
	default:
		f.Close()
		return nil, fmt.Errorf("no disk of type %q", d.FS)
	}
	mkfs := exec.Command(argv[0], argv[1:]...)
	mkfs.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if path, err := exec.LookPath(argv[0]); err != nil {
		mkfs.Path, mkfs.Err = "/usr/sbin/"+argv[0], nil
	} else {
		mkfs.Path = path
	}
	mkfs.ExtraFiles = []*os.File{f}
	if out, err := mkfs.CombinedOutput(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w\n%s", argv[0], err, out)
	}
	return f, nil
}

// unnamedFile returns an open file without a name in the temporary directory.
func unnamedFile() (*os.File, error) {
	fd, err := unix.Open(os.TempDir(), unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), "disk image"), nil
	}
	f, err := os.CreateTemp("", "testhost-disk-")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// mountImage attaches the image to a free loop device and mounts it. The
// device frees itself when the last mount of it is gone.
func mountImage(image *os.File, dir, fstype, options string) error {
	loop, err := attachLoop(image)
	if err != nil {
		return err
	}
	defer loop.Close()
	if err := unix.Mount(loop.Name(), dir, fstype, unix.MS_NOATIME|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount %s: %w", loop.Name(), err)
	}
	return nil
}

func attachLoop(image *os.File) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	// Others take loop devices at the same time: try again with the next.
	for range 100 {
		number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("find a loop device: %w", err)
		}
		loop, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", number), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		config := unix.LoopConfig{Fd: uint32(image.Fd())}
		config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR | unix.LO_FLAGS_DIRECT_IO
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &config)
		if errors.Is(err, unix.EINVAL) { // no direct I/O on this file
			config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
			err = unix.IoctlLoopConfigure(int(loop.Fd()), &config)
		}
		if err == nil {
			return loop, nil
		}
		loop.Close()
		if !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("attach a loop device: %w", err)
		}
	}
	return nil, errors.New("no free loop device")
}

// FillDisk takes all blocks of the disk of /var/qmail and /home, and returns
// what gives them back.
func (h *Host) FillDisk() (free func()) { return h.FillDiskBut(0) }

// FillDiskBut is FillDisk that leaves about so many bytes.
func (h *Host) FillDiskBut(left int64) (free func()) {
	h.t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(h.Path("/home"), &st); err != nil {
		h.t.Fatal(err)
	}
	room := int64(1 << 62)
	if left > 0 {
		room = int64(st.Bavail)*st.Bsize - left
	}
	path := h.Path("/home/.filler")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	var at int64
	for size := int64(1 << 30); size >= 4096; {
		if size > room-at {
			size /= 2
			continue
		}
		switch err := unix.Fallocate(int(f.Fd()), 0, at, size); {
		case err == nil:
			at += size
		case errors.Is(err, unix.ENOSPC):
			size /= 2
		case !errors.Is(err, unix.EINTR):
			h.t.Fatalf("fill the disk: %v", err)
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			h.t.Errorf("free the disk: %v", err)
		}
	}
}

// DiskUsed returns how many bytes of the disk are taken.
func (h *Host) DiskUsed() int64 {
	h.t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(h.Path("/var/qmail/queue"), &st); err != nil {
		h.t.Fatal(err)
	}
	return int64(st.Blocks-st.Bfree) * st.Bsize
}
