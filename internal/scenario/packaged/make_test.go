package packaged

import (
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

//go:embed make.sh
var targets string

// TestMakeInstall runs make.sh: what the Makefile puts in place and takes away.
func TestMakeInstall(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("mounts, and users of a whole machine, need root")
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	source, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--net", "--uts", "--kill-child",
		"sh", "-c", targets, "sh", source, testhost.Programs(t), testhost.EmptyRoot(t))
	out, err := run.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "\nall is as it was\n") {
		t.Fatalf("%v\n%s", err, out)
	}
}
