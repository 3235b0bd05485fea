package mbox

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/faulttest"
)

// full is an mbox that takes nothing.
type full struct{ fake }

func (f *full) Write([]byte) (int, error) { return 0, unix.ENOSPC }

// A disk that is full is told wherever the end of a buffer falls: between the
// quoting, what was held back for it, the last line end and the empty line.
func TestFullAtEachByte(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"", "x", "\n", "Fro", "From x\n", ">From x", ">>", "From "} {
		for size := bufferSize - 12; size <= bufferSize+2; size++ {
			message := strings.Repeat("y", size-1) + "\n" + end
			if err := write(&full{}, nil, strings.NewReader(message)); !errors.Is(err, unix.ENOSPC) {
				t.Errorf("%d bytes and %q: %v", size, end, err)
			}
		}
	}
	q := newQuoter(iotest.TruncateWriter(io.Discard, 0))
	if n, err := q.Write([]byte("abc")); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	q = newQuoter(&failing{left: 2})
	if n, err := q.Write([]byte("a\n>b")); n != 2 || err != unix.EIO {
		t.Errorf("the third byte fails: %d are written, %v", n, err)
	}
}

// failing is a writer that fails after some bytes.
type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if len(p) > f.left {
		return 0, unix.EIO
	}
	f.left -= len(p)
	return len(p), nil
}

// What cannot be done with the mbox names what that was, and leaves no descriptor
// behind.
func TestCallsThatFail(t *testing.T) {
	t.Parallel()
	dir, f, _ := openIn(t)
	fd := int(dir.Fd())
	var size int64
	for _, c := range []struct {
		call uint32
		op   string
		try  func() error
	}{
		{unix.SYS_OPENAT, "open", func() error { _, err := Open(fd, "m"); return err }},
		{unix.SYS_FSTAT, "stat", func() error { _, err := Open(fd, "m"); return err }},
		{unix.SYS_FSTAT, "stat", func() (err error) { size, err = f.Size(); return err }},
		{unix.SYS_FLOCK, "flock", func() error { return refused(f.TryLock()) }},
		{unix.SYS_FCNTL, "lock", func() error { return refused(f.TryLock()) }},
		{unix.SYS_NEWFSTATAT, "stat", func() error { return refused(f.TryLock()) }},
		{unix.SYS_WRITE, "write", func() error { _, err := f.Write([]byte("x")); return err }},
		{unix.SYS_OPENAT, "open for reading", func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err }},
		{unix.SYS_PREAD64, "read", func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err }},
		{unix.SYS_FTRUNCATE, "truncate", func() error { return f.Truncate(0) }},
		{unix.SYS_FSYNC, "fsync", f.Sync},
		{unix.SYS_OPENAT, "open the directory of", f.SyncName},
		{unix.SYS_FSYNC, "fsync the directory of", f.SyncName},
		{unix.SYS_CLOSE, "close", f.Close},
	} {
		before := faulttest.Open(t, dir.Name())
		faulttest.Run(t, c.call, unix.EIO, func() {
			var failed *os.PathError
			if err := c.try(); !errors.As(err, &failed) || *failed != (os.PathError{Op: c.op, Path: "m", Err: unix.EIO}) {
				t.Errorf("%s: %v", c.op, err)
			}
		})
		// Under the filter, no close.
		if after := faulttest.Open(t, dir.Name()); len(after) != len(before) {
			t.Errorf("%s: open were %q, and are %q", c.op, before, after)
		}
	}
	if size != 0 {
		t.Errorf("a size that is not known is %d", size)
	}
	faulttest.Run(t, unix.SYS_CLOSE, unix.EINTR, func() {
		if err := f.Close(); err != nil {
			t.Errorf("a close that a signal interrupts: %v", err)
		}
	})
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if open := faulttest.Open(t, dir.Name()+"/m"); len(open) != 1 { // the reader's
		t.Errorf("open are %q", open)
	}
}

// refused is the error of a lock that was not taken.
func refused(taken bool, err error) error {
	if taken {
		return errors.New("it was taken")
	}
	return err
}

