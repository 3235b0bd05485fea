package queuedir

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/faulttest"
)

// An entry that cannot be read now is neither torn nor damaged, and who tried has
// nothing open.
func TestEntryThatCannotBeRead(t *testing.T) {
	t.Parallel()
	outside := strings.Repeat("z", MaxInlineBody+1)
	for name, c := range map[string]struct {
		body  string
		calls map[uint32]string
	}{
		"short":   {"x\n", map[uint32]string{unix.SYS_OPENAT: "open", unix.SYS_FSTAT: "stat", unix.SYS_PREAD64: "read"}},
		"long":    {strings.Repeat("y", maxInMemory), map[uint32]string{unix.SYS_OPENAT: "open", unix.SYS_FSTAT: "stat", unix.SYS_PREAD64: "read"}},
		"outside": {outside, map[uint32]string{unix.SYS_FSTAT: "stat"}},
	} {
		inline := len(c.body) <= MaxInlineBody
		text := outside
		if inline {
			text = ""
		}
		l := writeEntry(t, entryBytes(t, c.body, inline, 1), text)
		for call, op := range c.calls {
			faulttest.Run(t, call, unix.EIO, func() {
				e, err := OpenEntry(l, testID)
				var failed *fs.PathError
				if e != nil || !errors.Is(err, unix.EIO) || errors.Is(err, ErrTorn) || errors.Is(err, ErrDamaged) || !errors.As(err, &failed) || failed.Op != op || failed.Path != l.Entry(testID) {
					t.Errorf("%s, %s: %v", name, op, err)
				}
			})
			if open := faulttest.Open(t, l.Root); len(open) != 0 {
				t.Errorf("%s, %s: open are %q", name, op, open)
			}
		}
	}
}

// What is opened of an entry is closed by whoever it was for: the entry, and its
// body.
func TestEntryCloses(t *testing.T) {
	t.Parallel()
	outside := strings.Repeat("z", MaxInlineBody+1)
	damaged := entryBytes(t, strings.Repeat("y", maxInMemory), true, 1)
	damaged[maxInMemory] ^= 1
	for name, c := range map[string]struct {
		entry []byte
		body  string
		open  int // with the entry
	}{
		"short": {entryBytes(t, "x\n", true, 1), "", 0}, "long": {entryBytes(t, strings.Repeat("y", maxInMemory), true, 1), "", 1},
		"outside": {entryBytes(t, outside, false, 1), outside, 0}, "damaged": {damaged, "", 0}, "torn": {damaged[1:], "", 0},
		"body of another size": {entryBytes(t, outside, false, 1), "x", 0}, "no body": {entryBytes(t, outside, false, 1), "", 0},
	} {
		l := writeEntry(t, c.entry, c.body)
		e, err := OpenEntry(l, testID)
		if err == nil {
			if f, err := e.Body(); err == nil {
				f.Close()
			}
			_ = e.CheckBody() // only whether it closes
		}
		if open := faulttest.Open(t, l.Root); len(open) != c.open {
			t.Errorf("%s: open are %q", name, open)
		}
		if err == nil {
			e.Close()
		}
		if open := faulttest.Open(t, l.Root); len(open) != 0 {
			t.Errorf("%s, in the end: open are %q", name, open)
		}
	}
}

// A body that cannot be read or kept now is not damaged, and its file is closed.
func TestBodyThatCannotBeRead(t *testing.T) {
	t.Parallel()
	outside := strings.Repeat("z", MaxInlineBody+1)
	l := writeEntry(t, entryBytes(t, outside, false, 1), outside)
	e, err := OpenEntry(l, testID)
	if err != nil {
		t.Fatal(err)
	}
	for call, try := range map[uint32]func() error{
		unix.SYS_OPENAT: func() error { _, err := e.Body(); return err },
		unix.SYS_FSTAT:  func() error { _, err := e.Body(); return err },
		unix.SYS_READ:   e.CheckBody,
	} {
		faulttest.Run(t, call, unix.EIO, func() {
			if err := try(); !errors.Is(err, unix.EIO) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrTorn) {
				t.Errorf("call %d: %v", call, err)
			}
		})
		if open := faulttest.Open(t, l.Root); len(open) != 0 {
			t.Errorf("call %d: open are %q", call, open)
		}
	}
	long := writeEntry(t, entryBytes(t, strings.Repeat("y", maxInMemory), true, 1), "")
	inline, err := OpenEntry(long, testID)
	if err != nil {
		t.Fatal(err)
	}
	defer inline.Close()
	faulttest.Run(t, unix.SYS_PREAD64, unix.EIO, func() {
		if _, err := inline.Bytes(); !errors.Is(err, unix.EIO) || errors.Is(err, ErrDamaged) {
			t.Errorf("inline: %v", err)
		}
	})
	faulttest.Run(t, unix.SYS_MEMFD_CREATE, unix.ENOMEM, func() {
		var failed *os.SyscallError
		if _, err := inline.Body(); !errors.As(err, &failed) || failed.Syscall != "memfd_create" || failed.Err != unix.ENOMEM {
			t.Errorf("no memory: %v", err)
		}
	})
}

