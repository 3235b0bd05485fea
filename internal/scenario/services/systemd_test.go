package services

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/testhost"
)

// exposure is the most that systemd-analyze may find in the unit, of 100: it has
// 37 to 39, since programs of users shall run as they do elsewhere.
const exposure = "40"

// TestUnitIsHardened has systemd-analyze look at the unit, as its own tests do.
func TestUnitIsHardened(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("SKIPPED for want of systemd: .ci/run installs it")
	}
	out, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=yes", "--threshold="+exposure, units+"/postrider.service").CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Log(lines[len(lines)-1])
}

const (
	units = "../../../contrib/systemd"
	// bootTime bounds the life of a systemd, on a machine that does other things.
	bootTime = 5 * time.Minute
)

// TestSystemd runs unit.sh below a systemd that is process 1 of its own.
func TestSystemd(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("mounts, control groups and users of a whole machine need root")
	}
	if _, err := os.Stat("/lib/systemd/systemd"); err != nil {
		t.Skip("SKIPPED for want of systemd: .ci/run installs it")
	}
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	group := controlGroup(t)
	boot := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--net", "--uts", "--ipc", "--kill-child",
		"sh", "-c", `group=$1; shift; echo 0 >"$group/cgroup.procs"; exec unshare --cgroup sh systemd.sh "$@"`, "sh",
		group, testhost.Programs(t), units, emptyRoot(t), "unit.sh")
	out, err := boot.CombinedOutput()
	// Its end is a signal: that is how a namespace is switched off.
	if !strings.HasSuffix(string(out), "\nall is well\n") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// controlGroup makes a group, of version 2, for a systemd and all that it starts.
func controlGroup(t *testing.T) string {
	t.Helper()
	const procs = "/cgroup.procs"
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(root + procs); err != nil {
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

// removeGroup removes a group and those in it, whose processes have ended.
func removeGroup(t *testing.T, group string) {
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
	for _, dir := range slices.Backward(all) {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	}
}

// emptyRoot returns a directory on memory for what a copy of this machine's root
// changes.
func emptyRoot(t *testing.T) string {
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
