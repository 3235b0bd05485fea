package packaged

import (
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/testhost"
)

//go:embed life.sh
var life string

// limit bounds the life of a package, on a machine that does other things.
const limit = 10 * time.Minute

// TestDebianPackage runs life.sh, which says line by line what happened.
func TestDebianPackage(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("mounts, and users of a whole machine, need root")
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	dir := t.TempDir()
	build := exec.CommandContext(ctx, "../../../contrib/debian/build", testhost.Programs(t), "0~test", dir)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build.Args, err, out)
	}
	packages, err := filepath.Glob(dir + "/postrider_0~test_*.deb")
	if err != nil || len(packages) != 1 {
		t.Fatalf("packages %v, %v", packages, err)
	}
	run := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--net", "--uts", "--kill-child",
		"sh", "-c", life, "sh", packages[0], overlay(t))
	out, err := run.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "\nall is gone\n") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// overlay returns a directory on memory, for what changes.
func overlay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512m,mode=755"); err != nil {
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
