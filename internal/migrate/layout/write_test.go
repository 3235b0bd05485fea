package layout

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/migrate"
)

// names lists what is in a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

// TestWhole: the directory is there whole, whether it was there before or not,
// and nothing beside it.
func TestWhole(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"none", "empty", "a link"} {
		t.Run(before, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			dir, want := filepath.Join(parent, "site"), "site"
			var err error
			switch before {
			case "empty":
				err = os.Mkdir(dir, 0o700)
			case "a link":
				want = "real site"
				err = os.Mkdir(filepath.Join(parent, "real"), 0o700)
				if err == nil {
					err = os.Symlink("real", dir)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			site := migrate.New("qmail")
			site.Add("me", "mx.example")
			if err := Write(site, dir, "/var/qmail"); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, "control/me")); string(got) != "mx.example\n" {
				t.Errorf("%q, %v", got, err)
			}
			if got := names(t, dir); got != "alias control users" {
				t.Errorf("it has %s", got)
			}
			if got := names(t, parent); got != want {
				t.Errorf("beside it is %s", got)
			}
			whole, err := os.Stat(dir)
			if err != nil {
				t.Fatal(err)
			}
			if part, err := os.Stat(filepath.Join(dir, "control")); err != nil || whole.Mode() != part.Mode() {
				t.Errorf("it is %v, and what is in it %v, %v", whole.Mode(), part.Mode(), err)
			}
		})
	}
}

// TestNothing: an error leaves the place as it was, with nothing beside it.
func TestNothing(t *testing.T) {
	t.Parallel()
	for _, there := range []bool{false, true} {
		parent := t.TempDir()
		dir, want := filepath.Join(parent, "site"), ""
		if there {
			want = "site"
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		site := migrate.New("qmail")
		site.Add("me", "mx.example")
		site.Files["control/me/below"] = migrate.File{Text: "x", Mode: 0o644} // a file is in its way
		err := Write(site, dir, "/var/qmail")
		if err == nil || !strings.Contains(err.Error(), "nothing is in "+dir) {
			t.Errorf("%v", err)
		}
		if got := names(t, parent); got != want {
			t.Errorf("left behind: %q", got)
		}
		if there && names(t, dir) != "" {
			t.Errorf("in it: %s", names(t, dir))
		}
	}
}
