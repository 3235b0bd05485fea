package packaged

import (
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--net", "--uts", "--kill-child",
		"sh", "-c", life, "sh", built(ctx, t, "0~test1"), built(ctx, t, "0~test2"), self, overlay(t))
	out, err := run.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "\nall is gone\n") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Log(regexp.MustCompile("(?m)^.* were taken while .*$").FindString(string(out)))
}

// built returns a package of a version.
func built(ctx context.Context, t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(ctx, "../../../contrib/debian/build", testhost.Programs(t), version, dir)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build.Args, err, out)
	}
	packages, err := filepath.Glob(dir + "/postrider_*.deb")
	if err != nil || len(packages) != 1 {
		t.Fatalf("packages %v, %v", packages, err)
	}
	return packages[0]
}

// overlay returns a directory on memory, for what changes.
func overlay(t *testing.T) string {
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
