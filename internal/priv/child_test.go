package priv

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// playName is the name under which the test binary plays a daemon.
const playName = "priv-child"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == playName {
		play := playChild
		if len(os.Args) > 2 {
			play = playEnter
		}
		if err := play(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// play runs a child as uid 64000 with the capabilities of a role and with
// descriptors that nobody meant to give, and returns what it says.
func play(t *testing.T, role Role) string {
	t.Helper()
	self := reachableCopy(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	files := []*os.File{nil, w, w, w, w, nil, w}
	p, err := os.StartProcess(self, []string{playName, role.Program}, &os.ProcAttr{
		Dir: "/", Files: files,
		Sys: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 64000, Gid: 64000}, AmbientCaps: role.Caps},
	})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, readErr := io.ReadAll(r)
	state, err := p.Wait()
	if err != nil || readErr != nil || !state.Success() {
		t.Fatalf("%v, %v, %v:\n%s", state, err, readErr, out)
	}
	return string(out)
}

// reachableCopy copies the test binary to where another user can execute it.
func reachableCopy(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", playName)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, playName)
	// By another process: a child of ours that is just being started would still
	// have the file open for writing, and nobody could execute it.
	if err := errors.Join(exec.Command("cp", self, path).Run(), os.Chmod(dir, 0o755), os.Chmod(path, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}

// playChild restricts itself while it has threads, and prints their state.
func playChild(program string) error {
	for range 4 {
		go func() {
			runtime.LockOSThread()
			select {}
		}()
	}
	role, _ := RoleOf(program)
	if err := closeInherited([]int{3}); err != nil {
		return err
	}
	got, err := current()
	if err != nil {
		return err
	}
	if !got.is(64000, 64000, nil) {
		return fmt.Errorf("identity %v", got)
	}
	if err := got.checkCaps(role.Caps); err != nil {
		return err
	}
	if err := restrict(role, Policy{}); err != nil {
		return err
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		return err
	}
	fmt.Println("dumpable", dumpable)
	var inherited []int
	for fd := range 100 {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			inherited = append(inherited, fd)
		}
	}
	fmt.Println("inherited", inherited)
	threads, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		return err
	}
	for _, path := range threads {
		status, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		os.Stdout.Write(status)
	}
	return nil
}
