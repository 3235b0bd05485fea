//go:build linux && amd64

package faultcall

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// victimName is the first argument by which the test binary is a program whose
// calls fail.
const victimName = "faultcall-victim"

func TestMain(m *testing.M) {
	Enter()
	if len(os.Args) == 3 && os.Args[1] == victimName {
		victim(os.Args[2])
		os.Exit(7)
	}
	os.Exit(m.Run())
}

// victim makes the calls of somebody who keeps a file safe, and says what each
// returned.
func victim(dir string) {
	file, moved := filepath.Join(dir, "file"), filepath.Join(dir, "moved")
	fd, err := unix.Open(file, unix.O_CREAT|unix.O_WRONLY, 0o600)
	fmt.Println("open", name(err))
	n, err := unix.Write(fd, []byte("0123456789"))
	fmt.Println("write", n, name(err))
	fmt.Println("fsync", name(unix.Fsync(fd)))
	fmt.Println("fsync", name(unix.Fsync(fd)))
	fmt.Println("close", name(unix.Close(fd)))
	fmt.Println("rename", name(unix.Rename(file, moved)))
	fmt.Println("threads", failedOfMany(dir))
}

const many = 40

// failedOfMany opens files in as many threads, and counts those that it cannot.
func failedOfMany(dir string) int {
	var failed atomic.Int64
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			runtime.LockOSThread() // and ends with the goroutine
			fd, err := unix.Open(filepath.Join(dir, fmt.Sprint("thread-", i)), unix.O_CREAT|unix.O_WRONLY, 0o600)
			if err != nil {
				failed.Add(1)
				return
			}
			unix.Close(fd)
		})
	}
	all.Wait()
	return int(failed.Load())
}

func name(err error) string {
	if errno, ok := err.(syscall.Errno); ok {
		return ErrnoName(errno)
	}
	return fmt.Sprint(err)
}

const sound = `open <nil>
write 10 <nil>
fsync <nil>
fsync <nil>
close <nil>
rename <nil>
threads 0
`

func TestFaults(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: a filter of calls without no_new_privs")
	}
	binary := filepath.Base(os.Args[0])
	for _, c := range []struct {
		name  string
		order Order
		says  map[string]string // lines that differ from sound
		seen  int
		fired bool
		moved string // text of the file at its end; "-": it is not there
	}{
		{name: "told only", order: Order{Class: Open, Target: "/file$", Nth: 1}, seen: 1, fired: true, moved: "0123456789"},
		{name: "the first open", order: Order{Class: Open, Target: "/file$", Nth: 1, Fault: Fault{Errno: unix.ENOSPC}}, seen: 1, fired: true, moved: "-",
			says: map[string]string{"open <nil>": "open ENOSPC", "write 10 <nil>": "write -1 EBADF", "fsync <nil>": "fsync EBADF", "close <nil>": "close EBADF", "rename <nil>": "rename ENOENT"}},
		{name: "a short write", order: Order{Class: Write, Nth: 1, Fault: Fault{Short: true}}, seen: 1, fired: true, moved: "0",
			says: map[string]string{"write 10 <nil>": "write 1 <nil>"}},
		{name: "each sync", order: Order{Class: Sync, Fault: Fault{Errno: unix.EIO}}, seen: 2, fired: true, moved: "0123456789",
			says: map[string]string{"fsync <nil>": "fsync EIO"}},
		{name: "a third sync, which there is not", order: Order{Class: Sync, Nth: 3, Fault: Fault{Errno: unix.EIO}}, seen: 2, moved: "0123456789"},
		{name: "another program's", order: Order{Program: "cat", Class: Write, Nth: 1, Fault: Fault{Errno: unix.EIO}}, moved: "0123456789"},
		{name: "this program's", order: Order{Program: binary, Class: Rename, Nth: 1, Fault: Fault{Errno: unix.EDQUOT}}, seen: 1, fired: true, moved: "-",
			says: map[string]string{"rename <nil>": "rename EDQUOT"}},
		{name: "made, and said to have failed", order: Order{Class: Rename, Nth: 1, Fault: Fault{Errno: unix.EIO, After: true}}, seen: 1, fired: true, moved: "0123456789",
			says: map[string]string{"rename <nil>": "rename EIO"}},
		{name: "close is made whatever it says", order: Order{Class: Close, Target: "/file$", Nth: 1, Fault: Fault{Errno: unix.EIO}}, seen: 1, fired: true, moved: "0123456789",
			says: map[string]string{"close <nil>": "close EIO"}},
		{name: "one of all threads together", order: Order{Class: Open, Target: "/thread-", Nth: 37, Fault: Fault{Errno: unix.EMFILE}}, seen: many, fired: true, moved: "0123456789",
			says: map[string]string{"threads 0": "threads 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := sound
			for from, to := range c.says {
				want = strings.ReplaceAll(want, from+"\n", to+"\n")
			}
			r := run(t, c.order)
			if r.said != want {
				t.Errorf("the program says\n%swant\n%s", r.said, want)
			}
			if r.status.ExitStatus() != 7 {
				t.Errorf("exit code %d, want the program's own, 7", r.status.ExitStatus())
			}
			if fired := len(r.events) > 0; fired != c.fired {
				t.Errorf("events %v", r.events)
			}
			for _, e := range r.events {
				if e.Class != c.order.Class || e.Program != binary || c.order.Nth > 0 && e.Nth != c.order.Nth {
					t.Errorf("event %v", e)
				}
			}
			if moved := text(r.dir + "/moved"); moved != c.moved {
				t.Errorf("the file holds %q, want %q", moved, c.moved)
			}
		})
	}
}

