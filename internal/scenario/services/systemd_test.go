package services

import (
	_ "embed"
	"os/exec"
	"strings"
	"testing"

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

const units = "../../../contrib/systemd"

//go:embed unit.sh
var unitScript string

// TestSystemd runs unit.sh below a systemd that is process 1 of its own.
func TestSystemd(t *testing.T) {
	t.Parallel()
	out := testhost.Systemd(t, unitScript, map[string]string{testhost.Programs(t): "/tmp/programs", units: "/tmp/units"})
	if !strings.HasSuffix(out, "\nall is well\n") {
		t.Fatal(out)
	}
	t.Log(out)
}
