package mbox

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
)

// openIn opens the mbox m in a directory, which the caller closes, and a
// descriptor of its own for a reader.
func openIn(t *testing.T) (dir *os.File, f File, reader *os.File) {
	t.Helper()
	path := t.TempDir()
	dir, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	if f, err = Open(int(dir.Fd()), "m"); err != nil {
		t.Fatal(err)
	}
	if reader, err = os.OpenFile(filepath.Join(path, "m"), os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	return dir, f, reader
}

// Readers that lock by fcntl and know nothing of flock are waited for, and while
// they are, who has flock alone is not kept out.
func TestReadersLock(t *testing.T) {
	t.Parallel()
	_, f, reader := openIn(t)
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_RDLCK}
	if err := unix.FcntlFlock(reader.Fd(), unix.F_OFD_SETLK, &lock); err != nil {
		t.Fatal(err)
	}
	if taken, err := f.TryLock(); taken || err != nil {
		t.Errorf("taken while a reader holds it: %v", err)
	}
	if err := unix.Flock(int(reader.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Errorf("flock was kept: %v", err)
	}
	if err := unix.Flock(int(reader.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	lock.Type = unix.F_UNLCK
	if err := unix.FcntlFlock(reader.Fd(), unix.F_OFD_SETLK, &lock); err != nil {
		t.Fatal(err)
	}
	if taken, err := f.TryLock(); !taken || err != nil {
		t.Errorf("not taken after that: %v", err)
	}
	lock.Type = unix.F_WRLCK
	if err := unix.FcntlFlock(reader.Fd(), unix.F_OFD_SETLK, &lock); err != unix.EAGAIN {
		t.Errorf("a reader has it, too: %v", err)
	}
}

// A lock file is waited for, unless it is one that was left behind.
func TestLockFile(t *testing.T) {
	t.Parallel()
	dir, f, _ := openIn(t)
	defer f.Close()
	path := filepath.Join(dir.Name(), "m.lock")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if taken, err := f.TryLock(); taken || err != nil {
		t.Errorf("taken beside a lock file: %v", err)
	}
	if os.Geteuid() == 0 {
		for uid, want := range map[int]bool{12345: true, 0: false} { // a stranger's is none
			if err := os.Chown(path, uid, -1); err != nil {
				t.Fatal(err)
			}
			if f.(*file).hasLockFile() == want {
				t.Errorf("a lock file of uid %d counts: %v", uid, !want)
			}
		}
	}
	future := time.Now().Add(2 * lockFileAge)
	if err := os.Chtimes(path, future, future); err != nil {
		t.Fatal(err)
	}
	if f.(*file).hasLockFile() {
		t.Error("a lock file of the future counts")
	}
	old := time.Now().Add(-2 * lockFileAge)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	if taken, err := f.TryLock(); !taken || err != nil {
		t.Errorf("not taken beside an old one: %v", err)
	}
}

// A message goes into the mbox that has the name once the lock is there, and not
// into one that a reader has replaced meanwhile.
func TestReplacedMbox(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(path string) error{
		"replaced": func(path string) error {
			if err := os.WriteFile(path+".new", []byte("old\n\n"), 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
		"removed": os.Remove,
	} {
		dir, f, reader := openIn(t)
		path := filepath.Join(dir.Name(), "m")
		if err := replace(path); err != nil {
			t.Fatal(err)
		}
		if taken, err := f.TryLock(); taken || err != nil {
			t.Errorf("%s: the old one is locked: %v", name, err)
		}
		if err := Append(clock.Real(), f, []byte(header), strings.NewReader("x\n")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := os.ReadFile(path)
		if err != nil || !strings.HasSuffix(string(got), header+"x\n\n") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if info, err := reader.Stat(); err != nil || info.Size() != 0 {
			t.Errorf("%s: the old one has something: %v", name, err)
		}
	}
}

// Where the mbox cannot be worked on, that is said, and nothing is taken for
// done.
func TestFileErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	broken := &file{fd: -1, dir: int(d.Fd()), path: "m", regular: true}
	for name, call := range map[string]func() error{
		"lock":        func() error { _, err := broken.TryLock(); return err },
		"record lock": func() error { _, err := broken.tryRecordLock(); return err },
		"size":        func() error { _, err := broken.Size(); return err },
		"write":       func() error { _, err := broken.Write([]byte("x")); return err },
		"truncate":    func() error { return broken.Truncate(0) },
		"sync":        broken.Sync,
		"close":       broken.Close,
	} {
		if err := call(); !errors.Is(err, unix.EBADF) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := broken.ReadAt(make([]byte, 1), 0); !errors.Is(err, unix.ENOENT) {
		t.Errorf("read what is not there: %v", err)
	}
	if current, err := broken.isCurrent(); current || err != nil {
		t.Errorf("what is not there is current: %v, %v", current, err)
	}
	below := &file{fd: -1, dir: int(d.Fd()), path: "f/m", regular: true}
	if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if current, err := below.isCurrent(); current || !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("below a file: %v, %v", current, err)
	}
	if err := below.SyncName(); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("its name is synced: %v", err)
	}
}

// What is read back is what was written, and never another's.
func TestReadAt(t *testing.T) {
	t.Parallel()
	dir, f, _ := openIn(t)
	defer f.Close()
	if _, err := f.Write([]byte("0123")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2)
	if n, err := f.ReadAt(got, 2); n != 2 || string(got) != "23" || err != nil {
		t.Errorf("%d, %q, %v", n, got, err)
	}
	if err := f.Truncate(3); err != nil {
		t.Fatal(err)
	}
	if size, err := f.Size(); size != 3 || err != nil {
		t.Errorf("%d bytes, %v", size, err)
	}
	if err := os.Rename(dir.Name()+"/m", dir.Name()+"/n"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir.Name()+"/m", []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := f.ReadAt(got, 0); n != 0 || err != io.ErrUnexpectedEOF {
		t.Errorf("of another file: %d, %v", n, err)
	}
	null, err := Open(int(dir.Fd()), os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := null.Truncate(0); err != nil {
		t.Errorf("a device: %v", err)
	}
	if n, err := null.ReadAt(got, 0); n != 0 || err != io.ErrUnexpectedEOF {
		t.Errorf("of a device: %d, %v", n, err)
	}
}

// A full disk is no message.
func TestFullDevice(t *testing.T) {
	t.Parallel()
	dir, f, _ := openIn(t)
	f.Close()
	full, err := Open(int(dir.Fd()), "/dev/full")
	if err != nil {
		t.Skip(err)
	}
	long := strings.NewReader(strings.Repeat("0123456789abcde\n", bufferSize))
	if err := Append(clock.Real(), full, []byte("From x\n"), long); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a long message: %v", err)
	}
	for _, header := range []int{1, bufferSize + 1} {
		if full, err = Open(int(dir.Fd()), "/dev/full"); err != nil {
			t.Fatal(err)
		}
		if err := Append(clock.Real(), full, make([]byte, header), strings.NewReader("x")); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("a header of %d bytes: %v", header, err)
		}
	}
}
