package maildir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/durable"
	"postrider/internal/durable/durabletest"
	"postrider/internal/faulttest"
)

// What fails with a large message, too, leaves nothing of it, neither in the
// Maildir nor open.
func TestLargeMessageFails(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	message := filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(message, make([]byte, 3*copyBuffer), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(message)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	section := func(size int64) io.Reader { return io.NewSectionReader(f, 0, size) }
	folder, done := h.open("Maildir")
	before := faulttest.Open(t, h.path)
	for call, errno := range map[uint32]unix.Errno{unix.SYS_WRITE: unix.ENOSPC, unix.SYS_SYNC_FILE_RANGE: unix.EIO, unix.SYS_RENAMEAT2: unix.EIO} {
		faulttest.Run(t, call, errno, func() {
			if name, err := folder.Deliver([]byte(header), section(3*copyBuffer)); name != "" || !errors.Is(err, errno) {
				t.Errorf("call %d: %q, %v", call, name, err)
			}
		})
	}
	if name, err := folder.Deliver([]byte(header), section(3*copyBuffer+1)); name != "" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a message that is shorter: %q, %v", name, err)
	}
	if left, err := filepath.Glob(h.path + "/Maildir/*/*"); err != nil || len(left) != 0 {
		t.Errorf("left are %q, %v", left, err)
	}
	if after := faulttest.Open(t, h.path); len(after) != len(before) {
		t.Errorf("open were %q, and are %q", before, after)
	}
	done()
	if after := faulttest.Open(t, h.path+"/Maildir"); len(after) != 0 {
		t.Errorf("in the end %q are open", after)
	}
}

// The size that the name tells is that of the file, copied by the kernel or not.
func TestSizeOfALargeMessage(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	for _, size := range []int{1, copyBuffer, copyBuffer + 1, 3 * copyBuffer} {
		path := filepath.Join(t.TempDir(), "message")
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		folder, done := h.open("Maildir")
		folder.SizeInName = true
		name, err := folder.Deliver([]byte(header), io.NewSectionReader(f, 0, int64(size)))
		done()
		if want := fmt.Sprintf(",S=%d", len(header)+size); err != nil || !strings.HasSuffix(name, want) {
			t.Errorf("%d bytes: %q, %v, want %s", size, name, err, want)
		}
	}
}

// odd is a tree whose rename and link fail as they are told to, done or not, and
// which counts what it was asked for.
type odd struct {
	*durabletest.Disk
	rename, link error
	creates      int
	taken        int // so many names are in use
}

func (o *odd) Rename(string, string) error { return o.rename }

func (o *odd) Link(string, string) error { return o.link }

func (o *odd) Create(name string, mode uint32) (durable.File, error) {
	if o.creates++; o.creates <= o.taken {
		return nil, &os.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	}
	return o.Disk.Create(name, mode)
}

// A message that cannot get its name is told of, and nothing of it is left; what
// is in new under that name is another's and stays.
func TestNoName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rename, link, want error }{
		{syscall.EIO, nil, syscall.EIO}, {syscall.EINVAL, syscall.EIO, syscall.EIO}, {syscall.ENOSYS, syscall.EMLINK, syscall.EMLINK},
		{syscall.EEXIST, nil, syscall.EEXIST}, {syscall.EINVAL, syscall.EEXIST, syscall.EEXIST},
	} {
		disk := durabletest.New("tmp", "new")
		tree := &odd{Disk: disk, rename: c.rename, link: c.link}
		name, err := folderOn(tree, disk.SyncAll).Deliver([]byte(header), strings.NewReader(body))
		if inNew, inTmp := inFolder(t, disk); name != "" || !errors.Is(err, c.want) || len(inNew) != 0 || inTmp != 0 {
			t.Errorf("%+v: %q, %v, %d in new, %d in tmp", c, name, err, len(inNew), inTmp)
		}
	}
}

// Of another's file in new nothing is believed: neither one of another size, nor
// one of this size that is not this file.
func TestAnothersName(t *testing.T) {
	t.Parallel()
	for _, text := range []string{body, body + "x", ""} {
		disk := durabletest.New("tmp", "new")
		for name, text := range map[string]string{"tmp/a": body, "new/b": text} {
			f, err := disk.Create(name, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		folder := folderOn(disk, disk.SyncAll)
		if err := folder.move("a", "b", int64(len(body))); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%q: %v", text, err)
		}
		if files := disk.Files(); files["tmp/a"] != body || files["new/b"] != text {
			t.Errorf("%q: files %q", text, files)
		}
	}
}

// Names that are in use are tried again, so often and no more, and another error
// is none of those.
func TestNamesInUse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		taken, creates int
		want           error
	}{{0, 1, nil}, {1, 2, nil}, {maxTries - 1, maxTries, nil}, {maxTries, maxTries, fs.ErrExist}, {1000, maxTries, fs.ErrExist}} {
		disk := durabletest.New("tmp", "new")
		tree := &odd{Disk: disk, taken: c.taken}
		name, file, err := folderOn(tree, disk.SyncAll).create()
		if !errors.Is(err, c.want) || tree.creates != c.creates || (file != nil) != (err == nil) || (name != "") != (err == nil) {
			t.Errorf("%d names in use: %q after %d tries, %v", c.taken, name, tree.creates, err)
		}
	}
	none := &odd{Disk: durabletest.New("new")}
	if _, err := folderOn(none, none.SyncAll).Deliver(nil, strings.NewReader(body)); err == nil || none.creates != 1 {
		t.Errorf("without tmp: %v after %d tries", err, none.creates)
	}
}

