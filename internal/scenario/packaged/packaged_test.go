package packaged

import (
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"postrider/internal/testhost"
)

//go:embed life.sh
var life string

// limit bounds the life of a package, on a machine that does other things.
const limit = 10 * time.Minute

// TestDebianPackage runs life.sh, which says line by line what happened, with the
// logger of the package's script and with that of the suite.
func TestDebianPackage(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("mounts, and users of a whole machine, need root")
	}
	older, newer := built(t.Context(), t, "0~test1"), built(t.Context(), t, "0~test2")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, logger := range []string{"logger", "splogger qmail"} {
		// One after the other: each makes all the load that is wanted.
		t.Run(logger, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			run := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--net", "--uts", "--kill-child",
				"sh", "-c", life, "sh", older, newer, self, testhost.EmptyRoot(t), logger)
			out, err := run.CombinedOutput()
			if err != nil || !strings.HasSuffix(string(out), "\nall is gone\n") {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, line := range regexp.MustCompile("(?m)^(?:load|insist|ledger): .*$").FindAllString(string(out), -1) {
				t.Log(line)
			}
			loaded(t, string(out))
		})
	}
}

// enough is how near to pace the sender has to come.
const enough = 0.95

// loaded checks that there was the load that is wanted while programs were
// replaced. A machine that does not make it before has other things to do.
func loaded(t *testing.T, out string) {
	t.Helper()
	m := regexp.MustCompile(`(?m)^load: (\d+) connections: ([\d.]+) a second .* before, ([\d.]+) a second`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no line about the load in\n%s", out)
	}
	var numbers [3]float64
	for i := range numbers {
		var err error
		if numbers[i], err = strconv.ParseFloat(m[i+1], 64); err != nil {
			t.Fatal(err)
		}
	}
	switch all, before, during := numbers[0], numbers[1], numbers[2]; {
	case all < 500:
		t.Errorf("%v connections are no load", all)
	case before < pace*enough:
		t.Logf("this machine is too busy for %d connections a second", pace)
	case during < pace*enough:
		t.Errorf("%v connections a second, want %d", during, pace)
	}
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
