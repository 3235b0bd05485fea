package maildirsize

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// home is a directory with a Maildir, and what delivers into it.
type home struct {
	t      *testing.T
	dir    *os.File
	quotas *Quotas
}

func newHome(t *testing.T, files map[string]string) *home {
	t.Helper()
	path := t.TempDir()
	for _, name := range []string{"Maildir/tmp", "Maildir/new", "Maildir/cur"} {
		if err := os.MkdirAll(filepath.Join(path, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	h := &home{t, dir, NewQuotas(time.Now)}
	for name, text := range files {
		h.write(name, text)
	}
	return h
}

func (h *home) path(name string) string { return filepath.Join(h.dir.Name(), name) }

func (h *home) write(name, text string) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Dir(h.path(name)), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(h.path(name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *home) sums() string {
	h.t.Helper()
	text, err := os.ReadFile(h.path("Maildir/maildirsize"))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

// reserve wants room in the Maildir and fails the test on anything but room or
// a full mailbox.
func (h *home) reserve(bytes int64) *Room {
	h.t.Helper()
	room, err := h.quotas.Reserve(int(h.dir.Fd()), "./Maildir/", bytes, Limit{})
	if err != nil && !errors.Is(err, ErrFull) || err == nil && room == nil {
		h.t.Fatalf("room %v, %v", room, err)
	}
	return room
}

func TestReserve(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files map[string]string
		bytes int64
		full  bool
		sums  string // afterwards
	}{
		{"room", map[string]string{"Maildir/maildirsize": "1000S\n500 1\n"}, 500, false, "1000S\n500 1\n500 1\n"},
		{"a byte too many", map[string]string{"Maildir/maildirsize": "1000S\n500 1\n"}, 501, true, "1000S\n500 1\n"},
		{"a message too many", map[string]string{"Maildir/maildirsize": "1000S,1C\n5 1\n"}, 1, true, "1000S,1C\n5 1\n"},
		{"no sums yet", map[string]string{"Maildir/maildirsize": "1000S\n"}, 10, false, "1000S\n10 1\n"},
		{"sums that are made again", map[string]string{"Maildir/maildirsize": "1000S\n500 1\n500 1\n", "Maildir/new/1": "12345"}, 10, false, "1000S\n5 1\n10 1\n"},
		{"made again, and full", map[string]string{"Maildir/maildirsize": "1000S,1C\n9 1\n-9 0\n", "Maildir/new/1": "12345"}, 10, true, "1000S,1C\n5 1\n"},
		{"a broken line", map[string]string{"Maildir/maildirsize": "1000S\nx\n"}, 10, false, "1000S\n0 0\n10 1\n"},
		{"half a line", map[string]string{"Maildir/maildirsize": "1000S\n50"}, 10, false, "1000S\n0 0\n10 1\n"},
		{"the quota stays as it was written", map[string]string{"Maildir/maildirsize": "1C,1000S \n1 1\n1 1\n"}, 10, false, "1C,1000S \n0 0\n10 1\n"},
		{"a long file", map[string]string{"Maildir/maildirsize": "1000S\n" + strings.Repeat("0 0\n", largeFile/4)}, 10, false, "1000S\n0 0\n10 1\n"},
		{"what counts", map[string]string{
			"Maildir/maildirsize": "99999S\n99999 0\n0 0\n",
			"Maildir/new/1":       "1", "Maildir/cur/2:2,S": "22", "Maildir/cur/3:2,ST": "333", "Maildir/cur/.4": "4444",
			"Maildir/cur/5,S=1000:2,": "x", "Maildir/cur/6,S=x,S=2000,W=3:2,": "x", "Maildir/cur/7:2,S=9000": "7777777",
			"Maildir/.Work/new/1": "1", "Maildir/.Work/cur/2": "22", "Maildir/.Trash/new/1": "1", "Maildir/tmp/1": "1", "Maildir/Work/new/1": "1",
		}, 10, false, "99999S\n3013 7\n10 1\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t, c.files)
			room := h.reserve(c.bytes)
			if (room == nil) != c.full {
				t.Errorf("full: %v", room == nil)
			}
			if room != nil {
				room.Taken()
			}
			if got := h.sums(); got != c.sums {
				t.Errorf("sums %q, want %q", got, c.sums)
			}
			if left, err := filepath.Glob(h.path("Maildir/tmp/*.maildirsize")); err != nil || len(left) > 0 {
				t.Errorf("left in tmp: %q, %v", left, err)
			}
		})
	}
}

func TestNoQuota(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files map[string]string
	}{
		{"no file", nil},
		{"an empty file", map[string]string{"Maildir/maildirsize": ""}},
		{"no quota in it", map[string]string{"Maildir/maildirsize": "unlimited\n1 1\n"}},
		{"a directory", map[string]string{"Maildir/maildirsize/x": ""}},
	} {
		h := newHome(t, c.files)
		if room, err := h.quotas.Reserve(int(h.dir.Fd()), "./Maildir/", 1, Limit{}); room != nil || err != nil {
			t.Errorf("%s: %v, %v", c.name, room, err)
		}
	}
	h := newHome(t, map[string]string{"size": "1S\n"})
	if err := os.Symlink("../size", h.path("Maildir/maildirsize")); err != nil {
		t.Fatal(err)
	}
	if room, err := h.quotas.Reserve(int(h.dir.Fd()), "./Maildir/", 1, Limit{}); room != nil || err != nil {
		t.Errorf("a link: %v, %v", room, err)
	}
}

// What is under way counts, and no longer once it failed.
func TestReservationsCount(t *testing.T) {
	t.Parallel()
	h := newHome(t, map[string]string{"Maildir/maildirsize": "1000S,2C\n"})
	first, second := h.reserve(10), h.reserve(10)
	if first == nil || second == nil {
		t.Fatal("no room for two")
	}
	if h.reserve(10) != nil {
		t.Error("room for three")
	}
	first.Return()
	third := h.reserve(10)
	if third == nil {
		t.Fatal("what was given back is not to be had")
	}
	if h.reserve(10) != nil {
		t.Error("what others have was given back, too")
	}
	second.Taken()
	third.Taken()
	if got := h.sums(); got != "1000S,2C\n10 1\n10 1\n" {
		t.Errorf("sums %q", got)
	}
	if n := len(h.quotas.pending); n != 0 {
		t.Errorf("%d mailboxes are remembered for nothing", n)
	}
}

// Sums of one line are believed for a while, and then no more.
func TestOldSumsAreMadeAgain(t *testing.T) {
	t.Parallel()
	h := newHome(t, map[string]string{"Maildir/maildirsize": "10S\n10 1\n"})
	if h.reserve(5) != nil {
		t.Error("young sums are not believed")
	}
	h.quotas.now = func() time.Time { return time.Now().Add(oldFile + time.Minute) }
	if h.reserve(5) == nil {
		t.Error("old sums are believed")
	}
}

func TestFolders(t *testing.T) {
	t.Parallel()
	h := newHome(t, map[string]string{
		"Maildir/maildirsize":         "1000S,1C\n",
		"Maildir/.Work/new/.x":        "",
		"Maildir/.Own/new/.x":         "",
		"Maildir/.Work/maildirfolder": "",
	})
	room, err := h.quotas.Reserve(int(h.dir.Fd()), "./Maildir/.Work/", 7, Limit{})
	if err != nil || room == nil {
		t.Fatal(room, err)
	}
	room.Taken()
	if got := h.sums(); got != "1000S,1C\n7 1\n" {
		t.Errorf("sums %q", got)
	}
	if _, err := h.quotas.Reserve(int(h.dir.Fd()), "./Maildir/.Work/", 7, Limit{}); !errors.Is(err, ErrFull) {
		t.Errorf("a full mailbox: %v", err)
	}
	if room, err := h.quotas.Reserve(int(h.dir.Fd()), "./Maildir/.Own/", 7, Limit{}); room != nil || err != nil {
		t.Errorf("a folder that is a mailbox of its own: %v, %v", room, err)
	}
}

func TestPercent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		quota string
		bytes int64
		want  int
	}{
		{"1000S", 899, 89}, {"1000S", 900, 90}, {"1000S", 1000, 100}, {"1000S,2C", 10, 50}, {"0S", 1 << 40, 0}, {"0S,0C", 5, 0},
	} {
		h := newHome(t, map[string]string{"Maildir/maildirsize": c.quota + "\n"})
		if room := h.reserve(c.bytes); room == nil || room.Percent != c.want {
			t.Errorf("%d of %s: %+v, want %d", c.bytes, c.quota, room, c.want)
		}
	}
}

func TestMailboxThatCannotBeCounted(t *testing.T) {
	t.Parallel()
	h := newHome(t, map[string]string{"Maildir/maildirsize": "1000S\n"})
	for i := range 10 {
		h.write(fmt.Sprintf("Maildir/new/%d", i), "x")
	}
	box, err := os.Open(h.path("Maildir"))
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	s := &summer{left: 9, count: true}
	if err := s.box(int(box.Fd())); !errors.Is(err, errTooMany) {
		t.Errorf("got %v", err)
	}
}

// A mailbox without a quota costs next to nothing.
func BenchmarkNoQuota(b *testing.B) {
	dir, err := os.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer dir.Close()
	if err := os.Mkdir(dir.Name()+"/Maildir", 0o700); err != nil {
		b.Fatal(err)
	}
	q := NewQuotas(time.Now)
	for b.Loop() {
		if _, err := q.Reserve(int(dir.Fd()), "./Maildir/", 1, Limit{}); err != nil {
			b.Fatal(err)
		}
	}
}
