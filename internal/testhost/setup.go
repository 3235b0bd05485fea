package testhost

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// setup is what a host's init does first: build the tree the host lives in.
type setup struct {
	Hostname   string
	Built      string // directory seen as builtPath
	Resolver   string // address of the network's DNS server
	Addresses  []string
	DiskFS     string // file system type of the disk image, empty without one
	DiskOpts   string
	UserNS     bool // overlays keep their marks in user.* attributes
	SingleUser bool // only root is mapped
}

// scratch is where a host keeps the upper halves of its overlays and mounts
// its disk. Only root may enter.
const scratch = "/run/testhost"

// overlays are the directories a host may change without the machine seeing it.
func overlays() []string { return []string{"/etc", "/var", "/usr/sbin", "/usr/lib", "/root"} }

// apply builds the tree. It runs in the host's init, in namespaces of its
// own; nothing it does is seen outside them.
func (s *setup) apply(disk *os.File) error {
	unix.Umask(0o022)
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Sethostname([]byte(s.Hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	steps := []func() error{
		s.mountScratch, s.mountOverlays,
		func() error { return s.mountDisk(disk) },
		s.mountPrivate, s.writeEtc, s.tuneNetwork,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return os.Chdir("/")
}

func (s *setup) mountScratch() error {
	built, err := unix.Open(s.Built, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.Built, err)
	}
	defer unix.Close(built)
	if err := mountTmpfs("/run", "mode=0755"); err != nil {
		return err
	}
	if err := os.Mkdir(builtPath, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", built), builtPath, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", builtPath, err)
	}
	return os.Mkdir(scratch, 0o700)
}

func mountTmpfs(dir, opts string) error {
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, opts); err != nil {
		return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
	}
	return nil
}

func (s *setup) mountOverlays() error {
	for i, dir := range overlays() {
		upper := filepath.Join(scratch, fmt.Sprintf("upper%d", i))
		work := filepath.Join(scratch, fmt.Sprintf("work%d", i))
		for _, made := range []string{upper, work} {
			if err := os.Mkdir(made, 0o755); err != nil {
				return err
			}
		}
		if dir == "/root" { // nothing of the machine's administrator
			if err := mountTmpfs(dir, "mode=0700"); err != nil {
				return err
			}
			continue
		}
		// A symbolic link (/usr/sbin on some systems) is followed by mount.
		opts := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, upper, work)
		if s.UserNS {
			opts += ",userxattr"
		}
		if err := unix.Mount("overlay", dir, "overlay", 0, opts); err != nil {
			return fmt.Errorf("mount overlay on %s: %w", dir, err)
		}
	}
	return nil
}

// mountDisk gives the host its real file system: /var/qmail and /home live on
// the disk image. Without an image (not root) they are in memory.
func (s *setup) mountDisk(disk *os.File) error {
	if err := os.Mkdir(diskDir, 0o755); err != nil {
		return err
	}
	if disk != nil {
		if err := mountImage(disk, diskDir, s.DiskFS, s.DiskOpts); err != nil {
			return err
		}
	}
	return bindDisk()
}

// diskDir is where the disk is mounted; what is on it is bound to the
// directories of diskDirs.
const diskDir = scratch + "/disk"

var diskDirs = []struct{ name, dir string }{{"qmail", "/var/qmail"}, {"home", "/home"}}

func bindDisk() error {
	for _, d := range diskDirs {
		source := filepath.Join(diskDir, d.name)
		if err := os.MkdirAll(source, 0o755); err != nil {
			return err
		}
		if err := os.MkdirAll(d.dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(source, d.dir, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s: %w", d.dir, err)
		}
	}
	return nil
}

func (s *setup) mountPrivate() error {
	if err := mountTmpfs("/tmp", "mode=1777"); err != nil {
		return err
	}
	if err := mountTmpfs("/dev/shm", "mode=1777"); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	return nil
}

func (s *setup) writeEtc() error {
	hosts := "127.0.0.1 localhost\n::1 localhost\n"
	for _, address := range s.Addresses {
		hosts += address + " " + s.Hostname + "\n"
	}
	files := []struct {
		name, text string
		mode       os.FileMode
	}{
		{"passwd", firstPasswd, 0o644},
		{"group", firstGroup, 0o644},
		{"shadow", firstShadow, 0o600},
		{"gshadow", "", 0o600},
		{"hostname", s.Hostname + "\n", 0o644},
		{"mailname", s.Hostname + "\n", 0o644},
		{"hosts", hosts, 0o644},
		{"nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\n", 0o644},
		{"resolv.conf", "nameserver " + s.Resolver + "\noptions timeout:2 attempts:2\n", 0o644},
	}
	for _, f := range files {
		path := filepath.Join("/etc", f.name)
		// resolv.conf may be a link out of /etc.
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return err
		}
		if err := os.WriteFile(path, []byte(f.text), f.mode); err != nil {
			return err
		}
	}
	// The machine's locks and copies; in a user namespace they belong to
	// nobody, and groupadd could not replace them.
	others := []string{".pwd.lock", "subuid", "subgid", "subuid-", "subgid-"}
	for _, name := range []string{"passwd", "group", "shadow", "gshadow"} {
		others = append(others, name+"-", name+".lock")
	}
	for _, name := range others {
		if err := os.Remove(filepath.Join("/etc", name)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

// tuneNetwork makes IPv6 addresses usable at once. A kernel without IPv6 has
// no such file.
func (s *setup) tuneNetwork() error {
	for _, which := range []string{"all", "default"} {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/"+which+"/accept_dad", []byte("0"), 0)
		if err != nil && !os.IsNotExist(err) && !os.IsPermission(err) {
			return err
		}
	}
	return nil
}
