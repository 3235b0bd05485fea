package maildir

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"

	"postrider/internal/clock"
	"postrider/internal/durable"
	"postrider/internal/durable/durabletest"
)

const (
	header = "Return-Path: <s@example.org>\nDelivered-To: joe@example.com\n"
	body   = "Subject: x\n\nbody\n"
)

// deliver delivers one message onto disk.
func deliver(disk *durabletest.Disk) error {
	_, err := folderOn(disk, disk.SyncAll).Deliver([]byte(header), strings.NewReader(body))
	return err
}

// folderOn returns the Maildir on a disk, with a group of its own.
func folderOn(tree durable.Tree, syncAll func() error) *Folder {
	return NewFolder(tree, durable.NewGroup(syncAll), NewNames(clock.Real(), "host"))
}

func inFolder(t *testing.T, disk *durabletest.Disk) (inNew []string, inTmp int) {
	t.Helper()
	for name, content := range disk.Files() {
		if strings.HasPrefix(name, "new/") {
			inNew = append(inNew, content)
		} else {
			inTmp++
		}
	}
	return inNew, inTmp
}

// Each operation fails in turn: success means that the message is there, an
// error that nothing is (invariants 1 and 3).
func TestEveryOperationFails(t *testing.T) {
	t.Parallel()
	for _, errno := range []error{syscall.ENOSPC, syscall.EIO, syscall.EDQUOT, syscall.EINVAL} {
		for i := 0; ; i++ {
			disk := durabletest.New("tmp", "new")
			disk.FailAt(i, errno)
			err := deliver(disk)
			inNew, inTmp := inFolder(t, disk)
			if err == nil && (len(inNew) != 1 || inNew[0] != header+body || inTmp != 0) {
				t.Errorf("%v at %d: success with %d files in new, %d in tmp", errno, i, len(inNew), inTmp)
			}
			if err != nil && (len(inNew) != 0 || inTmp != 0) {
				t.Errorf("%v at %d (%v): %d files left in new, %d in tmp", errno, i, err, len(inNew), inTmp)
			}
			if disk.Operations() <= i {
				break
			}
		}
	}
}

// The power goes after each operation: what was reported is there, and what
// is in new is whole, whatever else the disk has kept (invariants 1 and 2).
func TestPowerCutAfterEveryOperation(t *testing.T) {
	t.Parallel()
	remains := []durabletest.Remains{durabletest.OnlySynced, durabletest.Everything}
	for seed := range uint64(20) {
		remains = append(remains, durabletest.Part(rand.New(rand.NewPCG(seed, 0))))
	}
	for _, keep := range remains {
		for i := 0; ; i++ {
			disk := durabletest.New("tmp", "new")
			disk.CrashAt(i)
			err := deliver(disk)
			ended := disk.Operations() <= i
			inNew, _ := inFolder(t, disk.AfterCrash(keep))
			if err == nil && len(inNew) != 1 {
				t.Errorf("crash after %d: reported and lost", i)
			}
			for _, content := range inNew {
				if content != header+body {
					t.Errorf("crash after %d: %q in new", i, content)
				}
			}
			if ended {
				break
			}
		}
	}
}

// Deliveries at the same time are all durable when reported.
func TestManyDeliveries(t *testing.T) {
	t.Parallel()
	disk := durabletest.New("tmp", "new")
	folder := folderOn(disk, disk.SyncAll)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := folder.Deliver([]byte(header), strings.NewReader(body)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	inNew, inTmp := inFolder(t, disk.AfterCrash(durabletest.OnlySynced))
	if len(inNew) != 50 || inTmp != 0 {
		t.Errorf("%d in new, %d in tmp", len(inNew), inTmp)
	}
}

// lying is a tree over NFS: an operation works and its answer is lost.
type lying struct {
	*durabletest.Disk
	rename, link error
}

func (l lying) Rename(from, to string) error {
	if errors.Is(l.rename, syscall.EINVAL) { // no RENAME_NOREPLACE there
		return l.rename
	}
	return errors.Join(l.Disk.Rename(from, to), l.rename)
}

func (l lying) Link(from, to string) error {
	return errors.Join(l.Disk.Link(from, to), l.link)
}

func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		rename, link error
	}{
		{"ENOENT after a rename that worked", syscall.ENOENT, nil},
		{"no such rename", syscall.EINVAL, nil},
		{"EEXIST after a link that worked", syscall.EINVAL, syscall.EEXIST},
	} {
		tree := lying{durabletest.New("tmp", "new"), c.rename, c.link}
		folder := folderOn(tree, tree.SyncAll)
		_, err := folder.Deliver([]byte(header), strings.NewReader(body))
		if inNew, inTmp := inFolder(t, tree.Disk); err != nil || len(inNew) != 1 || inTmp != 0 {
			t.Errorf("%s: %v, %d in new, %d in tmp", c.name, err, len(inNew), inTmp)
		}
	}
}

