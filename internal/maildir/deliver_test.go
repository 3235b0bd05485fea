package maildir

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
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

// deliver delivers one message onto disk, alone (trusted false) or as one who
// may be served by a syncfs.
func deliver(disk *durabletest.Disk, trusted bool) error {
	folder := NewFolder(disk, durable.NewGroup(disk.SyncAll, trusted))
	_, err := folder.Deliver(NewNames(clock.Real(), "host"), []byte(header), strings.NewReader(body))
	return err
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
			err := deliver(disk, false)
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
			err := deliver(disk, false)
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

// Concurrent deliveries share syncs and each still is durable when reported.
func TestGroupsOfDeliveries(t *testing.T) {
	t.Parallel()
	disk := durabletest.New("tmp", "new")
	folder := NewFolder(disk, durable.NewGroup(disk.SyncAll, true))
	names := NewNames(clock.Real(), "host")
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := folder.Deliver(names, []byte(header), strings.NewReader(body)); err != nil {
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
		folder := NewFolder(tree, durable.NewGroup(tree.SyncAll, false))
		_, err := folder.Deliver(NewNames(clock.Real(), "h"), []byte(header), strings.NewReader(body))
		if inNew, inTmp := inFolder(t, tree.Disk); err != nil || len(inNew) != 1 || inTmp != 0 {
			t.Errorf("%s: %v, %d in new, %d in tmp", c.name, err, len(inNew), inTmp)
		}
	}
}

func TestUnreadableMessage(t *testing.T) {
	t.Parallel()
	disk := durabletest.New("tmp", "new")
	folder := NewFolder(disk, durable.NewGroup(disk.SyncAll, false))
	_, err := folder.Deliver(NewNames(clock.Real(), "h"), nil, iotest.TimeoutReader(strings.NewReader(strings.Repeat("x", 1<<20))))
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
	groups := NewGroups()
	large := strings.Repeat("0123456789abcde\n", largeMessage/8)
	folder, closer, err := Open(home, "./Maildir/", groups)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	name, err := folder.Deliver(NewNames(clock.Real(), "host"), []byte(header), strings.NewReader(large))
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
	if _, _, err := Open(home, "./None/", groups); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no Maildir: %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "None")); err == nil {
		t.Error("a Maildir was created")
	}
}
