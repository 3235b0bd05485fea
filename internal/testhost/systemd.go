package testhost

import (
	"context"
	"embed"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed systemd.sh
var scripts embed.FS

// bootTime bounds the life of a systemd, on a machine that does other things.
const bootTime = 4 * time.Minute

// Systemd has systemd run a script, as process 1 of namespaces and of a control
// group of its own, on a copy of this machine's root with a network that leads
// nowhere. shared are directories of the machine by what they are called there. It
// returns what the script has said; systemd is switched off when that ends.
func Systemd(t testing.TB, script string, shared map[string]string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounts, control groups and users of a whole machine need root")
	}
	if _, err := os.Stat("/lib/systemd/systemd"); err != nil {
		t.Skip("SKIPPED for want of systemd: .ci/run installs it")
	}
	boot, err := scripts.ReadFile("systemd.sh")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := EmptyRoot(t)
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	args := []string{"--mount", "--pid", "--fork", "--net", "--uts", "--ipc", "--kill-child", "sh", "-c",
		`group=$1; boot=$2; shift 2; echo 0 >"$group/cgroup.procs"; exec unshare --cgroup sh -c "$boot" sh "$@"`, "sh",
		controlGroup(t), string(boot), dir, file}
	for outside, inside := range shared {
		args = append(args, outside, inside)
	}
	// Its end is a signal: that is how a namespace of processes is switched off.
	out, err := exec.CommandContext(ctx, "unshare", args...).CombinedOutput()
	said, readErr := os.ReadFile(dir + "/said")
	if readErr != nil || ctx.Err() != nil {
		t.Fatalf("%v, %v\n%s%s", err, readErr, out, said)
	}
	return string(said)
}

// controlGroup makes a group, of version 2, for a systemd and all that it starts.
func controlGroup(t testing.TB) string {
	t.Helper()
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(root + "/cgroup.procs"); err != nil {
			continue
		}
		group, err := os.MkdirTemp(root, "postrider-test-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { removeGroup(t, group) })
		return group
	}
	t.Fatal("this machine has no control groups of version 2")
	return ""
}

// endingTime is how long killed processes take to leave their group.
const endingTime = 20 * time.Second

// removeGroup removes a group and those in it, whose processes have ended or are
// about to.
func removeGroup(t testing.TB, group string) {
	t.Helper()
	var all []string
	err := filepath.WalkDir(group, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	end := time.Now().Add(endingTime)
	for _, dir := range slices.Backward(all) {
		err := os.Remove(dir)
		for errors.Is(err, unix.EBUSY) && time.Now().Before(end) {
			time.Sleep(10 * time.Millisecond) // nobody tells
			err = os.Remove(dir)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// EmptyRoot returns a directory on memory for what a copy of this machine's root
// changes: upper, work and root, as an overlay wants them.
func EmptyRoot(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1g,mode=755"); err != nil {
		t.Fatal(os.NewSyscallError("mount", err))
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(os.NewSyscallError("umount", err))
		}
	})
	for _, name := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
