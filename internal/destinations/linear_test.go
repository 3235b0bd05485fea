package destinations

import (
	"os"
	"path/filepath"
	"postrider/internal/control"
	"postrider/internal/lineartest"
	"testing"
)

// R43: a file of the largest size that is read.
func TestReadIsLinear(t *testing.T) {
	dir := t.TempDir()
	lineartest.Check(t, lineartest.Size, func(text string) {
		if err := os.WriteFile(filepath.Join(dir, File), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = Read(control.Dir(dir)) // whether it is valid does not matter here
	}, lineartest.Units("a rate=1/s\n", "a\n", ".", "a rate=1/s "),
		lineartest.Around("mx:.google.com rate=600/m recipients=50 messages=20\n"))
}
