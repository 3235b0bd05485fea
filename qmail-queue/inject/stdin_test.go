package inject

import (
	"errors"
	"os"
	"testing"
)

func TestCheckStdin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path string
		flag int
		want error
	}{
		{os.DevNull, os.O_RDONLY, nil},
		{os.DevNull, os.O_RDWR, errClosed},
		{"/dev/zero", os.O_RDWR, nil},
		{t.TempDir() + "/x", os.O_RDWR | os.O_CREATE, nil},
	} {
		f, err := os.OpenFile(c.path, c.flag, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkStdin(f); !errors.Is(err, c.want) {
			t.Errorf("%s with %#x: got %v, want %v", c.path, c.flag, err, c.want)
		}
		f.Close()
	}
}
