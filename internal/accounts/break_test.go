package accounts

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"postrider/internal/control"
)

func TestBreak(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"-\n": "-", "+-\n": "+-", "=": "="} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "break"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := Break(control.Dir(dir)); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if got, err := Break(control.Dir(t.TempDir())); got != "-" || err != nil {
		t.Errorf("without the file: %q, %v", got, err)
	}
	for _, text := range []string{"", "\n", "a\n", ".\n", "-@\n", "/", `\`, "\"", ":", "- +", "-+=_#!%&*\n", "\xff\n"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "break"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := Break(control.Dir(dir)); err == nil {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestSources(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text           string
		want           []string
		asked, mayAway bool
	}{
		{"", []string{"files"}, false, false},
		{"group: files ldap\n", []string{"files"}, false, false},
		{"passwd: files systemd\n", []string{"files", "systemd"}, false, false},
		{"# passwd: ldap\n passwd :\tfiles  sss # ldap\n", []string{"files", "sss"}, true, true},
		{"passwd: files [NOTFOUND=continue SUCCESS=return] ldap[UNAVAIL=return]db", []string{"files", "ldap", "db"}, true, true},
		{"passwd: compat\n", []string{"compat"}, true, false},
		{"passwd: files [ldap", []string{"files"}, false, false},
	} {
		path := filepath.Join(t.TempDir(), "nsswitch.conf")
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := Sources(path)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, %v", c.text, got, err)
		}
		if n := newNSS(got, ""); n.Asked != c.asked || n.MayBeAway != c.mayAway {
			t.Errorf("%q: %+v", c.text, n)
		}
		if n := newNSS(got, "canary"); !n.Asked {
			t.Errorf("%q with a probe: %+v", c.text, n)
		}
	}
	if got, err := Sources(t.TempDir() + "/none"); err != nil || !slices.Equal(got, []string{"files"}) {
		t.Errorf("without the file: %q, %v", got, err)
	}
	if got, err := Sources(t.TempDir()); err == nil {
		t.Errorf("a directory: %q", got)
	}
}

func FuzzParseSources(f *testing.F) {
	f.Add("passwd: files [NOTFOUND=return] ldap\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range parseSources(text) {
			if s == "" {
				t.Errorf("an empty source of %q", text)
			}
		}
	})
}