// A message of any length around the buffer's is whole, with header lines and
// without.
func TestAroundTheBuffer(t *testing.T) {
	t.Parallel()
	for _, head := range []string{"", header} {
		for size := copyBuffer - len(header) - 2; size <= copyBuffer+2; size += 1 + size%7 {
			disk := durabletest.New("tmp", "new")
			text := strings.Repeat("x", size)
			name, err := folderOn(disk, disk.SyncAll).Deliver([]byte(head), strings.NewReader(text))
			if err != nil || disk.Files()["new/"+name] != head+text {
				t.Fatalf("%d bytes behind %d: %v", size, len(head), err)
			}
		}
	}
}

// fixed is a clock that stands.
type fixed struct {
	clock.Clock
	now time.Time
}

func (c fixed) Now() time.Time { return c.now }

// A name has the time to the microsecond, the process, a number and the host, of
// which it is made to fit.
func TestFormOfAName(t *testing.T) {
	t.Parallel()
	names := NewNames(fixed{now: time.Unix(1_700_000_000, 123_456_789)}, "host")
	for i := range 2 {
		if got, want := names.Next(), fmt.Sprintf("1700000000.M123456P%dQ%d.host", os.Getpid(), i+1); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for host, want := range map[string]string{
		"\x1f \x20!": `\037\040\040!`, "~\x7f\x80": "~\\177\x80", "/": `\057`, ":": `\072`, strings.Repeat("x", maxHost): strings.Repeat("x", maxHost),
		strings.Repeat("x", maxHost+1): strings.Repeat("x", maxHost),
	} {
		if got := escapeHost(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}

// Where tmp cannot be swept, that is said, with what was attempted, and nothing is
// open.
func TestSweepThatFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		call uint32
		op   string
	}{{unix.SYS_NEWFSTATAT, "stat"}, {unix.SYS_UTIMENSAT, "utimensat"}, {unix.SYS_OPENAT, "open"}, {unix.SYS_GETDENTS64, ""}} {
		home, tmp := tmpOf(t, 25*time.Hour, map[string]time.Duration{"old": 99 * time.Hour})
		fd := int(home.Fd())
		faulttest.Run(t, c.call, unix.EIO, func() {
			err := Sweep(fd, "Maildir", time.Now())
			var failed *os.PathError
			if !errors.Is(err, unix.EIO) || c.op != "" && (!errors.As(err, &failed) || failed.Op != c.op || failed.Path != "Maildir/tmp") {
				t.Errorf("%s: %v", c.op, err)
			}
		})
		if open := faulttest.Open(t, tmp); len(open) != 0 {
			t.Errorf("%s: %q stay open", c.op, open)
		}
		if got := left(t, tmp); len(got) != 1 {
			t.Errorf("%s: %q are left", c.op, got)
		}
	}
	home, tmp := tmpOf(t, 25*time.Hour, map[string]time.Duration{"old": 99 * time.Hour, "older": 100 * time.Hour})
	fd := int(home.Fd())
	faulttest.Run(t, unix.SYS_UNLINKAT, unix.EROFS, func() {
		err := Sweep(fd, "Maildir", time.Now())
		if !errors.Is(err, unix.EROFS) || strings.Count(err.Error(), "unlink") != 2 {
			t.Errorf("unlink: %v", err)
		}
	})
	if err := Sweep(fd, "Maildir", time.Now()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if open := faulttest.Open(t, tmp); len(open) != 0 {
		t.Errorf("%q stay open", open)
	}
}

// A sweep is due after its time and not before, and what it takes away was neither
// read nor written for long enough.
func TestSweepAtItsLimits(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		swept, written, read time.Duration
		left                 int
	}{
		{sweepEvery, sweepAge + 1, sweepAge + 1, 0}, {sweepEvery - 1, sweepAge + 1, sweepAge + 1, 1},
		{sweepEvery, sweepAge, sweepAge + 1, 1}, {sweepEvery, sweepAge + 1, sweepAge, 1},
	} {
		home, tmp := tmpOf(t, 0, map[string]time.Duration{"file": 0})
		if err := os.Chtimes(tmp+"/file", now.Add(-c.read), now.Add(-c.written)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(tmp, now.Add(-c.swept), now); err != nil {
			t.Fatal(err)
		}
		if err := Sweep(int(home.Fd()), "Maildir", now); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Stat(tmp, &st); err != nil {
			t.Fatal(err)
		}
		if swept := !time.Unix(st.Atim.Unix()).Equal(now.Add(-c.swept)); swept != (c.swept >= sweepEvery) {
			t.Errorf("%+v: read at %v", c, time.Unix(st.Atim.Unix()))
		}
		if got := left(t, tmp); len(got) != c.left {
			t.Errorf("%+v: %q are left", c, got)
		}
	}
	home, tmp := tmpOf(t, 0, nil)
	if err := errors.Join(os.Remove(tmp), os.WriteFile(tmp, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	aged(t, tmp, 25*time.Hour)
	if err := Sweep(int(home.Fd()), "Maildir", time.Now()); err != nil {
		t.Errorf("a tmp that is a file: %v", err)
	}
}
