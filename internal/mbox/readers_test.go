package mbox

import (
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
