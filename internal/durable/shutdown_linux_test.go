package durable

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// The mode of FS_IOC_SHUTDOWN, _IOR('X', 125, __u32), that loses what the journal
// has not written.
const (
	fsIocShutdown = 0x8004587d
	noLogFlush    = 2
)

// mounted returns the operations below a new file system with the directories tmp
// and new, which only the calling thread sees mounted, and what shuts it down as
// it does itself when it cannot write its journal.
func mounted(t *testing.T, fs string) (tree Tree, shutDown func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED without root: there is no disk")
	}
	dir := t.TempDir()
	image, mount := filepath.Join(dir, "image"), filepath.Join(dir, "mount")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	run := func(argv ...string) {
		t.Helper()
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", argv, err, out)
		}
	}
	must(os.WriteFile(image, nil, 0o600))
	must(os.Truncate(image, 320<<20))
	must(os.Mkdir(mount, 0o700))
	run("mkfs."+fs, "-q", image)
	runtime.LockOSThread() // for ever: the thread ends with the test, and its mounts with it
	must(unix.Unshare(unix.CLONE_NEWNS))
	must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	run("mount", "-o", "loop", image, mount)
	must(os.Mkdir(mount+"/tmp", 0o700))
	must(os.Mkdir(mount+"/new", 0o700))
	run("sync", "-f", mount)
	root, err := unix.Open(mount, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(err)
	t.Cleanup(func() {
		_ = unix.Close(root) // what is on it is lost on purpose
		run("umount", mount)
	})
	return systemTree{root}, func() {
		t.Helper()
		must(unix.IoctlSetPointerInt(root, fsIocShutdown, noLogFlush))
	}
}

// TestSyncAfterShutdown: what a file system lost that has shut itself down is not
// said to be durable. XFS, asked for a directory that is open, says so.
func TestSyncAfterShutdown(t *testing.T) {
	for _, fs := range []string{"xfs", "ext4"} {
		for name, sync := range map[string]func(Dir) error{
			"alone": func(d Dir) error { return d.Sync() },
			"by the queue": func(d Dir) error {
				q := openSyncQueue()
				if q == nil {
					t.Fatal("no queue")
				}
				return q.sync([]Syncer{d})
			},
		} {
			t.Run(fs+" "+name, func(t *testing.T) {
				tree, shutDown := mounted(t, fs)
				file, err := tree.Create("tmp/a", 0o600)
				if err != nil {
					t.Fatal(err)
				}
				if err := file.Sync(); err != nil {
					t.Fatal(err)
				}
				dir, err := tree.Dir("new/.")
				if err != nil {
					t.Fatal(err)
				}
				if err := sync(dir); err != nil {
					t.Errorf("before: %v", err)
				}
				if err := tree.Rename("tmp/a", "new/a"); err != nil {
					t.Fatal(err)
				}
				shutDown()
				if err := sync(dir); err == nil {
					t.Error("a name that is lost was said to be durable")
				}
				_, _ = file.Close(), dir.Close() // they are gone
			})
		}
	}
}

// TestBulkAfterShutdown: the same of everything that was written to a file, when
// it is synced with all of the file system.
func TestBulkAfterShutdown(t *testing.T) {
	for _, fs := range []string{"xfs", "ext4"} {
		t.Run(fs, func(t *testing.T) {
			tree, shutDown := mounted(t, fs)
			group := groupOn(tree.(systemTree).fd)
			if !group.Whole() {
				t.Fatal("its syncfs is not relied on")
			}
			ticket := group.Begin()
			file, err := tree.Create("tmp/a", 0o600)
			if err == nil {
				_, err = file.Write([]byte("before\n"))
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := group.Bulk(ticket, file); err != nil {
				t.Errorf("before: %v", err)
			}
			ticket = group.Begin()
			if _, err := file.Write([]byte("after\n")); err != nil {
				t.Fatal(err)
			}
			shutDown()
			if err := group.Bulk(ticket, file); err == nil {
				t.Error("what is lost was said to be durable")
			}
			_ = file.Close() // it is lost on purpose
		})
	}
}
