package maildirsize

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func (h *home) box() *os.File {
	h.t.Helper()
	box, err := os.Open(h.path("Maildir"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { box.Close() })
	return box
}

func TestLimit(t *testing.T) {
	t.Parallel()
	file := Count{Bytes: 1000}
	for _, c := range []struct {
		limit Limit
		want  Count
		fails bool
	}{
		{Limit{}, file, false}, {Limit{None: true}, Count{}, false}, {Limit{None: true, Line: "5C"}, Count{}, false},
		{Limit{Line: "5C"}, Count{Messages: 5}, false}, {Limit{Line: "5S,7C"}, Count{5, 7}, false}, {Limit{Line: "x"}, Count{}, true},
	} {
		if got, err := c.limit.Or(file); got != c.want || (err != nil) != c.fails {
			t.Errorf("%+v: %+v, %v", c.limit, got, err)
		}
	}
}

// A limit that is kept elsewhere goes before that of the file, which is made
// again where it says another one.
func TestReserveWithinALimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file string // none: no file
		limit      Limit
		want       error
		sums       string
	}{
		{"no file", "", Limit{Line: "9S"}, nil, "9S\n5 1\n"},
		{"no file, and full", "", Limit{Line: "4S"}, ErrFull, "4S\n5 1\n"},
		{"the same limit", "9S\n1 1\n", Limit{Line: "9S"}, nil, "9S\n1 1\n"},
		{"another limit", "1S\n1 1\n", Limit{Line: "9S"}, nil, "9S\n5 1\n"},
		{"no limit", "1S\n1 1\n", Limit{None: true}, nil, "1S\n1 1\n"},
		{"no form", "1S\n1 1\n", Limit{Line: "x"}, ErrForm, "1S\n1 1\n"},
	} {
		h := newHome(t, map[string]string{"Maildir/new/1": "12345"})
		if c.file != "" {
			h.write("Maildir/maildirsize", c.file)
		}
		room, err := h.quotas.Reserve(int(h.dir.Fd()), "./Maildir/", 1, c.limit)
		if !errors.Is(err, c.want) || (err == nil) != (room != nil) {
			t.Errorf("%s: %v, %v", c.name, room, err)
		}
		if room != nil {
			room.Return()
		}
		if got := h.sums(); got != c.sums {
			t.Errorf("%s: sums %q, want %q", c.name, got, c.sums)
		}
	}
}

// Sums that nothing can hold are the largest there are, and none that is full
// is taken for empty.
func TestSumsDoNotWrap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, b, want int64 }{
		{1, 2, 3}, {math.MaxInt64, 0, math.MaxInt64}, {math.MaxInt64, 1, math.MaxInt64}, {math.MaxInt64 - 1, 1, math.MaxInt64},
		{math.MinInt64, -1, math.MinInt64}, {math.MinInt64 + 1, -1, math.MinInt64}, {math.MaxInt64, -1, math.MaxInt64 - 1}, {-5, 5, 0},
	} {
		if got := plus(c.a, c.b); got != c.want {
			t.Errorf("%d and %d are %d, want %d", c.a, c.b, got, c.want)
		}
	}
	for _, text := range []string{"1S\n9223372036854775807 0\n1 0\n", "1S\n-9223372036854775808 0\n-1 0\n"} {
		if _, holds, err := Parse(text); !errors.Is(err, ErrForm) {
			t.Errorf("%q: %+v, %v", text, holds, err)
		}
	}
	if _, holds, err := Parse("1S\n9223372036854775806 0\n1 0\n"); err != nil || holds.Bytes != math.MaxInt64 {
		t.Errorf("the largest sum: %+v, %v", holds, err)
	}
}

