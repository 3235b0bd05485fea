package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func openQueue(t *testing.T) *syncQueue {
	t.Helper()
	q := openSyncQueue()
	if q == nil {
		t.Skip("this kernel has no queue for syncs")
	}
	return q
}

// manyFiles returns open files of each kind that the queue knows, and one that
// it does not.
func manyFiles(t *testing.T, n int) (files []Syncer, unknown *instant) {
	t.Helper()
	dir := t.TempDir()
	tree, err := OpenTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		f, err := tree.Create(fmt.Sprint(i), 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		if _, err := f.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	d, err := tree.Dir(".")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	plain, err := os.Create(filepath.Join(dir, "plain"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plain.Close() })
	unknown = &instant{}
	return append(files, d, unknown, plain), unknown
}

// More files than the queue takes at a time, again and again.
func TestQueueSyncsManyFiles(t *testing.T) {
	t.Parallel()
	q := openQueue(t)
	files, unknown := manyFiles(t, 2*maxQueued+10)
	const rounds = 3
	for range rounds {
		if err := q.sync(files); err != nil {
			t.Fatal(err)
		}
	}
	if n := unknown.syncs.Load(); n != rounds {
		t.Errorf("what is no real file was synced %d times", n)
	}
	for n := range 3 {
		if err := q.sync(files[:n]); err != nil {
			t.Errorf("%d files: %v", n, err)
		}
	}
}

// fsync(2) fails for what has nothing to sync: the kernel refuses to queue it.
// That is told of whichever file it is, and the queue goes on.
func TestQueueTellsFailures(t *testing.T) {
	t.Parallel()
	q := openQueue(t)
	files, _ := manyFiles(t, maxQueued+10)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	closed, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, tc := range []struct {
		name   string
		broken Syncer
		want   error
		said   string
	}{
		{"a pipe", w, unix.EINVAL, "|1"},
		{"a descriptor of ours that is none", &systemFile{fd: 1 << 20, name: "none"}, unix.EBADF, "none"},
		{"a file that was closed", closed, os.ErrClosed, os.DevNull},
		{"no file", (*os.File)(nil), os.ErrInvalid, ""},
		{"what is no real file", noted{&place{broken: map[string]error{"x": errBroken}}, "x"}, errBroken, ""},
	} {
		for _, at := range []int{0, 1, maxQueued - 1, maxQueued, len(files)} {
			mixed := append(append(append([]Syncer{}, files[:at]...), tc.broken), files[at:]...)
			err := q.sync(mixed)
			if !errors.Is(err, tc.want) || !strings.Contains(fmt.Sprint(err), tc.said) {
				t.Errorf("%s at %d: %v", tc.name, at, err)
			}
			if err := q.sync(files[:2]); err != nil {
				t.Errorf("after %s at %d: %v", tc.name, at, err)
			}
		}
	}
}

// A failure that comes with the end of a request is told with the file's name
// among those that went well. No file at hand has a sync that begins and
// fails: a read into memory that is not there does.
func TestQueueTellsResults(t *testing.T) {
	t.Parallel()
	q := openQueue(t)
	files, _ := manyFiles(t, 5)
	files = files[:5]
	requests := make([]iocb, len(files))
	var pointers []*iocb
	for i, f := range files {
		requests[i] = iocb{data: uint64(i), opcode: opcodeFsync, fd: uint32(f.(*systemFile).fd), flags: flagNotify, notifyFD: q.eventFD}
		pointers = append(pointers, &requests[i])
	}
	const opcodeRead = 0 // IOCB_CMD_PREAD
	requests[3].opcode, requests[3].buf, requests[3].nbytes = opcodeRead, 8, 50
	if n := q.submit(pointers); n != len(files) {
		t.Fatalf("%d of %d requests were taken", n, len(files))
	}
	err := q.collect(files, len(files))
	var failed *os.PathError
	if !errors.As(err, &failed) || failed.Path != "3" || failed.Op != "fsync" || failed.Err != unix.EFAULT {
		t.Errorf("got %v", err)
	}
	if err := q.sync(files); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// The failure of a real sync fails its batch in groups with and without a queue.
func TestRealFailureFailsTheBatch(t *testing.T) {
	t.Parallel()
	for name, g := range realGroups(t, t.TempDir()) {
		files, _ := manyFiles(t, 3)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		early := g.Begin()
		if err := g.Wait(g.Begin(), append(files, w)); !errors.Is(err, unix.EINVAL) {
			t.Errorf("%s: %v", name, err)
		}
		if err := g.Wait(early, files); !errors.Is(err, unix.EINVAL) {
			t.Errorf("%s: who had begun before: %v", name, err)
		}
		if err := g.Wait(g.Begin(), files); err != nil {
			t.Errorf("%s: who began after: %v", name, err)
		}
		r.Close()
		w.Close()
	}
}

// Groups whose members leave and close their files while others sync, under
// the race detector.
func TestQueuesSideBySide(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	tree, err := OpenTree(root)
	if err != nil {
		t.Fatal(err)
	}
	groups := []*Group{FileGroup(), FileGroup()}
	var wg sync.WaitGroup
	for w := range 20 {
		wg.Go(func() {
			for i := range 5 {
				if err := put(groups[w%2], tree, fmt.Sprintf("%d-%d", w, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
