package scratch

import (
	"errors"
	"io"
	"os"
	"testing"
)

func TestFile(t *testing.T) {
	t.Parallel()
	for name, create := range map[string]func(*Dir) (*File, error){"without a name": (*Dir).Create, "named first": (*Dir).createNamed} {
		path := t.TempDir()
		d := At(path, 100)
		f, err := create(d)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, piece := range []string{"message\n", "", "envelope"} {
			if n, err := f.Write([]byte(piece)); n != len(piece) || err != nil {
				t.Errorf("%s: %d, %v", name, n, err)
			}
		}
		got, err := io.ReadAll(f.Section(8, f.Size()-8))
		if err != nil || string(got) != "envelope" || d.Used() != 16 {
			t.Errorf("%s: %q, %v, %d bytes used", name, got, err, d.Used())
		}
		if left, err := os.ReadDir(path); err != nil || len(left) != 0 {
			t.Errorf("%s: the directory holds %v, %v", name, left, err)
		}
		f.Close()
		f.Close()
		if d.Used() != 0 {
			t.Errorf("%s: %d bytes are still counted", name, d.Used())
		}
	}
}

func TestBound(t *testing.T) {
	t.Parallel()
	d := At(t.TempDir(), 10)
	a, err := d.Create()
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	if n, err := b.Write(make([]byte, 5)); n != 0 || !errors.Is(err, ErrFull) {
		t.Errorf("over the bound: %d, %v", n, err)
	}
	a.Close()
	if _, err := b.Write(make([]byte, 10)); err != nil {
		t.Errorf("after another was closed: %v", err)
	}
	b.Close()
}

func TestNoDirectory(t *testing.T) {
	t.Parallel()
	if _, err := At(t.TempDir()+"/none", 1).Create(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