func TestUnreadableMessage(t *testing.T) {
	t.Parallel()
	disk := durabletest.New("tmp", "new")
	folder := folderOn(disk, disk.SyncAll)
	_, err := folder.Deliver(nil, iotest.TimeoutReader(strings.NewReader(strings.Repeat("x", 1<<20))))
	if !errors.Is(err, ErrMessage) {
		t.Errorf("got %v", err)
	}
	if inNew, inTmp := inFolder(t, disk); len(inNew)+inTmp != 0 {
		t.Error("a part was left")
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	names := NewNames(clock.Real(), "a/b:c d.example.org")
	first, second := names.Next(), names.Next()
	if first == second {
		t.Errorf("%s twice", first)
	}
	if !strings.HasSuffix(first, `.a\057b\072c\040d.example.org`) || strings.ContainsAny(first, "/:") {
		t.Errorf("name %s", first)
	}
	if got := escapeHost(""); got != "localhost" {
		t.Errorf("no host: %s", got)
	}
}

// The real thing: a relative path, directories that are symbolic links, a
// large message, and no Maildir where there is none.
func TestOpenOnDisk(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, dir := range []string{"Maildir/tmp", "elsewhere"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(root, "elsewhere"), filepath.Join(root, "Maildir/new")); err != nil {
		t.Fatal(err)
	}
	home, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	large := strings.Repeat("0123456789abcde\n", 4*copyBuffer/16)
	store := NewStore(clock.Real(), "host")
	folder, done, err := store.Open(int(home.Fd()), root, "./Maildir/")
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	name, err := folder.Deliver([]byte(header), strings.NewReader(large))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "elsewhere", name)
	content, err := os.ReadFile(path)
	if err != nil || string(content) != header+large {
		t.Errorf("%d bytes, %v", len(content), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != fileMode {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, _, err := store.Open(int(home.Fd()), root, "./None/"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no Maildir: %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "None")); err == nil {
		t.Error("a Maildir was created")
	}
}

// BenchmarkDeliver delivers a message of 4 kB into so many Maildirs at a time.
func BenchmarkDeliver(b *testing.B) {
	message := strings.Repeat("0123456789abcde\n", 250)
	for _, writers := range []int{1, 8, 32} {
		b.Run(strconv.Itoa(writers), func(b *testing.B) {
			store := NewStore(clock.Real(), "host")
			var next atomic.Int64
			var wg sync.WaitGroup
			for range writers {
				folder := benchFolder(b, store)
				wg.Go(func() {
					for next.Add(1) <= int64(b.N) {
						if _, err := folder.Deliver([]byte(header), strings.NewReader(message)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

func benchFolder(b *testing.B, store *Store) *Folder {
	b.Helper()
	root := b.TempDir()
	for _, dir := range []string{"tmp", "new"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	folder, done, err := store.Open(0, root, root)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(done)
	return folder
}

// Header lines that do not fit are an error, and no part of a message.
func TestLongHeader(t *testing.T) {
	t.Parallel()
	for _, size := range []int{copyBuffer - 1, copyBuffer} {
		disk := durabletest.New("tmp", "new")
		_, err := folderOn(disk, disk.SyncAll).Deliver(make([]byte, size), strings.NewReader(body))
		inNew, inTmp := inFolder(t, disk)
		if fits := size < copyBuffer; (err == nil) != fits || (len(inNew) == 1) != fits || inTmp != 0 {
			t.Errorf("%d bytes: %v, %d in new, %d in tmp", size, err, len(inNew), inTmp)
		}
	}
}

// Readers that go by the name find the size there.
func TestSizeInName(t *testing.T) {
	t.Parallel()
	disk := durabletest.New("tmp", "new")
	folder := folderOn(disk, disk.SyncAll)
	folder.SizeInName = true
	name, err := folder.Deliver([]byte(header), strings.NewReader(body))
	if want := fmt.Sprintf(",S=%d", len(header)+len(body)); err != nil || !strings.HasSuffix(name, want) {
		t.Errorf("%q, %v, want %s", name, err, want)
	}
	if disk.Files()["new/"+name] != header+body {
		t.Errorf("files %q", disk.Files())
	}
}
