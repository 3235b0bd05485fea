package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// startInside starts this program again in namespaces of its own. The other
// end of its standard input is here: its end of file means stop.
func startInside(l layout) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.Command(self, inside)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	stop, err := c.StdinPipe()
	if err != nil {
		return err
	}
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Setsid:     true, // Ctrl-C is for the process out here
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("unable to make namespaces: %w: try it as an ordinary user", err)
	}
	if err := os.WriteFile(l.pidFile(), []byte(strconv.Itoa(c.Process.Pid)+"\n"), 0o644); err != nil {
		return err
	}
	defer os.Remove(l.pidFile())
	return waitAndForward(func(sig os.Signal) error {
		if sig == syscall.SIGINT || sig == syscall.SIGTERM {
			return stop.Close()
		}
		return c.Process.Signal(sig)
	}, c.Wait)
}

// liveInside is the first process of the small world: it builds it, runs
// qmail-start and buries orphans.
func liveInside(run string) error {
	if err := buildWorld(run); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	server, err := os.StartProcess("/var/qmail/bin/qmail-start", []string{"qmail-start", "./Maildir/"}, &os.ProcAttr{
		Dir: "/", Env: usersEnvironment, Files: []*os.File{null, os.Stdout, os.Stderr},
	})
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // waits for the end of file only
		_ = server.Signal(syscall.SIGTERM)   // it may have ended by itself
	}()
	return waitAndForward(server.Signal, func() error { return bury(server.Pid) })
}

// bury waits for all children, adopted ones too, until the server has ended.
func bury(server int) error {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return os.NewSyscallError("wait", err)
		case pid == server && status.ExitStatus() != 0:
			return fmt.Errorf("qmail-start ended with code %d", status.ExitStatus())
		case pid == server:
			return nil
		}
	}
}

// buildWorld makes the root directory of the small world and enters it.
func buildWorld(run string) error {
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	root := filepath.Join(run, "root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	for _, dir := range []string{"/proc", "/tmp", "/root"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(root, "/tmp"), 0o777|os.ModeSticky); err != nil {
		return err
	}
	for _, dir := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib64", "/dev"} {
		if err := borrow(dir, root); err != nil {
			return err
		}
	}
	for _, dir := range []string{"etc", "home", "var/qmail"} {
		if err := bind(filepath.Join(run, dir), filepath.Join(root, dir)); err != nil {
			return err
		}
	}
	if err := unix.Mount("proc", filepath.Join(root, "proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	return enter(root)
}

// borrow shows a directory of the machine, or copies the link that stands for
// it.
func borrow(dir, root string) error {
	target, err := os.Readlink(dir)
	if err == nil {
		return os.Symlink(target, filepath.Join(root, dir))
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return bind(dir, filepath.Join(root, dir))
}

func bind(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount %s: %w", from, err)
	}
	return nil
}

// enter makes root the root directory and lets go of the machine's.
func enter(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return os.NewSyscallError("pivot_root", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return os.NewSyscallError("umount", err)
	}
	return os.Chdir("/")
}
