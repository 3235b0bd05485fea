package world

import (
	"os"
	"testing"
)

func TestMadeByRuntime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path string
		flag int
		want bool
	}{
		{os.DevNull, os.O_RDONLY, false},
		{os.DevNull, os.O_WRONLY, false},
		{os.DevNull, os.O_RDWR, true},
		{"/dev/zero", os.O_RDWR, false},
		{t.TempDir() + "/x", os.O_RDWR | os.O_CREATE, false},
	} {
		f, err := os.OpenFile(c.path, c.flag, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if got := MadeByRuntime(f); got != c.want {
			t.Errorf("%s with %#x: got %v, want %v", c.path, c.flag, got, c.want)
		}
		f.Close()
		if !MadeByRuntime(f) {
			t.Errorf("%s is taken although it cannot be looked at", c.path)
		}
	}
}
