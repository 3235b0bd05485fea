package maildir

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/internal/clock"
	"postrider/internal/durable"
)

// movedClock is moved by the test.
type movedClock struct {
	clock.Clock
	now time.Time
}

func (c *movedClock) Now() time.Time { return c.now }

// home is a home directory with Maildirs.
type home struct {
	t     *testing.T
	path  string
	dir   *os.File
	clock *movedClock
	store *Store
}

func newHome(t *testing.T) *home {
	t.Helper()
	h := &home{t: t, path: t.TempDir(), clock: &movedClock{Clock: clock.Real(), now: time.Unix(1795000000, 0)}}
	h.store = NewStore(h.clock, "host")
	h.make("Maildir")
	var err error
	if h.dir, err = os.Open(h.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.dir.Close() })
	return h
}

func (h *home) make(name string) {
	h.t.Helper()
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(h.path, name, sub), 0o700); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *home) open(name string) (*Folder, func()) {
	h.t.Helper()
	folder, done, err := h.store.Open(int(h.dir.Fd()), h.path, "./"+name+"/")
	if err != nil {
		h.t.Fatal(err)
	}
	return folder, done
}

func (h *home) deliver(folder *Folder) {
	h.t.Helper()
	if _, err := folder.Deliver(nil, strings.NewReader(body)); err != nil {
		h.t.Error(err)
	}
}

// arrived is how many messages are in a Maildir.
func (h *home) arrived(name string) int {
	h.t.Helper()
	names, err := filepath.Glob(filepath.Join(h.path, name, "new", "*"))
	if err != nil {
		h.t.Fatal(err)
	}
	return len(names)
}

// closingTree notes its close.
type closingTree struct {
	durable.ClosingTree
	closed int
}

func (c *closingTree) Close() error { c.closed++; return c.ClosingTree.Close() }

// watch replaces the tree that is shared now by one that notes its close.
func (h *home) watch(name string) *closingTree {
	h.t.Helper()
	o := h.store.open[h.path+"\x00./"+name+"/"]
	if o == nil {
		h.t.Fatalf("%s is not open", name)
	}
	c := &closingTree{ClosingTree: o.tree}
	o.tree = c
	return c
}

// Deliveries at the same time share an open Maildir, others have their own; it
// is closed when the last leaves, and not before.
func TestStoreSharesOpenMaildirs(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.make("Other")
	first, firstDone := h.open("Maildir")
	tree := h.watch("Maildir")
	second, secondDone := h.open("Maildir")
	other, otherDone := h.open("Other")
	if second.tree != durable.Tree(tree) || other.tree == durable.Tree(tree) {
		t.Error("not the same Maildir is shared")
	}
	if first.group != other.group || first.names != other.names {
		t.Error("syncs and names are not shared by all")
	}
	firstDone()
	h.deliver(second)
	h.deliver(other)
	if tree.closed != 0 {
		t.Error("closed while a delivery is under way")
	}
	secondDone()
	if tree.closed != 1 {
		t.Errorf("closed %d times by the last one", tree.closed)
	}
	otherDone()
	if len(h.store.open) != 0 {
		t.Errorf("%d are still open", len(h.store.open))
	}
	again, done := h.open("Maildir")
	defer done()
	h.deliver(again)
	if h.arrived("Maildir") != 2 || h.arrived("Other") != 1 {
		t.Errorf("%d and %d messages", h.arrived("Maildir"), h.arrived("Other"))
	}
}

// A Maildir that is never without a delivery is opened again after a second:
// its owner may have put another in its place. Who is at work finishes in the
// one that he opened.
func TestStoreSeesAReplacedMaildir(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	old, oldDone := h.open("Maildir")
	oldTree := h.watch("Maildir")
	if err := os.Rename(h.path+"/Maildir", h.path+"/Old"); err != nil {
		t.Fatal(err)
	}
	h.make("Maildir")
	h.clock.now = h.clock.now.Add(shareFor)
	overlapping, overlappingDone := h.open("Maildir")
	h.deliver(overlapping)
	if h.arrived("Old") != 1 {
		t.Error("not shared for the whole time")
	}
	h.clock.now = h.clock.now.Add(time.Millisecond)
	fresh, freshDone := h.open("Maildir")
	freshTree := h.watch("Maildir")
	h.deliver(fresh)
	if h.arrived("Maildir") != 1 {
		t.Error("the new Maildir was not seen")
	}
	h.deliver(old)
	if h.arrived("Old") != 2 || h.arrived("Maildir") != 1 {
		t.Errorf("%d old, %d new messages", h.arrived("Old"), h.arrived("Maildir"))
	}
	// Those of the old one leave: the new one stays shared.
	overlappingDone()
	oldDone()
	if oldTree.closed != 1 || freshTree.closed != 0 {
		t.Errorf("old closed %d times, new %d", oldTree.closed, freshTree.closed)
	}
	shared, sharedDone := h.open("Maildir")
	if shared.tree != durable.Tree(freshTree) {
		t.Error("the end of the old one ended the new one, too")
	}
	freshDone()
	sharedDone()
	if freshTree.closed != 1 || len(h.store.open) != 0 {
		t.Errorf("closed %d times, %d open", freshTree.closed, len(h.store.open))
	}
}

// A Maildir that went away while it was shared is missed after a second, and
// then leaves nothing behind.
func TestStoreMissesARemovedMaildir(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	_, done := h.open("Maildir")
	if err := os.RemoveAll(h.path + "/Maildir"); err != nil {
		t.Fatal(err)
	}
	h.clock.now = h.clock.now.Add(shareFor + time.Millisecond)
	if _, _, err := h.store.Open(int(h.dir.Fd()), h.path, "./Maildir/"); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
	done()
	if len(h.store.open) != 0 {
		t.Errorf("%d open", len(h.store.open))
	}
}

// Deliveries into few Maildirs from many goroutines that come and go.
func TestStoreSideBySide(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	names := []string{"Maildir", "Second", "Third"}
	h.make(names[1])
	h.make(names[2])
	store := NewStore(clock.Real(), "host")
	const writers, each = 16, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				folder, done, err := store.Open(int(h.dir.Fd()), h.path, "./"+names[(w+i)%3]+"/")
				if err != nil {
					t.Error(err)
					continue
				}
				h.deliver(folder)
				done()
			}
		})
	}
	wg.Wait()
	if n := h.arrived(names[0]) + h.arrived(names[1]) + h.arrived(names[2]); n != writers*each {
		t.Errorf("%d messages", n)
	}
	if len(store.open) != 0 {
		t.Errorf("%d open", len(store.open))
	}
}

// A large message is copied by the kernel, behind the header lines, from the
// beginning of its file wherever that stands; a short one is not.
func TestLargeMessages(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	for _, size := range []int64{0, 1, copyBuffer - 1, copyBuffer, copyBuffer + 1, 5<<20 + 123} {
		text := strings.Repeat("0123456789abcde\n", int(size/16)+1)[:size]
		path := filepath.Join(t.TempDir(), "message")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Seek(size/2, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		folder, done := h.open("Maildir")
		name, err := folder.Deliver([]byte(header), io.NewSectionReader(f, 0, size))
		done()
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(h.path, "Maildir/new", name))
		if err != nil || string(got) != header+text {
			t.Errorf("%d bytes: %d arrived, %v", size, len(got), err)
		}
		if at, err := f.Seek(0, io.SeekCurrent); at != size/2 {
			t.Errorf("%d bytes: the offset was moved to %d, %v", size, at, err)
		}
		f.Close()
	}
}
