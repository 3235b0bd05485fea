package maildirsize

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/faulttest"
)

func (h *home) fd() int { return int(h.dir.Fd()) }

// open is what is open below the home, but for the home itself.
func (h *home) open() []string {
	h.t.Helper()
	return faulttest.Open(h.t, h.dir.Name()+"/")
}

// A disk that does not answer is trouble, and neither room nor a quota that is
// reached; and whatever comes of it, nothing stays open.
func TestCallsThatFail(t *testing.T) {
	t.Parallel()
	const broken, well, old = "1000S\nx\n", "1000S\n1 1\n", "1000S\n9999 1\n1 1\n"
	for _, c := range []struct {
		name, sums string
		call       uint32
		errno      unix.Errno
	}{
		{"open", well, unix.SYS_OPENAT, unix.EMFILE},
		{"stat of the mailbox", well, unix.SYS_FSTAT, unix.EIO},
		{"read of the sums", well, unix.SYS_READ, unix.EIO},
		{"stat of a message", broken, unix.SYS_NEWFSTATAT, unix.EIO},
		{"list", old, unix.SYS_GETDENTS64, unix.EIO},
		{"write", broken, unix.SYS_WRITE, unix.ENOSPC},
		{"rename", broken, unix.SYS_RENAMEAT, unix.EIO},
	} {
		h := newHome(t, map[string]string{"Maildir/maildirsize": c.sums, "Maildir/new/1": "12345"})
		h.fd()
		faulttest.Run(t, c.call, c.errno, func() {
			if room, err := h.quotas.Reserve(h.fd(), "./Maildir/", 1, Limit{}); room != nil || !errors.Is(err, c.errno) {
				t.Errorf("%s: %v, %v", c.name, room, err)
			}
		})
		if open := h.open(); len(open) != 0 {
			t.Errorf("%s: %q stay open", c.name, open)
		}
		if got := h.sums(); got != c.sums {
			t.Errorf("%s: sums %q", c.name, got)
		}
		if left, err := os.ReadDir(h.path("Maildir/tmp")); err != nil || len(left) != 0 {
			t.Errorf("%s: %v is left, %v", c.name, left, err)
		}
		if len(h.quotas.pending) != 0 {
			t.Errorf("%s: room is taken", c.name)
		}
	}
	h := newHome(t, map[string]string{"Maildir/maildirsize": well})
	box := int(h.box().Fd())
	faulttest.Run(t, unix.SYS_FSTAT, unix.EIO, func() {
		if _, known, err := readSums(box); known || !errors.Is(err, unix.EIO) {
			t.Errorf("stat of the sums: %v, %v", known, err)
		}
	})
	faulttest.Run(t, unix.SYS_NEWFSTATAT, unix.EIO, func() {
		s := &summer{left: 10, count: true}
		var failed *os.PathError
		if err := s.message(box, "new/1"); !errors.As(err, &failed) || *failed != (os.PathError{Op: "stat", Path: "new/1", Err: unix.EIO}) {
			t.Errorf("a message: %v", err)
		}
		if err := s.directory(box, "new"); !errors.As(err, &failed) || *failed != (os.PathError{Op: "stat", Path: "new", Err: unix.EIO}) {
			t.Errorf("a directory: %v", err)
		}
	})
	if _, err := renew(-1, "1S", time.Now()); !errors.Is(err, syscall.EBADF) {
		t.Errorf("no mailbox: %v", err)
	}
}

// Nothing stays open that is not the room's, and of that nothing once it ends.
func TestNothingStaysOpen(t *testing.T) {
	t.Parallel()
	for sums, want := range map[string]int{"1000S\n": 1, "1000S\nx\n": 1, "1S\n": 0, "none\n": 0} {
		h := newHome(t, map[string]string{"Maildir/maildirsize": sums, "Maildir/new/1": "1", "Maildir/.Work/cur/1": "1"})
		room, err := h.quotas.Reserve(h.fd(), "./Maildir/", 5, Limit{})
		if err != nil && !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
		if open := h.open(); len(open) != want {
			t.Errorf("%q: open are %q", sums, open)
		}
		if room == nil {
			continue
		}
		if room.Name != "./Maildir" {
			t.Errorf("the mailbox is %q", room.Name)
		}
		if flags, err := unix.FcntlInt(uintptr(room.Box), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("the mailbox goes to whoever is started: %v", err)
		}
		room.Taken()
		if open := h.open(); len(open) != 0 {
			t.Errorf("%q, in the end: open are %q", sums, open)
		}
	}
}

