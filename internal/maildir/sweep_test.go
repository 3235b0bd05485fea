package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// tmpOf makes a Maildir whose tmp was read the given time ago, with a file for
// each name, as old as it says.
func tmpOf(t *testing.T, read time.Duration, files map[string]time.Duration) (home *os.File, tmp string) {
	t.Helper()
	dir := t.TempDir()
	tmp = filepath.Join(dir, "Maildir", "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, age := range files {
		path := filepath.Join(tmp, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		aged(t, path, age)
	}
	aged(t, tmp, read)
	home, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { home.Close() })
	return home, tmp
}

func aged(t *testing.T, path string, age time.Duration) {
	t.Helper()
	then := time.Now().Add(-age)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
}

func left(t *testing.T, tmp string) []string {
	t.Helper()
	entries, err := os.ReadDir(tmp)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestSweep(t *testing.T) {
	t.Parallel()
	home, tmp := tmpOf(t, 25*time.Hour, map[string]time.Duration{"old": 37 * time.Hour, "young": 35 * time.Hour, ".old": 99 * time.Hour})
	if err := os.Mkdir(tmp+"/dir", 0o700); err != nil {
		t.Fatal(err)
	}
	aged(t, tmp+"/dir", 99*time.Hour)
	aged(t, tmp, 25*time.Hour)
	before, err := os.Stat(tmp)
	if err != nil {
		t.Fatal(err)
	}
	if err := Sweep(int(home.Fd()), "./Maildir/", time.Now()); err != nil {
		t.Fatal(err)
	}
	if got, want := left(t, tmp), []string{".old", "dir", "young"}; !slices.Equal(got, want) {
		t.Errorf("left are %q, want %q", got, want)
	}
	if after, err := os.Stat(tmp); err != nil || after.ModTime().Before(before.ModTime()) {
		t.Errorf("tmp changed at %v, %v", after.ModTime(), err)
	}
}

func TestSweepOnceADay(t *testing.T) {
	t.Parallel()
	home, tmp := tmpOf(t, 23*time.Hour, map[string]time.Duration{"old": 99 * time.Hour})
	sweep := func(later time.Duration) []string {
		if err := Sweep(int(home.Fd()), "./Maildir/", time.Now().Add(later)); err != nil {
			t.Fatal(err)
		}
		return left(t, tmp)
	}
	aged(t, tmp, 23*time.Hour)
	if got := sweep(0); len(got) != 1 {
		t.Errorf("swept before its day was over: %q are left", got)
	}
	aged(t, tmp, 25*time.Hour)
	if got := sweep(0); len(got) != 0 {
		t.Errorf("%q are left", got)
	}
	if err := os.WriteFile(tmp+"/next", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	aged(t, tmp+"/next", 99*time.Hour)
	if got := sweep(time.Hour); len(got) != 1 {
		t.Errorf("swept twice a day: %q are left", got)
	}
}

func TestSweepIsBounded(t *testing.T) {
	t.Parallel()
	files := make(map[string]time.Duration)
	for i := range maxSwept + 10 {
		files[fmt.Sprint(i)] = 99 * time.Hour
	}
	home, tmp := tmpOf(t, 25*time.Hour, files)
	if err := Sweep(int(home.Fd()), "./Maildir/", time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := left(t, tmp); len(got) != 10 {
		t.Errorf("%d are left, want 10", len(got))
	}
}

// Names below tmp are the owner's: a link leads nowhere.
func TestSweepFollowsNoLink(t *testing.T) {
	t.Parallel()
	home, tmp := tmpOf(t, 25*time.Hour, map[string]time.Duration{"old": 99 * time.Hour})
	other := filepath.Join(filepath.Dir(tmp), "other")
	if err := os.Rename(tmp, other); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("other", tmp); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(int(home.Fd()), "./Maildir/", time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := left(t, other); len(got) != 1 {
		t.Errorf("%q are left behind a link", got)
	}
}

// Where nothing can be swept, that is said.
func TestSweepErrors(t *testing.T) {
	t.Parallel()
	home, _ := tmpOf(t, 25*time.Hour, nil)
	if err := Sweep(int(home.Fd()), "Missing", time.Now()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no Maildir: %v", err)
	}
	if err := Sweep(int(home.Fd()), "Maildir", time.Now()); err != nil {
		t.Errorf("an empty one: %v", err)
	}
	if isOld(int(home.Fd()), "missing", time.Now()) {
		t.Error("what is not there is old")
	}
}
