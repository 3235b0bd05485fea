package testhost

import (
	"fmt"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// powerCut is the order to a host's init to stop the disk.
type powerCut struct {
	FS, Options string
	Stop        bool // the file system, before anything else
	Unmount     bool
	Mount       bool // the image that comes with the order
}

// PowerCut stops the disk of the host without writing anything more to it, as
// if the power had failed, kills every process, and mounts the disk again. The
// file system has then what it had made durable, and whatever else it likes.
// ext4 and XFS can be stopped like that.
func (h *Host) PowerCut() {
	h.t.Helper()
	h.cut(powerCut{FS: h.mount.FS, Options: h.mount.Options, Stop: true, Unmount: true, Mount: true})
}

// SetDisk kills every process and puts another image of the same kind in the
// place of the disk. The image stays the caller's.
func (h *Host) SetDisk(image *os.File) {
	h.t.Helper()
	if h.mount.Image != nil {
		h.RemoveDisk()
	}
	h.mount.Image = image
	h.cut(powerCut{FS: h.mount.FS, Options: h.mount.Options, Mount: true})
}

// RemoveDisk kills every process and unmounts the disk in order.
func (h *Host) RemoveDisk() {
	h.t.Helper()
	h.cut(powerCut{FS: h.mount.FS, Unmount: true})
	h.mount.Image = nil
}

func (h *Host) cut(order powerCut) {
	h.t.Helper()
	h.suiteMu.Lock()
	defer h.suiteMu.Unlock()
	if err := h.agent.do(request{Cut: &order}, h.mount.Image); err != nil {
		h.t.Fatalf("%s: power cut: %v", h.Name, err)
	}
	if h.suite != nil {
		h.awaitSuite(-1)
	}
}

// Linux's FS_IOC_SHUTDOWN, _IOR('X', 125, __u32), and its mode that loses what
// the journal has not written.
const (
	fsIocShutdown = 0x8004587d
	noLogFlush    = 2
)

// apply runs in the host's init. No request is served meanwhile.
func (c *powerCut) apply(image *os.File, children *children) error {
	if c.Stop {
		if err := stopFileSystem(diskDir); err != nil {
			return err
		}
	}
	if err := children.killAll(); err != nil {
		return err
	}
	if c.Unmount {
		if err := unmountDisk(); err != nil {
			return err
		}
	}
	if c.FS == "btrfs" {
		if err := forgetBtrfs(); err != nil {
			return err
		}
	}
	if !c.Mount {
		return nil
	}
	if err := mountImage(image, diskDir, c.FS, c.Options); err != nil {
		return err
	}
	return bindDisk()
}

func unmountDisk() error {
	for _, d := range slices.Backward(diskDirs) {
		if err := unix.Unmount(d.dir, 0); err != nil {
			return fmt.Errorf("unmount %s: %w", d.dir, err)
		}
	}
	if err := unix.Unmount(diskDir, 0); err != nil {
		return fmt.Errorf("unmount the disk: %w", err)
	}
	return nil
}

func stopFileSystem(dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.IoctlSetPointerInt(fd, fsIocShutdown, noLogFlush); err != nil {
		return fmt.Errorf("stop the file system: %w", err)
	}
	return nil
}

// btrfsIocForgetDev is BTRFS_IOC_FORGET_DEV.
const btrfsIocForgetDev = 0x50009405

// forgetBtrfs makes btrfs forget devices that are not mounted: another image
// of the same file system would be taken for an old one.
func forgetBtrfs() error {
	control, err := os.OpenFile("/dev/btrfs-control", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer control.Close()
	var all [4096]byte // struct btrfs_ioctl_vol_args: no name
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, control.Fd(), btrfsIocForgetDev, uintptr(unsafe.Pointer(&all))); errno != 0 {
		return fmt.Errorf("forget btrfs devices: %w", errno)
	}
	return nil
}
