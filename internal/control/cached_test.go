package control

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// The machine's trouble passes without a change of any file, and is told once.
func TestCachedErrorsPass(t *testing.T) {
	t.Parallel()
	err := error(syscall.EMFILE)
	c := NewCached(Dir(t.TempDir()), []string{"me"}, func() (int, error) { return 7, err })
	now := time.Now()
	get := func(wantFresh bool, want error) {
		t.Helper()
		now = now.Add(2 * Recheck)
		value, fresh, got := c.Get(now)
		if value != 7 || fresh != wantFresh || got != want {
			t.Errorf("%d, %v, %v; want %v, %v", value, fresh, got, wantFresh, want)
		}
	}
	get(true, syscall.EMFILE)
	get(false, syscall.EMFILE)
	err = syscall.EIO
	get(true, syscall.EIO)
	err = nil
	get(true, nil)
	err = syscall.EMFILE // nothing changed, so nothing is read
	get(false, nil)
}

// What files say counts until they change, and a change counts soon.
func TestCachedChanges(t *testing.T) {
	t.Parallel()
	d := dir(t, map[string]string{"f": "one\n"})
	loads := 0
	c := NewCached(d, []string{"f", "other"}, func() (string, error) {
		loads++
		return d.Line("f", "none")
	})
	now := time.Now()
	get := func(after time.Duration, want string, wantFresh bool) {
		t.Helper()
		now = now.Add(after)
		if value, fresh, err := c.Get(now); value != want || fresh != wantFresh || err != nil {
			t.Errorf("%q, fresh %v, %v; want %q, %v", value, fresh, err, want, wantFresh)
		}
	}
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(string(d), name)
		if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	get(0, "one", true)
	get(Recheck, "one", false)
	put("f", "two\n")
	get(0, "one", false) // not looked at
	get(Recheck-1, "one", false)
	get(1, "two", true)
	put("other", "x\n")
	get(Recheck, "two", true)
	put("f", "three\n")
	get(-Recheck, "three", true) // a clock that was put back
	get(Recheck-1, "three", false)
	if err := os.Remove(filepath.Join(string(d), "f")); err != nil {
		t.Fatal(err)
	}
	get(Recheck, "none", true)
	if loads != 5 {
		t.Errorf("read %d times", loads)
	}
}

// A file that somebody is about to write again is what it was, for a second.
func TestCachedHalfWritten(t *testing.T) {
	t.Parallel()
	d := dir(t, map[string]string{"f": "one\n", "empty": ""})
	path := filepath.Join(string(d), "f")
	load := func() (string, error) { return d.Line("f", "none") }
	c, exactly := NewCached(d, []string{"empty", "f"}, load), NewCached(d, []string{"f"}, load)
	var st syscall.Stat_t
	get := func(c *Cached[string], now time.Time, want string) {
		t.Helper()
		if value, _, err := c.Get(now); value != want || err != nil {
			t.Errorf("%q, %v, want %q", value, err, want)
		}
	}
	get(c, time.Now(), "one")
	get(exactly, time.Now(), "one")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	emptied := time.Unix(st.Mtim.Unix())
	get(c, emptied.Add(Settle-1), "one")
	get(c, emptied.Add(Settle+Recheck), "")
	get(exactly, emptied.Add(Settle), "")
}

// A file that comes without anything in it is not one that was emptied.
func TestCachedEmptyFileComes(t *testing.T) {
	t.Parallel()
	d := dir(t, nil)
	c := NewCached(d, []string{"f"}, func() (string, error) { return d.Line("f", "none") })
	now := time.Now()
	if value, _, err := c.Get(now); value != "none" || err != nil {
		t.Fatalf("%q, %v", value, err)
	}
	if err := os.WriteFile(string(d)+"/f", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if value, _, err := c.Get(now.Add(Recheck)); value != "" || err != nil {
		t.Errorf("%q, %v", value, err)
	}
}
