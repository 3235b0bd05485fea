package mtasts

import (
	"os"
	"testing"

	"postrider/internal/mtasts"
)

// FuzzFile reads the file of a policy, as a disk may have left it.
func FuzzFile(f *testing.F) {
	for _, text := range []string{"1 1000000000\n" + week, "1 x\n" + week, "", "1 1000000000\n"} {
		f.Add(text)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(dir+"/d.example", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := newStore(dir).read("d.example")
		if err == nil && e.policy.Mode != mtasts.None && len(e.policy.MX) == 0 {
			t.Fatalf("%+v", e)
		}
	})
}