// A mailbox that cannot be read or written is trouble, and never room.
func TestTrouble(t *testing.T) {
	t.Parallel()
	broken := map[string]string{"Maildir/maildirsize": "1000S\nx\n"}
	for _, c := range []struct {
		name  string
		spoil func(h *home) error
		limit Limit
		want  error
	}{
		{"no mailbox", func(h *home) error { return os.RemoveAll(h.path("Maildir")) }, Limit{Line: "9S"}, fs.ErrNotExist},
		{"a file for a mailbox", func(h *home) error {
			return errors.Join(os.RemoveAll(h.path("Maildir")), os.WriteFile(h.path("Maildir"), nil, 0o600))
		}, Limit{}, syscall.ENOTDIR},
		{"no tmp", func(h *home) error { return os.RemoveAll(h.path("Maildir/tmp")) }, Limit{}, fs.ErrNotExist},
		{"no tmp, and another limit", func(h *home) error { return os.RemoveAll(h.path("Maildir/tmp")) }, Limit{Line: "9S"}, fs.ErrNotExist},
		{"a folder that is a link", func(h *home) error { return os.Symlink("cur", h.path("Maildir/.x")) }, Limit{}, nil},
		{"new that is a file", func(h *home) error {
			return errors.Join(os.RemoveAll(h.path("Maildir/new")), os.WriteFile(h.path("Maildir/new"), nil, 0o600))
		}, Limit{}, nil},
	} {
		h := newHome(t, broken)
		if err := c.spoil(h); err != nil {
			t.Fatal(err)
		}
		room, err := h.quotas.Reserve(int(h.dir.Fd()), "./Maildir/", 1, c.limit)
		if !errors.Is(err, c.want) || (room == nil) != (c.want != nil) {
			t.Errorf("%s: %v, %v, want %v", c.name, room, err, c.want)
		}
	}
}

// What cannot be renamed into its place leaves nothing behind.
func TestSumsThatCannotBePut(t *testing.T) {
	t.Parallel()
	h := newHome(t, map[string]string{"Maildir/maildirsize/x": ""})
	if _, err := renew(int(h.box().Fd()), "1S", time.Now()); !errors.Is(err, syscall.EISDIR) && !errors.Is(err, syscall.ENOTEMPTY) {
		t.Errorf("got %v", err)
	}
	if left, err := filepath.Glob(h.path("Maildir/tmp/*")); err != nil || len(left) > 0 {
		t.Errorf("left in tmp: %q, %v", left, err)
	}
}

// No descriptor is no mailbox.
func TestNoDescriptor(t *testing.T) {
	t.Parallel()
	q := NewQuotas(time.Now)
	if _, err := q.reserve(-1, Count{}, Limit{}); !errors.Is(err, syscall.EBADF) {
		t.Errorf("reserve: %v", err)
	}
	if _, _, err := readSums(-1); !errors.Is(err, syscall.EBADF) {
		t.Errorf("sums: %v", err)
	}
	if err := appendLine(-1, Count{}); !errors.Is(err, syscall.EBADF) {
		t.Errorf("line: %v", err)
	}
	s := &summer{left: 1, count: true}
	if err := s.directory(-1, "new"); !errors.Is(err, syscall.EBADF) {
		t.Errorf("directory: %v", err)
	}
	if err := s.names(-1, "new", nil); !errors.Is(err, syscall.EBADF) {
		t.Errorf("names: %v", err)
	}
	if err := s.message(-1, "x"); !errors.Is(err, syscall.EBADF) {
		t.Errorf("message: %v", err)
	}
}

// A message that is gone when it is looked at does not count.
func TestMessageThatIsGone(t *testing.T) {
	t.Parallel()
	h := newHome(t, nil)
	s := &summer{left: 1, count: true}
	if err := s.message(int(h.box().Fd()), "new/gone"); err != nil || s.holds != (Count{}) {
		t.Errorf("%+v, %v", s.holds, err)
	}
	if err := s.names(int(h.box().Fd()), "gone", nil); err != nil {
		t.Errorf("directory: %v", err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		bytes int64
		told  bool
		trash bool
	}{
		{"1.M2P3.host,S=7:2,S", 7, true, false}, {"1.M2P3.host,S=0", 0, true, false}, {"1,S=-7", 0, false, false}, {"1,S=x,S=8,W=9:2,T", 8, true, true},
		{"1", 0, false, false}, {"", 0, false, false}, {"1:2,ST", 0, false, true}, {"1:2,", 0, false, false}, {"T", 0, false, false},
		{"1:1,T", 0, false, false}, {"1:2,S=5", 0, false, false},
	} {
		bytes, told := sizeOf(c.name)
		if bytes != c.bytes || told != c.told || hasFlag(c.name, 'T') != c.trash {
			t.Errorf("%q: %d, %v, trash %v", c.name, bytes, told, hasFlag(c.name, 'T'))
		}
	}
}