// Nothing of an mbox goes to whoever is started, nor stays open when it was
// replaced, read or synced.
func TestMboxStaysOurs(t *testing.T) {
	t.Parallel()
	dir, f, _ := openIn(t)
	before := faulttest.Open(t, dir.Name())
	if flags, err := unix.FcntlInt(uintptr(f.(*file).fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("it goes to whoever is started: %v", err)
	}
	if _, err := f.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if n, err := f.ReadAt(b, 0); n != 1 || b[0] != 'x' || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	if err := f.SyncName(); err != nil {
		t.Errorf("its name: %v", err)
	}
	if err := os.Rename(dir.Name()+"/m", dir.Name()+"/old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir.Name()+"/m", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if taken, err := f.TryLock(); taken || err != nil {
		t.Errorf("the old one: %v", err)
	}
	if taken, err := f.TryLock(); !taken || err != nil {
		t.Errorf("the new one: %v, %v", taken, err)
	}
	if after := faulttest.Open(t, dir.Name()); len(after) != len(before) {
		t.Errorf("open were %q, and are %q", before, after)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// A file system without locks of fcntl has that of flock; an error of any other
// kind is none of these.
func TestRecordLocks(t *testing.T) {
	t.Parallel()
	for errno, want := range map[unix.Errno]struct{ taken, fails bool }{
		unix.EINVAL: {true, false}, unix.ENOSYS: {true, false}, unix.ENOLCK: {true, false}, unix.EOPNOTSUPP: {true, false},
		unix.EAGAIN: {false, false}, unix.EACCES: {false, false}, unix.EIO: {false, true},
	} {
		_, f, reader := openIn(t)
		fd := int(reader.Fd())
		faulttest.Run(t, unix.SYS_FCNTL, errno, func() {
			if taken, err := f.TryLock(); taken != want.taken || (err != nil) != want.fails {
				t.Errorf("%v: taken %v, %v", errno, taken, err)
			}
			// What was not taken as a whole is held by nobody.
			if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); (err == nil) == want.taken {
				t.Errorf("%v: flock beside it: %v", errno, err)
			}
		})
		f.Close()
	}
}

// A directory that may be written to and not read, as a mail spool is, is synced
// with its file system.
func TestNameInAHiddenDirectory(t *testing.T) {
	t.Parallel()
	_, f, _ := openIn(t)
	defer f.Close()
	faulttest.Run(t, unix.SYS_OPENAT, unix.EACCES, func() {
		if err := f.SyncName(); err != nil {
			t.Errorf("got %v", err)
		}
		if !faulttest.Fail(t, unix.SYS_SYNCFS, unix.EIO) {
			return
		}
		var failed *os.PathError
		if err := f.SyncName(); !errors.As(err, &failed) || *failed != (os.PathError{Op: "syncfs", Path: "m", Err: unix.EIO}) {
			t.Errorf("a sync that fails: %v", err)
		}
	})
}

// Only for what is no file nothing to sync is no error.
func TestSyncOfWhatCannotBe(t *testing.T) {
	t.Parallel()
	dir, f, _ := openIn(t)
	defer f.Close()
	null, err := Open(int(dir.Fd()), os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for errno, want := range map[unix.Errno]error{unix.EINVAL: nil, unix.EIO: unix.EIO} {
		faulttest.Run(t, unix.SYS_FSYNC, errno, func() {
			if err := null.Sync(); !errors.Is(err, want) {
				t.Errorf("a device, %v: %v", errno, err)
			}
			if err := f.Sync(); !errors.Is(err, errno) {
				t.Errorf("a file, %v: %v", errno, err)
			}
		})
	}
	if err := null.SyncName(); err != nil {
		t.Errorf("the name of a device: %v", err)
	}
	if taken, err := null.TryLock(); !taken || err != nil {
		t.Errorf("the lock of a device: %v, %v", taken, err)
	}
}

// A lock file counts for as long as its program may live, and not longer.
func TestAgeOfALockFile(t *testing.T) {
	t.Parallel()
	dir, f, _ := openIn(t)
	defer f.Close()
	path := filepath.Join(dir.Name(), "m.lock")
	if f.(*file).hasLockFile() {
		t.Error("there is none, and it counts")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for age, want := range map[time.Duration]bool{
		lockFileAge - time.Minute: true, lockFileAge + time.Minute: false, time.Minute - lockFileAge: true, -time.Minute - lockFileAge: false,
	} {
		then := time.Now().Add(-age)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
		if f.(*file).hasLockFile() != want {
			t.Errorf("after %v it counts: %v", age, !want)
		}
	}
}

// What is no mbox is never taken for one: another file system's file of the same
// number, or one that is not there.
func TestIsCurrent(t *testing.T) {
	t.Parallel()
	dir, f, _ := openIn(t)
	defer f.Close()
	if current, err := f.(*file).isCurrent(); !current || err != nil {
		t.Errorf("itself: %v, %v", current, err)
	}
	if err := os.Symlink("m", dir.Name()+"/link"); err != nil {
		t.Fatal(err)
	}
	link, err := Open(int(dir.Fd()), "link")
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if current, err := link.(*file).isCurrent(); !current || err != nil {
		t.Errorf("behind a link: %v, %v", current, err)
	}
}

// The first message of an mbox has its name synced, no later one; and an error of
// the sync takes the message back.
func TestOnlyTheFirstSyncsTheName(t *testing.T) {
	t.Parallel()
	for before, named := range map[string]bool{"": true, "From x\n\n": false} {
		f := &fake{content: []byte(before), failAt: -1}
		if err := Append(clock.Real(), f, []byte(header), strings.NewReader("x\n")); err != nil || f.named != named {
			t.Errorf("after %q: name synced %v, %v", before, f.named, err)
		}
	}
}

// An mbox that may not be read gets its message without a look at its end.
func TestUnreadableEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		content string
		n       int
		err     error
		want    string
	}{
		{"ab", 2, nil, "\n\n"}, {"ab", 2, io.EOF, "\n\n"}, {"a\n", 2, io.EOF, "\n"}, {"\n\n", 2, nil, ""}, {"ab", 1, nil, ""}, {"ab", 2, unix.EACCES, ""}, {"", 0, unix.EACCES, ""},
	} {
		f := &tail{content: c.content, n: c.n, err: c.err}
		if got := separator(f, int64(len(c.content))); !bytes.Equal(got, []byte(c.want)) {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// tail is an mbox whose end is read with a result.
type tail struct {
	fake
	content string
	n       int
	err     error
}

func (f *tail) ReadAt(p []byte, _ int64) (int, error) { return copy(p, f.content[:f.n]), f.err }