// A body in memory that cannot be filled or sealed is given up. Not parallel:
// such files have no name of their own.
func TestMemfdThatFails(t *testing.T) {
	const name = "/memfd:message"
	before := faulttest.Open(t, name)
	for _, call := range []uint32{unix.SYS_PWRITE64, unix.SYS_FCNTL} {
		faulttest.Run(t, call, unix.ENOSPC, func() {
			if f, err := Memfd([]byte("x")); f != nil || !errors.Is(err, unix.ENOSPC) {
				t.Errorf("call %d: %v, %v", call, f, err)
			}
		})
	}
	if after := faulttest.Open(t, name); len(after) != len(before) {
		t.Errorf("open were %d, and are %d", len(before), len(after))
	}
	f, err := Memfd([]byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("it goes to whoever is started: %v", err)
	}
	if seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0); err != nil || seals&sealed != sealed {
		t.Errorf("seals %x, %v", seals, err)
	}
	if got, err := io.ReadAll(f); err != nil || string(got) != "text" {
		t.Errorf("%q, %v", got, err)
	}
	// Who may not have the flag of Linux 6.3 has the file without.
	faulttest.Run(t, unix.SYS_MEMFD_CREATE, unix.EINVAL, func() {
		if _, err := Memfd(nil); !errors.Is(err, unix.EINVAL) {
			t.Errorf("neither with the flag nor without: %v", err)
		}
	})
}

// What was handed over and cannot be read is told of, with nothing open that is
// not the caller's.
func TestHandedEntryThatFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func(name string, text []byte) *os.File {
		t.Helper()
		if err := os.WriteFile(dir+"/"+name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	outside := strings.Repeat("z", MaxInlineBody+1)
	short, long := open("short", entryBytes(t, "x\n", true, 1)), open("long", entryBytes(t, strings.Repeat("y", maxInMemory), true, 1))
	damaged := entryBytes(t, strings.Repeat("y", maxInMemory), true, 1)
	damaged[maxInMemory] ^= 1
	bad := open("damaged", damaged)
	entry, body := open("entry", entryBytes(t, outside, false, 1)), open("body", []byte(outside))
	before := faulttest.Open(t, dir)
	for _, c := range []struct {
		call uint32
		f    *os.File
		said string
	}{{unix.SYS_FSTAT, short, "stat"}, {unix.SYS_PREAD64, short, "read"}, {unix.SYS_LSEEK, long, "lseek"}} {
		faulttest.Run(t, c.call, unix.EIO, func() {
			if e, err := HandedEntry(testID, c.f, nil); e != nil || !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), c.said) {
				t.Errorf("%s: %v", c.said, err)
			}
		})
	}
	if e, err := HandedEntry(testID, bad, nil); e != nil || !errors.Is(err, ErrDamaged) {
		t.Errorf("damaged: %v", err)
	}
	e, err := HandedEntry(testID, entry, body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := body.Seek(5, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	faulttest.Run(t, unix.SYS_LSEEK, unix.EIO, func() {
		if f, err := e.Body(); f != nil || !errors.Is(err, unix.EIO) {
			t.Errorf("body: %v", err)
		}
	})
	f, err := e.Body()
	if err != nil {
		t.Fatal(err)
	}
	if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("it goes to whoever is started: %v", err)
	}
	if got, err := io.ReadAll(f); err != nil || string(got) != outside {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	f.Close()
	e.Close()
	if after := faulttest.Open(t, dir); len(after) != len(before) {
		t.Errorf("open were %q, and are %q", before, after)
	}
}

// Progress that cannot be read now is not damaged.
func TestProgressThatCannotBeRead(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/progress"
	if err := os.WriteFile(path, AppendDelivered(nil, []int{0}), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, call := range []uint32{unix.SYS_FSTAT, unix.SYS_READ} {
		faulttest.Run(t, call, unix.EIO, func() {
			if _, err := ReadProgress(f, 1); !errors.Is(err, unix.EIO) || errors.Is(err, ErrDamaged) {
				t.Errorf("call %d: %v", call, err)
			}
		})
	}
	if p, err := ReadProgress(f, 1); err != nil || p.Delivered != 1 {
		t.Errorf("afterwards: %+v, %v", p, err)
	}
}

// A directory or a file that is opened goes to nobody else.
func TestOpenedFilesStayOurs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/f", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(dir + "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, f := range []*os.File{f, d} {
		if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("%s goes to whoever is started: %v", f.Name(), err)
		}
	}
	if _, err := OpenFile(dir); !errors.Is(err, ErrNotFile) {
		t.Errorf("a directory: %v", err)
	}
	faulttest.Run(t, unix.SYS_FSTAT, unix.EIO, func() {
		if f, err := OpenFile(dir + "/f"); f != nil || !errors.Is(err, unix.EIO) {
			t.Errorf("a file that cannot be looked at: %v, %v", f, err)
		}
	})
	if open := faulttest.Open(t, dir); len(open) != 2 {
		t.Errorf("open are %q", open)
	}
}

