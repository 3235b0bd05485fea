package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/faulttest"
)

// closesOnExec reports whether no program that is started gets a descriptor.
func closesOnExec(t *testing.T, fd int) bool {
	t.Helper()
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil {
		t.Fatal(err)
	}
	return flags&unix.FD_CLOEXEC != 0
}

// A signal ends no operation, and a short write is gone on with where it ended.
func TestInterruptedAndShortCalls(t *testing.T) {
	t.Parallel()
	f := &systemFile{fd: -1, name: "f"}
	var from []int
	n, err := f.write(10, func(done int) (int, error) {
		from = append(from, done)
		if len(from) == 2 {
			return -1, unix.EINTR
		}
		return min(4, 10-done), nil
	})
	if n != 10 || err != nil || !slices.Equal(from, []int{0, 4, 4, 8}) {
		t.Errorf("wrote %d bytes, %v, in pieces from %v", n, err, from)
	}
	var failed *os.PathError
	n, err = f.write(10, func(done int) (int, error) {
		if done > 0 {
			return -1, unix.ENOSPC
		}
		return 7, nil
	})
	if n != 7 || !errors.As(err, &failed) || *failed != (os.PathError{Op: "write", Path: "f", Err: unix.ENOSPC}) {
		t.Errorf("a disk that fills: %d bytes, %v", n, err)
	}
	if n, err := f.write(10, func(int) (int, error) { return 0, nil }); n != 0 || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("nothing is written: %d bytes, %v", n, err)
	}
	calls := 0
	if n, err := f.read(5, func() (int, error) {
		if calls++; calls == 1 {
			return -1, unix.EINTR
		}
		return 3, nil
	}); n != 3 || err != nil || calls != 2 {
		t.Errorf("read %d bytes, %v, in %d calls", n, err, calls)
	}
	calls = 0
	if err := retry(func() error {
		if calls++; calls == 1 {
			return unix.EINTR
		}
		return unix.EIO
	}); err != unix.EIO || calls != 2 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// Each error says what was attempted and on what.