// TestKillAtCall: the process ends before or after the call, as ordered.
func TestKillAtCall(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: a filter of calls without no_new_privs")
	}
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprint("after=", after), func(t *testing.T) {
			t.Parallel()
			r := run(t, Order{Class: Write, Nth: 1, Fault: Fault{Kill: true, After: after}})
			if !r.status.Signaled() || r.status.Signal() != syscall.SIGKILL {
				t.Errorf("ended with %v", r.status)
			}
			want := ""
			if after {
				want = "0123456789"
			}
			if got := text(r.dir + "/file"); got != want || r.said != "open <nil>\n" {
				t.Errorf("the file holds %q, want %q; said %q", got, want, r.said)
			}
		})
	}
}

type result struct {
	dir    string
	said   string
	status syscall.WaitStatus
	events []Event
}

// run runs the victim under a supervisor with one order.
func run(t *testing.T, o Order) result {
	t.Helper()
	s, theirs, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := result{dir: t.TempDir()}
	argv := append(Prefix(self), self, victimName, r.dir)
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.ExtraFiles = []*os.File{theirs}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	_ = cmd.Wait() // how it ended is in its state
	r.status = cmd.ProcessState.Sys().(syscall.WaitStatus)
	r.said, r.events = out.String(), s.All()
	return r
}

func text(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "-"
	}
	return string(b)
}

func TestClassFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		class  Class
		target string
		want   Class
	}{
		{Write, "/queue/tmp/1", Write},
		{Write, "socket:[1]", Send},
		{Write, "pipe:[1]", Send},
		{Read, "/queue/new/1", Read},
		{Read, "socket:[1]", Receive},
		{Write, "anon_inode:[eventfd]", noClass},
		{Read, "anon_inode:[eventpoll]", noClass},
		{Close, "/queue/tmp/1", Close},
		{Close, "socket:[1]", noClass},
		{Open, "relative", Open},
	} {
		if got := classFor(c.class, c.target); got != c.want {
			t.Errorf("%s of %s: %s, want %s", c.class, c.target, got, c.want)
		}
	}
}

// TestEveryCallHasErrors: a class that no error belongs to would be swept in
// vain.
func TestEveryCallHasErrors(t *testing.T) {
	t.Parallel()
	for number, c := range calls {
		if len(c.class.Errnos()) == 0 && c.class != Setup { // io_setup is refused for good, or not at all
			t.Errorf("%s (%d): class %s has no errors", c.name, number, c.class)
		}
		if c.class.CanBeShort() && c.count == 0 {
			t.Errorf("%s can be short, but no argument holds how much", c.name)
		}
	}
}
