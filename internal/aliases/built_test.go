package aliases

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/cdb"
)

// expandAll is what some names mean, and what is wrong with them.
func (s *site) expandAll(names ...string) string {
	var all strings.Builder
	for _, name := range names {
		text, err := s.expand(name)
		fmt.Fprintf(&all, "%s=%s %v\n", name, text, err)
	}
	return all.String()
}

// A database says what its text says, as long as it is that text.
func TestBuilt(t *testing.T) {
	t.Parallel()
	const text = "Team: alice, \\bob,\n carol\nalice: \"|x\", /box\nowner-team: alice\nlist: :include:/none\nwrong: |\ntwice: a\nTWICE: b\n\"a b\": c\nempty:\n"
	names := []string{"team", "TEAM", "alice", "list", "wrong", "twice", "a b", "empty", "nobody"}
	s := newSite(t, text)
	path := filepath.Join(s.dir, "table0")
	want := s.expandAll(names...)
	if err := Build(path); err != nil {
		t.Fatal(err)
	}
	if got := s.expandAll(names...); got != want {
		t.Errorf("with a database:\n%s\nwithout:\n%s", got, want)
	}
	if !s.usesDatabase() {
		t.Error("the database is not used")
	}
	if err := Build(path); err != nil {
		t.Errorf("made again: %v", err)
	}
	s.write("table0", "team: dave\n")
	if got := s.expandAll("team"); !strings.Contains(got, "dave") || s.usesDatabase() {
		t.Errorf("after a change of the text: %s", got)
	}
	if err := Build(path); err != nil {
		t.Fatal(err)
	}
	if got := s.expandAll("team"); !strings.Contains(got, "dave") || !s.usesDatabase() {
		t.Errorf("after the database followed: %s", got)
	}
	if err := os.Remove(BuiltName(path)); err != nil {
		t.Fatal(err)
	}
	if got := s.expandAll("team"); !strings.Contains(got, "dave") || s.usesDatabase() {
		t.Errorf("after the database is gone: %s", got)
	}
	left, err := filepath.Glob(path + ".*")
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func (s *site) usesDatabase() bool { return s.tables[0].(*textTable).db != nil }

// What is under the name of the database and is none of this text does not count,
// and another program's is not replaced.
func TestBuiltByOthers(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(path string) error{
		"damaged":          func(p string) error { return os.WriteFile(p, []byte("x"), 0o644) },
		"everybody's":      func(p string) error { return os.Chmod(p, 0o666) },
		"a directory":      func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o755)) },
		"a link to a loop": func(p string) error { return errors.Join(os.Remove(p), os.Symlink(filepath.Base(p), p)) },
	} {
		s := newSite(t, "joe: jim\n")
		path := filepath.Join(s.dir, "table0")
		if err := Build(path); err != nil {
			t.Fatal(err)
		}
		if err := change(BuiltName(path)); err != nil {
			t.Fatal(err)
		}
		if got := s.expandAll("joe"); !strings.Contains(got, "jim") || s.usesDatabase() {
			t.Errorf("%s: %s", name, got)
		}
	}
	s := newSite(t, "joe: jim\n")
	path := filepath.Join(s.dir, "table0")
	err := cdb.Replace(BuiltName(path), path+".x", 0o644, func(w *cdb.Writer) error { return w.Add([]byte(":joe@"), []byte("&jim\x00")) })
	if err != nil {
		t.Fatal(err)
	}
	if err := Build(path); !errors.Is(err, ErrForeign) {
		t.Errorf("fastforward's: %v", err)
	}
}

// A text that is older than its database is another one all the same.
func TestBuiltOfAnotherText(t *testing.T) {
	t.Parallel()
	s := newSite(t, "joe: jim\n")
	path := filepath.Join(s.dir, "table0")
	if err := Build(path); err != nil {
		t.Fatal(err)
	}
	s.write("table0", "joe: jimmy\n")
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil { // an older copy
		t.Fatal(err)
	}
	if got := s.expandAll("joe"); !strings.Contains(got, "jimmy") {
		t.Errorf("got %s", got)
	}
}

func TestBuildFails(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"line 2: no colon":      "joe: jim\njim\n",
		"line 1: joe: too long": "joe: " + strings.Repeat("x", cdb.MaxData+1) + "\n",
		"may be being written":  "joe: jim",
	} {
		s := newSite(t, text)
		path := filepath.Join(s.dir, "table0")
		if err := Build(path); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := filepath.Glob(path + ".*"); len(left) != 0 {
			t.Errorf("%s: left behind: %v", name, left)
		}
	}
}