func TestErrorsNameOperationAndFile(t *testing.T) {
	t.Parallel()
	tree, dir := openTemp(t)
	if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	plain, err := os.Open(dir + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	folder, err := tree.Open("sub")
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	number, _ := descriptorOf(plain)
	file, none, noDir := &systemDir{number, "file"}, &systemFile{-1, "none"}, &systemDir{-1, "none"}
	b := make([]byte, 1)
	_, openTree := OpenTree(dir + "/missing")
	_, openFile := OpenTree(dir + "/file")
	_, openTreeAt := OpenTreeAt(unix.AT_FDCWD, dir+"/missing")
	_, openFileAt := OpenTreeAt(unix.AT_FDCWD, dir+"/file")
	_, openGroup := OpenGroup(dir + "/missing")
	_, fileGroup := OpenGroup(dir + "/file")
	_, open := tree.Open("missing")
	_, create := tree.Create("missing/x", 0o600)
	_, openDir := tree.Dir("missing")
	_, dirOfFile := tree.Dir("file")
	_, stat := tree.Stat("missing")
	_, info := none.Info()
	_, read := folder.Read(b)
	_, readAt := folder.ReadAt(b, 0)
	_, write := none.Write(b)
	_, writeAt := none.WriteAt(b, 0)
	for _, c := range []struct {
		err      error
		op, path string
		want     error
	}{
		{openTree, "open", dir + "/missing", unix.ENOENT},
		{openFile, "open", dir + "/file", unix.ENOTDIR},
		{openTreeAt, "open", dir + "/missing", unix.ENOENT},
		{openFileAt, "open", dir + "/file", unix.ENOTDIR},
		{openGroup, "open", dir + "/missing", unix.ENOENT},
		{fileGroup, "open", dir + "/file", unix.ENOTDIR},
		{open, "open", "missing", unix.ENOENT},
		{create, "open", "missing/x", unix.ENOENT},
		{openDir, "open", "missing", unix.ENOENT},
		{dirOfFile, "open", "file", unix.ENOTDIR},
		{stat, "stat", "missing", unix.ENOENT},
		{info, "stat", "none", unix.EBADF},
		{read, "read", "sub", unix.EISDIR},
		{readAt, "read", "sub", unix.EISDIR},
		{write, "write", "none", unix.EBADF},
		{writeAt, "write", "none", unix.EBADF},
		{tree.Unlink("missing"), "unlink", "missing", unix.ENOENT},
		{none.Flush(), "sync_file_range", "none", unix.EBADF},
		{none.Datasync(), "fdatasync", "none", unix.EBADF},
		{none.Sync(), "fsync", "none", unix.EBADF},
		{none.Close(), "close", "none", unix.EBADF},
		{noDir.Sync(), "fsync", "none", unix.EBADF},
		{noDir.confirm(), "stat after fsync", "none", unix.EBADF},
		{noDir.Names(nil), "seek", "none", unix.EBADF},
		{file.Names(nil), "readdir", "file", unix.ENOTDIR},
		{noDir.Close(), "close", "none", unix.EBADF},
	} {
		var failed *os.PathError
		if !errors.As(c.err, &failed) || failed.Op != c.op || failed.Path != c.path || failed.Err != c.want {
			t.Errorf("%s %s: %v, want %v", c.op, c.path, c.err, c.want)
		}
	}
	var failed *os.LinkError
	for op, err := range map[string]error{"rename": tree.Rename("missing", "to"), "link": tree.Link("missing", "to")} {
		if !errors.As(err, &failed) || *failed != (os.LinkError{Op: op, Old: "missing", New: "to", Err: unix.ENOENT}) {
			t.Errorf("%s: %v", op, err)
		}
	}
}

// What a message's times, size and owner are is told of names as of open files,
// and of a file with holes what it takes on disk.
func TestStat(t *testing.T) {
	t.Parallel()
	tree, dir := openTemp(t)
	f, err := tree.Create("holes", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("x"), 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	then := time.Unix(1_700_000_000, 123_000_000)
	if err := os.Chtimes(dir+"/holes", then, then); err != nil {
		t.Fatal(err)
	}
	byName, err := tree.Stat("holes")
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := f.Info(); err != nil || opened != byName {
		t.Errorf("%+v by name, and open %+v, %v", byName, opened, err)
	}
	if byName.Size != 1<<20+1 || byName.Stored < 512 || byName.Stored >= 1<<20 {
		t.Errorf("%d bytes, of which %d are stored", byName.Size, byName.Stored)
	}
	if !byName.ModTime.Equal(then) || !byName.ChangeTime.After(then) {
		t.Errorf("written %v, changed %v", byName.ModTime, byName.ChangeTime)
	}
	if info, err := tree.Stat("sub"); err != nil || info.Regular {
		t.Errorf("a directory: %+v, %v", info, err)
	}
	if err := os.Symlink("holes", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if info, err := tree.Stat("link"); err != nil || info.Regular || info.Size == byName.Size {
		t.Errorf("a link: %+v, %v", info, err)
	}
}

// What is opened here no program gets that is started meanwhile, and a directory
// is not one behind a link.
func TestDescriptorsStayOurs(t *testing.T) {
	t.Parallel()
	tree, dir := openTemp(t)
	created, err := tree.Create("a", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := tree.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	folder, err := tree.Dir("sub")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, dir+"/sub/up"); err != nil {
		t.Fatal(err)
	}
	if d, err := tree.Dir("sub/up"); !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ELOOP) {
		t.Errorf("a link to a directory was opened: %v, %v", d, err)
	}
	at, err := OpenTreeAt(tree.(systemTree).fd, "sub/up")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := at.Stat("a"); err != nil || !info.Regular {
		t.Errorf("below a user's link: %+v, %v", info, err)
	}
	descriptors := map[string]int{
		"created": created.(*systemFile).fd, "opened": opened.(*systemFile).fd, "directory": folder.(*systemDir).fd,
		"tree": tree.(systemTree).fd, "tree of a user": at.(systemTree).fd,
	}
	if q := openSyncQueue(); q != nil {
		descriptors["queue"] = int(q.eventFD)
	}
	for name, fd := range descriptors {
		if !closesOnExec(t, fd) {
			t.Errorf("%s goes to whoever is started", name)
		}
	}
	if n, err := opened.Read(nil); n != 0 || err != nil {
		t.Errorf("nothing was asked for: %d, %v", n, err)
	}
	if err := errors.Join(created.Close(), opened.Close(), folder.Close(), at.Close()); err != nil {
		t.Error(err)
	}
}

// A tree that was closed is not open any more.
func TestClosingTreeCloses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at, err := OpenTreeAt(unix.AT_FDCWD, dir)
	if err != nil {
		t.Fatal(err)
	}
	before := faulttest.Open(t, dir)
	if err := at.Close(); err != nil {
		t.Error(err)
	}
	if after := faulttest.Open(t, dir); len(before) != 1 || len(after) != 0 {
		t.Errorf("open were %q, and are %q", before, after)
	}
}

// A close that a signal interrupts has closed, and is no error.
func TestInterruptedClose(t *testing.T) {
	t.Parallel()
	faulttest.Run(t, unix.SYS_CLOSE, unix.EINTR, func() {
		if err := closeFD(-1, "f"); err != nil {
			t.Error(err)
		}
	})
	faulttest.Run(t, unix.SYS_CLOSE, unix.EIO, func() {
		if err := closeFD(-1, "f"); !errors.Is(err, unix.EIO) {
			t.Errorf("a close that fails: %v", err)
		}
	})
}

// A queue that takes nothing more leaves each sync to be made as others are.
func TestQueueThatTakesNothing(t *testing.T) {
	t.Parallel()
	q := openQueue(t)
	files, unknown := manyFiles(t, 5)
	faulttest.Run(t, unix.SYS_IO_SUBMIT, unix.EAGAIN, func() {
		if err := q.sync(files); err != nil || unknown.syncs.Load() != 1 {
			t.Errorf("%v", err)
		}
		if !faulttest.Fail(t, unix.SYS_FSYNC, unix.EIO) {
			return
		}
		if err := q.sync(files); !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), " 0:") {
			t.Errorf("syncs that fail: %v", err)
		}
	})
}