// A FIFO in the place of the file is none, and nobody waits for its writer.
func TestFIFO(t *testing.T) {
	t.Parallel()
	h := newHome(t, nil)
	if err := unix.Mkfifo(h.path("Maildir/maildirsize"), 0o600); err != nil {
		t.Fatal(err)
	}
	if room, err := h.quotas.Reserve(h.fd(), "./Maildir/", 1, Limit{}); room != nil || err != nil {
		t.Errorf("%v, %v", room, err)
	}
}

// At its limits a file is believed, or made again.
func TestFileAtItsLimits(t *testing.T) {
	t.Parallel()
	lines := func(size int) string {
		head := "1000000S\n"
		return head + "1" + strings.Repeat(" ", size-len(head)-len("1 1\n")+1) + "1\n"
	}
	for size, again := range map[int]bool{largeFile - 1: false, largeFile: true} {
		h := newHome(t, map[string]string{"Maildir/maildirsize": lines(size)})
		if info, err := os.Stat(h.path("Maildir/maildirsize")); err != nil || info.Size() != int64(size) {
			t.Fatal(info.Size(), err)
		}
		h.reserve(5).Taken()
		if made := h.sums() == "1000000S\n0 0\n5 1\n"; made != again {
			t.Errorf("%d bytes: made again %v, %d bytes", size, made, len(h.sums()))
		}
	}
	for size, known := range map[int]bool{largeFile - 1: true, largeFile: false} {
		h := newHome(t, map[string]string{"Maildir/maildirsize": "1S" + strings.Repeat(" ", size-2) + "\n"})
		if _, got, err := readSums(int(h.box().Fd())); got != known || err != nil {
			t.Errorf("a first line of %d bytes: known %v, %v", size, got, err)
		}
	}
	head := "1S\n"
	for size, fine := range map[int]bool{MaxFile: true, MaxFile + 1: false} {
		if _, _, err := Parse(head + "0 0" + strings.Repeat(" ", size-len(head)-len("0 0\n")) + "\n"); (err == nil) != fine {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	now := time.Now()
	for _, c := range []struct {
		lines int
		age   time.Duration
		want  bool
	}{{2, oldFile - 1, true}, {2, oldFile, false}, {3, 0, false}} {
		if got := (sums{lines: c.lines, changed: now.Add(-c.age)}).fresh(now); got != c.want {
			t.Errorf("%d lines after %v: %v", c.lines, c.age, got)
		}
	}
}

// As many names as there may be are counted, in folders as in the mailbox, and one
// more is an error.
func TestMostNames(t *testing.T) {
	t.Parallel()
	h := newHome(t, map[string]string{"Maildir/.Work/cur/.keep": ""})
	for i := range 5 {
		h.write(fmt.Sprintf("Maildir/new/%d", i), "x")
		h.write(fmt.Sprintf("Maildir/.Work/new/%d", i), "x")
	}
	const names = 4 + 5 + 5 + 1 // cur, new, tmp and .Work, the messages, and one that is none
	for left, want := range map[int]error{names: nil, names - 1: errTooMany, names - 6: errTooMany} {
		s := &summer{left: left, count: true}
		if err := s.box(int(h.box().Fd())); !errors.Is(err, want) || want == nil && s.holds != (Count{10, 10}) {
			t.Errorf("%d names: %+v, %v", left, s.holds, err)
		}
	}
}

// The time at which a mailbox changed last is that of any directory with messages.
func TestWhenItChanged(t *testing.T) {
	t.Parallel()
	h := newHome(t, map[string]string{"Maildir/.Work/new/1": "1", "Maildir/.Work/cur/1": "1"})
	dirs := []string{"Maildir/new", "Maildir/cur", "Maildir/.Work/new", "Maildir/.Work/cur"}
	for i, last := range dirs {
		begun := time.Unix(1_700_000_000+int64(i)*1000, 5)
		for _, name := range dirs {
			if err := os.Chtimes(h.path(name), begun, begun); err != nil {
				t.Fatal(err)
			}
		}
		then := begun.Add(time.Minute)
		if err := os.Chtimes(h.path(last), then, then); err != nil {
			t.Fatal(err)
		}
		if holds, at, err := addUpTimes(int(h.box().Fd())); err != nil || !at.Equal(then) || holds != (Count{}) {
			t.Errorf("%s: %v, %+v, %v", last, at, holds, err)
		}
		if holds, at, err := addUp(int(h.box().Fd())); err != nil || !at.Equal(then) || holds != (Count{2, 2}) {
			t.Errorf("%s, with messages: %v, %+v, %v", last, at, holds, err)
		}
	}
}

// What has the name that the new file would have stays, and is an error.
func TestSumsReplaceNothingOnTheirWay(t *testing.T) {
	t.Parallel()
	name := fmt.Sprintf("Maildir/tmp/1700000000.M123456P%d.maildirsize", os.Getpid())
	h := newHome(t, map[string]string{name: "another's"})
	if _, err := renew(int(h.box().Fd()), "1S", time.Unix(1_700_000_000, 123_456_789)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(h.path(name)); err != nil || string(text) != "another's" {
		t.Errorf("there is %q, %v", text, err)
	}
}

// The mailbox of a folder is the one around it; "." and ".." are no folders.
func TestBoxOf(t *testing.T) {
	t.Parallel()
	h := newHome(t, map[string]string{"maildirfolder": "", "Maildir/maildirfolder": "", "Maildir/.Work/maildirfolder": "", "Maildir/.Own/x": ""})
	maildir := h.box()
	for _, c := range []struct {
		dir        *os.File
		name, want string
	}{
		{h.dir, "./Maildir/", "./Maildir"}, {h.dir, "./Maildir/.Work//", "./Maildir/.Work/.."}, {h.dir, "./Maildir/.Own/", "./Maildir/.Own"},
		{h.dir, "./Maildir/.None/", "./Maildir/.None"}, {h.dir, "Maildir", "Maildir"}, {h.dir, ".", "."}, {maildir, "..", ".."}, {maildir, "./", "."},
		{maildir, ".Work", ".Work/.."},
	} {
		if got := boxOf(int(c.dir.Fd()), c.name); got != c.want {
			t.Errorf("%q: %q, want %q", c.name, got, c.want)
		}
	}
}

// Each form of a quota, how full a mailbox is that has far too much, and where it
// is full.
func TestCounts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		holds, quota     Count
		percent          int
		reaches, exceeds bool
	}{
		{Count{5, 1}, Count{}, 0, false, false},
		{Count{99, 1}, Count{100, 0}, 99, false, false},
		{Count{100, 1}, Count{100, 0}, 100, true, false},
		{Count{101, 1}, Count{100, 0}, 101, true, true},
		{Count{1, 3}, Count{100, 4}, 75, false, false},
		{Count{1, 4}, Count{0, 4}, 100, true, false},
		{Count{1, 5}, Count{0, 4}, 125, true, true},
		{Count{80, 1}, Count{100, 2}, 80, false, false},
		{Count{1 << 50, 1}, Count{1, 0}, 100_000, true, true},
		{Count{-5, -5}, Count{1, 1}, 0, false, false},
	} {
		if got := c.holds.percentOf(c.quota); got != c.percent {
			t.Errorf("%+v of %+v: %d percent", c.holds, c.quota, got)
		}
		if c.holds.Reaches(c.quota) != c.reaches || c.holds.Exceeds(c.quota) != c.exceeds {
			t.Errorf("%+v of %+v: reaches it %v, exceeds it %v", c.holds, c.quota, c.holds.Reaches(c.quota), c.holds.Exceeds(c.quota))
		}
	}
	if quota, err := parseQuota("0S,0C"); err != nil || quota != (Count{}) {
		t.Errorf("no limits: %+v, %v", quota, err)
	}
}
