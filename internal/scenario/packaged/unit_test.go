package packaged

import (
	_ "embed"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

//go:embed unit.sh
var underSystemd string

// TestDebianPackageUnderSystemd runs unit.sh: what dpkg does where systemd is
// process 1 and starts the unit, and not the init script.
func TestDebianPackageUnderSystemd(t *testing.T) {
	t.Parallel()
	older, newer := built(t.Context(), t, "0~test1"), built(t.Context(), t, "0~test2")
	out := testhost.Systemd(t, underSystemd, map[string]string{filepath.Dir(older): "/tmp/older", filepath.Dir(newer): "/tmp/newer"})
	if !strings.HasSuffix(strings.TrimSpace(out), "\nall is gone") {
		t.Fatal(out)
	}
}
