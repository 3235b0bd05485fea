package testhost

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// powerCut is the order to a host's init to stop the disk.
type powerCut struct{ FS, Options string }

// PowerCut stops the disk of the host without writing anything more to it, as
// if the power had failed, kills every process, and mounts the disk again. The
// file system has then what it had made durable, and whatever else it likes.
// ext4 and XFS can be stopped like that.
func (h *Host) PowerCut() {
	h.t.Helper()
	h.suiteMu.Lock()
	defer h.suiteMu.Unlock()
	order := powerCut{FS: h.mount.FS, Options: h.mount.Options}
	if err := h.agent.do(request{Cut: &order}, h.disk); err != nil {
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
	if err := stopFileSystem(diskDir); err != nil {
		return err
	}
	if err := children.killAll(); err != nil {
		return err
	}
	for i := range diskDirs {
		dir := diskDirs[len(diskDirs)-1-i].dir
		if err := unix.Unmount(dir, 0); err != nil {
			return fmt.Errorf("unmount %s: %w", dir, err)
		}
	}
	if err := unix.Unmount(diskDir, 0); err != nil {
		return fmt.Errorf("unmount the disk: %w", err)
	}
	if err := mountImage(image, diskDir, c.FS, c.Options); err != nil {
		return err
	}
	return bindDisk()
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