// The footer of a file in drop/ is read at each size that there may be, and a file
// of another size, or with less on disk than it says, has none.
func TestReadDropFooter(t *testing.T) {
	t.Parallel()
	drop := func(body, envelope int64) []byte {
		content := bytes.Repeat([]byte("x"), int(body+envelope))
		return AppendDropFooter(content, DropFooter{Nonce: Nonce{1}, BodySize: body, EnvelopeSize: envelope}, Checksum(0, content))
	}
	for _, c := range []struct {
		name         string
		text         []byte
		size, stored int64 // -1: those of the text
		want         error
	}{
		{"small", drop(5, 6), -1, -1, nil},
		{"empty", drop(0, 0), -1, -1, nil},
		{"small, and a hole", drop(5, 6), -1, 0, nil},
		{"too short", drop(0, 0)[1:], -1, -1, ErrDropFooter},
		{"nothing", nil, 0, 0, ErrDropFooter},
		{"no footer", make([]byte, 2*DropFooterSize), -1, -1, ErrDropFooter},
		{"a byte too many", append([]byte("y"), drop(5, 6)...), -1, -1, ErrDropFooter},
		{"a byte too few", drop(5, 6)[1:], -1, -1, ErrDropFooter},
		{"too large", nil, MaxDrop + 1, MaxDrop + 1, ErrDropFooter},
		{"large", drop(sparseFrom-int64(DropFooterSize), 0), -1, -1, nil},
		{"large, and a hole", drop(sparseFrom-int64(DropFooterSize), 0), -1, sparseFrom - 1, ErrDropFooter},
		{"not large, and a hole", drop(sparseFrom-int64(DropFooterSize)-1, 0), -1, 0, nil},
	} {
		size, stored := c.size, c.stored
		if size < 0 {
			size = int64(len(c.text))
		}
		if stored < 0 {
			stored = int64(len(c.text))
		}
		f, raw, err := ReadDropFooter(bytes.NewReader(c.text), size, stored)
		if !errors.Is(err, c.want) || c.want == nil && (f.Nonce != Nonce{1} || !f.Checks(Checksum(0, c.text[:len(c.text)-DropFooterSize]), raw)) {
			t.Errorf("%s: %+v, %v", c.name, f, err)
		}
	}
	if _, _, err := ReadDropFooter(failingReaderAt{errors.New("broken")}, 1000, 1000); err == nil || errors.Is(err, ErrDropFooter) {
		t.Errorf("a file that cannot be read: %v", err)
	}
}