// A copy of which the kernel cannot begin to write a part has failed.
func TestFlushFailsTheCopy(t *testing.T) {
	t.Parallel()
	tree, dir := openTemp(t)
	if err := os.WriteFile(dir+"/source", []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := os.Open(dir + "/source")
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	f, err := tree.Create("copy", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	faulttest.Run(t, unix.SYS_SYNC_FILE_RANGE, unix.EIO, func() {
		n, err := f.(io.ReaderFrom).ReadFrom(io.NewSectionReader(source, 0, 4))
		if n != 4 || !errors.Is(err, unix.EIO) {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// A file system, or a kernel, that cannot copy has the text read and written.
func TestCopyByReading(t *testing.T) {
	t.Parallel()
	tree, dir := openTemp(t)
	if err := os.WriteFile(dir+"/source", []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := os.Open(dir + "/source")
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	f, err := tree.Create("copy", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, errno := range []unix.Errno{unix.EXDEV, unix.ENOSYS, unix.EOPNOTSUPP} {
		faulttest.Run(t, unix.SYS_COPY_FILE_RANGE, errno, func() {
			if n, err := f.(io.ReaderFrom).ReadFrom(io.NewSectionReader(source, 3, 4)); n != 4 || err != nil {
				t.Errorf("%v: %d bytes, %v", errno, n, err)
			}
		})
	}
	if got, err := os.ReadFile(dir + "/copy"); err != nil || string(got) != "345634563456" {
		t.Errorf("%q, %v", got, err)
	}
}

// A kernel or a filter without openat2 opens files all the same, and follows no
// link as their last part.
func TestOpenWithoutOpenat2(t *testing.T) {
	t.Parallel()
	tree, dir := openTemp(t)
	if err := os.WriteFile(dir+"/a", []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	faulttest.Run(t, unix.SYS_OPENAT2, unix.ENOSYS, func() {
		f, err := tree.Open("a")
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		if got, err := io.ReadAll(f); err != nil || string(got) != "text" {
			t.Errorf("%q, %v", got, err)
		}
		if !closesOnExec(t, f.(*systemFile).fd) {
			t.Error("it goes to whoever is started")
		}
		if f, err := tree.Open("link"); !errors.Is(err, unix.ELOOP) {
			t.Errorf("a link: %v, %v", f, err)
		}
	})
	faulttest.Run(t, unix.SYS_OPENAT2, unix.EMFILE, func() {
		if f, err := tree.Open("a"); !errors.Is(err, unix.EMFILE) {
			t.Errorf("another error: %v, %v", f, err)
		}
	})
}

// contexts is how many queues of the kernel this process has.
func contexts(t *testing.T) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(maps), "[aio]")
}

// Without the kernel's queue, or without what tells of its ends, there is none;
// none is left behind, and a group goes on without. Not parallel: queues are
// counted.
func TestNoQueue(t *testing.T) {
	before := contexts(t)
	files, _ := manyFiles(t, 3)
	for call, errno := range map[uint32]unix.Errno{unix.SYS_IO_SETUP: unix.ENOSYS, unix.SYS_EVENTFD2: unix.EMFILE} {
		faulttest.Run(t, call, errno, func() {
			if q := openSyncQueue(); q != nil {
				t.Errorf("call %d fails, and there is a queue", call)
			}
			g := FileGroup()
			if err := g.Wait(g.Begin(), files); err != nil {
				t.Errorf("call %d fails: %v", call, err)
			}
		})
	}
	if after := contexts(t); after != before {
		t.Errorf("%d queues before, %d after", before, after)
	}
	if q := openSyncQueue(); q == nil {
		return
	}
	opened, err := OpenGroup(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if opened.queue == nil || FileGroup().queue == nil || contexts(t) != before+3 {
		t.Errorf("%d queues before, and %d with three more", before, contexts(t))
	}
}

// Where the end of a sync is not told, it is waited for: who is told before may
// close its file, or believe what has failed.
func TestQueueWaitsWithoutBeingTold(t *testing.T) {
	t.Parallel()
	q := openQueue(t)
	q.ready.Close()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	q.eventFD = uint32(fd) // the kernel tells somebody else
	files, unknown := manyFiles(t, 50)
	if err := q.sync(files); err != nil || unknown.syncs.Load() != 1 {
		t.Errorf("%v", err)
	}
	var told [8]byte
	if _, err := unix.Read(fd, told[:]); err != nil || told[0] != 52 {
		t.Errorf("the kernel told of %d syncs, %v", told[0], err)
	}
}

// The result of a sync has the name of its file, of whichever kind that is; and
// of several the first failure is told.
func TestResultsHaveNames(t *testing.T) {
	t.Parallel()
	plain, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	for name, s := range map[string]Syncer{
		"a": &systemFile{-1, "a"}, "b": &systemDir{-1, "b"}, os.DevNull: plain, "": &instant{},
	} {
		var failed *os.PathError
		if err := resultOf(s, -int64(unix.EIO)); !errors.As(err, &failed) || *failed != (os.PathError{Op: "fsync", Path: name, Err: unix.EIO}) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := resultOf(&systemDir{-1, "b"}, 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("a directory that does not answer afterwards: %v", err)
	}
	q := openQueue(t)
	files, _ := manyFiles(t, maxQueued)
	first, second := &systemFile{1 << 20, "first"}, &systemFile{1 << 20, "second"}
	for _, what := range [][]Syncer{{first, second}, slices.Concat([]Syncer{first}, files, []Syncer{second})} {
		if err := q.sync(what); err == nil || !strings.Contains(err.Error(), "first") {
			t.Errorf("two failures: %v", err)
		}
	}
}

// Only of file systems that are known for it syncfs is relied on.
func TestWholeFileSystem(t *testing.T) {
	t.Parallel()
	g, err := OpenGroup("/proc")
	if err != nil {
		t.Fatal(err)
	}
	if g.Whole() || tellsOfAll(-1) {
		t.Error("syncfs is relied on where it is not known")
	}
	if g, err = OpenGroup(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if err := g.All(g.Begin()); err != nil {
		t.Errorf("all: %v", err)
	}
	broken := groupOn(-1)
	var failed *os.SyscallError
	if err := broken.All(broken.Begin()); !errors.As(err, &failed) || failed.Syscall != "syncfs" || failed.Err != unix.EBADF {
		t.Errorf("a descriptor that is none: %v", err)
	}
}

// A source that was closed, or was none, is an error and nothing copied.
func TestReadFromNoFile(t *testing.T) {
	t.Parallel()
	tree, dir := openTemp(t)
	if err := os.WriteFile(dir+"/source", []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	closed, err := os.Open(filepath.Join(dir, "source"))
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, c := range map[string]struct {
		from *os.File
		want error
	}{"closed": {closed, fs.ErrClosed}, "nil": {nil, fs.ErrInvalid}} {
		f, err := tree.Create(name, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		n, err := f.(io.ReaderFrom).ReadFrom(io.NewSectionReader(c.from, 0, 4))
		if n != 0 || !errors.Is(err, c.want) {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
}

// What ended before all was copied says how much there is, and what failed.
func TestCopyThatEnds(t *testing.T) {
	t.Parallel()
	tree, dir := openTemp(t)
	const size = copyPiece + 100
	if err := os.WriteFile(dir+"/source", make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := os.Open(dir + "/source")
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	f, err := tree.Create("copy", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, err := f.(*systemFile).copyRange(source, 0, size+1)
	var failed *os.PathError
	if n != size || !errors.As(err, &failed) || *failed != (os.PathError{Op: "copy_file_range", Path: "copy", Err: io.ErrUnexpectedEOF}) {
		t.Errorf("%d bytes of %d, %v", n, size+1, err)
	}
	if info, err := f.Info(); err != nil || info.Size != size {
		t.Errorf("%d bytes, %v", info.Size, err)
	}
}
