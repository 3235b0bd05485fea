package tlsseen

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"postrider/internal/clock"
	wire "postrider/internal/wire/tlsseen"
)

// calendar is a clock that the test sets.
type calendar struct {
	clock.Clock
	day wire.Day
}

func (c *calendar) Now() time.Time { return c.day.Time().Add(time.Hour) }

// expect compares what is remembered of hosts, "-" for nothing.
func expect(t *testing.T, s *store, want string, hosts ...string) {
	t.Helper()
	var got []string
	for _, host := range hosts {
		if day, known, err := s.Last(host); err != nil {
			t.Error(err)
		} else if known {
			got = append(got, fmt.Sprint(day))
			continue
		}
		got = append(got, "-")
	}
	if strings.Join(got, " ") != want {
		t.Errorf("%v: got %v, want %s", hosts, got, want)
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	now, path := &calendar{clock.Real(), 1000}, t.TempDir()+"/hosts"
	open := func(damaged int) *store {
		t.Helper()
		s := newStore(path, now)
		if got, err := s.load(); err != nil || got != damaged {
			t.Errorf("%d damaged, %v", got, err)
		}
		return s
	}
	s := open(0)
	expect(t, s, "-", "a")
	s.Saw("a")
	s.Saw("b")
	s.Saw("a")
	if err := s.write(); err != nil {
		t.Fatal(err)
	}
	now.day = 1001
	s.Saw("a")
	if err := s.write(); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "1000 a\n1000 b\n1001 a\n" {
		t.Errorf("file %q", text)
	}
	expect(t, open(0), "1001 1000 -", "a", "b", "c")
	// The end of a file that was being written, and what a disk may make of it.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(f, "x y\n1001\n9999 future\n1001 C\n1001 %s\n1001 d\n1001 cut", strings.Repeat("x", wire.MaxHost+1))
	f.Close()
	expect(t, open(6), "1001 1000 - 1001 -", "a", "b", "c", "d", "cut")
	now.day = 1000 + maxDays + 1
	expect(t, open(6), "1001 -", "a", "b")
	if _, err := newStore(t.TempDir(), now).load(); err == nil {
		t.Error("a directory is read")
	}
}

// TestFileStaysSmall: lines that do not count any more go.
func TestFileStaysSmall(t *testing.T) {
	t.Parallel()
	now, path := &calendar{clock.Real(), 1000}, t.TempDir()+"/hosts"
	s := newStore(path, now)
	for range 3 * spare / 100 {
		now.day++
		for i := range 100 {
			s.Saw(fmt.Sprint("host", i))
		}
		if err := s.write(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if n := strings.Count(string(text), "\n"); err != nil || n > 200+spare+100 || n != s.lines {
		t.Errorf("%d lines, %v", n, err)
	}
	again := newStore(path, now)
	if damaged, err := again.load(); err != nil || damaged > 0 || len(again.hosts) != 100 {
		t.Errorf("%d hosts, %d damaged, %v", len(again.hosts), damaged, err)
	}
	expect(t, again, fmt.Sprint(now.day), "host7")
}

// TestHostsAreBounded: those that were seen longest ago go.
func TestHostsAreBounded(t *testing.T) {
	t.Parallel()
	now := &calendar{clock.Real(), 1000}
	s := newStore(t.TempDir()+"/none/hosts", now)
	s.Saw("old")
	now.day++
	for i := range maxHosts {
		s.Saw(fmt.Sprint(i))
	}
	expect(t, s, "- 1001", "old", fmt.Sprint(maxHosts-1))
	if len(s.hosts) > maxHosts {
		t.Errorf("%d hosts", len(s.hosts))
	}
	if s.write() == nil || s.waiting.Len() == 0 {
		t.Error("what cannot be written does not wait")
	}
}

// TestFileThatCannotBeRead: nothing is said of hosts that may be in it, until it
// can be read; nor is it made anew without them.
func TestFileThatCannotBeRead(t *testing.T) {
	t.Parallel()
	now, path := &calendar{clock.Real(), 1000}, t.TempDir()+"/hosts"
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	s := newStore(path, now)
	if _, err := s.load(); err == nil {
		t.Fatal("a directory is read")
	}
	s.Saw("new")
	expect(t, s, "1000", "new")
	if _, known, err := s.Last("old"); known || err == nil {
		t.Errorf("known %v, %v", known, err)
	}
	s.lines = 10 * spare
	if s.write() == nil {
		t.Error("a directory is written")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("999 old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if damaged, err := s.again(); damaged > 0 || err != nil {
		t.Errorf("%d damaged, %v", damaged, err)
	}
	expect(t, s, "1000 999 -", "new", "old", "none")
	if err := s.write(); err != nil {
		t.Error(err)
	}
	s = newStore(path, now)
	if damaged, err := s.load(); damaged > 0 || err != nil {
		t.Errorf("%d damaged, %v", damaged, err)
	}
	expect(t, s, "1000 999", "new", "old")
}

// TestTornWrite: what part of a line has reached the disk spoils no other.
func TestTornWrite(t *testing.T) {
	t.Parallel()
	now, path := &calendar{clock.Real(), 1000}, t.TempDir()+"/hosts"
	if err := os.WriteFile(path, []byte("999 old\n1000 n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStore(path, now)
	s.hosts["old"] = 999
	s.torn = true // as a write that failed leaves it
	s.Saw("new")
	if err := s.write(); err != nil {
		t.Fatal(err)
	}
	s = newStore(path, now)
	if damaged, err := s.load(); damaged > 0 || err != nil {
		t.Errorf("%d damaged, %v", damaged, err)
	}
	expect(t, s, "1000 999", "new", "old")
}
