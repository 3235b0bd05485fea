package hostile

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/wire/submit"
)

const (
	attackerPath   = "/home/mallory/attacker"
	attackVariable = "HOSTILE_ATTACK"
	publicSocket   = "/var/qmail/queue/submit.sock"
	dropDir        = "/var/qmail/queue/drop"
)

const alarm = syscall.SIGALRM

// attack does what the name says, for as many seconds, times or bytes as the
// first argument says. What it prints is what it should not have been able to.
func attack(what string) int {
	n := 0
	if len(os.Args) > 1 {
		n, _ = strconv.Atoi(os.Args[1])
	}
	switch what {
	case "drop":
		dropStorm(time.Duration(n) * time.Second)
	case "connections":
		connectionStorm(n)
	case "garbage":
		garbageStorm(time.Duration(n) * time.Second)
	case "endless":
		endlessMessage(int64(n), submit.Message)
	case "envelope":
		endlessMessage(int64(n), submit.Envelope)
	case "mailbox":
		mailboxStorm(time.Duration(n) * time.Second)
	case "stop", "kill":
		ownProcesses(what, time.Duration(n)*time.Second)
	case "signals":
		crossing()
	case "parent":
		attackParent()
	case "torture":
		return torture(os.Args[1:])
	default:
		fmt.Println("no such attack:", what)
	}
	return 0
}

// until calls step until the time is over.
func until(d time.Duration, step func()) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		step()
	}
}

// dropStorm fills the drop directory with all that is no message, under names
// of the kind that is looked at, and changes it while it is read.
func dropStorm(d time.Duration) {
	n := 0
	name := func() string {
		n++
		name := fmt.Sprintf("%032x", rand.Uint64())
		switch rand.IntN(8) {
		case 0:
			name = "." + name
		case 1:
			name = fmt.Sprintf("a\nb\x01\xff %d", n)
		}
		return filepath.Join(dropDir, name)
	}
	targets := []string{"/etc/secret", "/home/alice/private", "/home/mallory/Maildir", "../../control/me", "/dev/zero", "/proc/self/mem"}
	kinds := []func(path string){
		func(path string) { _ = os.Symlink(targets[rand.IntN(len(targets))], path) },
		func(path string) {
			for _, target := range targets {
				_ = os.Link(target, path) // mostly not allowed
			}
		},
		func(path string) { _ = syscall.Mkfifo(path, 0o666) },
		func(path string) { _ = os.MkdirAll(path+"/"+filepath.Base(path), 0o777) },
		func(path string) {
			if l, err := net.Listen("unix", path); err == nil {
				l.(*net.UnixListener).SetUnlinkOnClose(false)
				l.Close()
			}
		},
		func(path string) {
			if f, err := os.Create(path); err == nil {
				_ = f.Truncate(1 << 40)
				f.Close()
			}
		},
		grow,
		func(path string) { // replaced while it is looked at
			for range 20 {
				_ = os.WriteFile(path, garbage(3000), 0o644)
				_ = os.Remove(path)
				_ = os.Symlink("/etc/secret", path)
				_ = os.Remove(path)
			}
		},
		func(path string) { _ = os.WriteFile(path, garbage(200), 0o644); _ = os.Rename(path, name()) },
		func(path string) { _ = os.WriteFile(path, garbage(1<<20), 0o000) },
	}
	until(d, func() { kinds[rand.IntN(len(kinds))](name()) })
}

// grow is a file that grows and shrinks for a while.
func grow(path string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return
	}
	defer f.Close()
	for range 30 {
		_, _ = f.Write(garbage(10_000))
		_ = f.Truncate(rand.Int64N(20_000))
	}
}

func garbage(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

// connectionStorm makes n connections and holds those it gets for 3 s. More
// than one uid may have is a finding.
func connectionStorm(n int) {
	var held []net.Conn
	for range n {
		if c, err := net.Dial("unix", publicSocket); err == nil {
			held = append(held, c)
		}
	}
	served := 0
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, c := range held {
		all.Go(func() {
			_ = c.SetDeadline(time.Now().Add(3 * time.Second))
			kind, length, err := submit.ReadHeader(c)
			if err == nil && kind == submit.Ready {
				mu.Lock()
				served++
				mu.Unlock()
				_, _ = io.CopyN(io.Discard, c, int64(length))
				_, _ = io.ReadAll(c)
			}
		})
	}
	all.Wait()
	if served > 20 {
		fmt.Printf("%d connections at a time are served\n", served)
	}
	fmt.Fprintf(os.Stderr, "%d connections, %d served\n", len(held), served)
}

// garbageStorm speaks the protocol wrong in every way, from many connections:
// half frames, lengths that lie, kinds that are none, slow bytes, descriptors.
func garbageStorm(d time.Duration) {
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() { until(d, func() { nonsense() }) })
	}
	all.Wait()
}

func nonsense() {
	c, err := net.Dial("unix", publicSocket)
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	uc := c.(*net.UnixConn)
	message := submit.AppendFrame(nil, submit.Message, garbage(100))
	switch rand.IntN(8) {
	case 0:
		_, _ = c.Write(garbage(rand.IntN(5000)))
	case 1: // half a frame, and silence
		_, _ = c.Write(message[:len(message)/2])
		time.Sleep(time.Second)
	case 2: // a length beyond all limits
		_, _ = c.Write([]byte{submit.Message, 0xff, 0xff, 0xff, 0xff, 1, 2, 3})
	case 3: // byte by byte
		for _, b := range message {
			_, _ = c.Write([]byte{b})
			time.Sleep(5 * time.Millisecond)
		}
	case 4: // descriptors where none are expected
		null, err := os.Open("/dev/null")
		if err == nil {
			fds := make([]int, 200)
			for i := range fds {
				fds[i] = int(null.Fd())
			}
			for range 50 {
				_, _, _ = uc.WriteMsgUnix(message, unix.UnixRights(fds...), nil)
			}
			null.Close()
		}
	case 5: // out of order
		_, _ = c.Write(submit.AppendFrame(nil, submit.Envelope, garbage(50)))
		_, _ = c.Write(message)
	case 6: // an envelope with everything in it that must not be
		_, _ = c.Write(message)
		envelope := "F" + string(garbage(30)) + "\x00T../../etc/passwd\x00T\n@x\x00Talice\x00U\x00\x00"
		_, _ = c.Write(submit.AppendFrame(nil, submit.Envelope, []byte(envelope)))
		_, _ = c.Write(submit.AppendFrame(nil, submit.Commit, garbage(16)))
		_, _ = io.CopyN(io.Discard, c, 20)
	case 7: // no reader for the answers
		for range 2000 {
			if _, err := c.Write(append(message, submit.AppendFrame(nil, submit.Commit, garbage(16))...)); err != nil {
				return
			}
		}
	}
}

// endlessMessage sends up to so many bytes of one message on each of several
// connections, and tells how many were taken before it was cut off.
func endlessMessage(limit int64, kind byte) {
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			c, err := net.Dial("unix", publicSocket)
			if err != nil {
				return
			}
			defer c.Close()
			payload := []byte(strings.Repeat("Tsomebody@somewhere.example\x00", 9000))
			if kind == submit.Envelope {
				_, _ = c.Write(submit.AppendFrame(nil, submit.Envelope, []byte("Fme@x.example\x00")))
			}
			sent := int64(0)
			for sent < limit {
				n, err := c.Write(submit.AppendFrame(nil, kind, payload))
				sent += int64(n)
				if err != nil {
					break
				}
			}
			fmt.Fprintf(os.Stderr, "%d bytes were read\n", sent)
		})
	}
	all.Wait()
}

// mailboxStorm replaces her Maildir, and what is in it, under the deliveries.
func mailboxStorm(d time.Duration) {
	const box, away = "/home/mallory/Maildir", "/home/mallory/away"
	kinds := []func(){
		func() { _ = os.Symlink("/home/alice/Maildir", box) },
		func() { _ = os.Symlink("/etc", box) },
		func() { _ = os.Symlink(box, box) },
		func() { _ = syscall.Mkfifo(box, 0o666) },
		func() { _ = os.WriteFile(box, garbage(10), 0o666) },
		func() {
			_ = os.Mkdir(box, 0o777)
			for _, sub := range []string{"tmp", "new", "cur"} {
				_ = os.Symlink("/home/alice/Maildir/"+sub, filepath.Join(box, sub))
			}
		},
		func() {
			_ = os.Mkdir(box, 0o777)
			_ = os.Mkdir(box+"/tmp", 0o777)
			_ = syscall.Mkfifo(box+"/new", 0o666)
			_ = os.Mkdir(box+"/cur", 0o000)
		},
	}
	until(d, func() {
		_ = os.Rename(box, away)
		kinds[rand.IntN(len(kinds))]()
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
		_ = os.Chmod(box+"/cur", 0o700)
		_ = os.RemoveAll(box)
		_ = os.Rename(away, box)
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
	})
}

// ownProcesses stops or kills every other process of hers that it sees, also
// one that is about to become hers by exec.
func ownProcesses(how string, d time.Duration) {
	sig := syscall.SIGSTOP
	if how == "kill" {
		sig = syscall.SIGKILL
	}
	self := os.Getpid()
	until(d, func() {
		entries, _ := os.ReadDir("/proc")
		for _, e := range entries {
			if pid, err := strconv.Atoi(e.Name()); err == nil && pid > 1 && pid != self {
				_ = syscall.Kill(pid, sig)
			}
		}
	})
}

// crossing tries on every process what only its owner may do, and prints what
// was allowed.
func crossing() {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		fmt.Println(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		var st unix.Stat_t
		if unix.Stat("/proc/"+e.Name()+"/task", &st) != nil {
			continue
		}
		intrude(pid, os.Args[1])
	}
}

// intrude tries one process. Its owner may signal it and no more: a worker is
// the suite's program, not hers.
func intrude(pid int, own string) {
	cmd, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	name := strings.TrimSpace(string(cmd))
	hers := strings.Contains(string(status), "\nUid:\t"+own+"\t")
	if hers && name != "qmail-local" {
		return
	}
	found := func(what string) { fmt.Printf("%s (pid %d, hers: %v): %s\n", name, pid, hers, what) }
	if unix.Kill(pid, 0) == nil && !hers {
		found("may be signalled")
	}
	if _, _, e := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(pid), 0, 0, 0, 0); e == 0 {
		found("may be traced")
	}
	for _, file := range []string{"mem", "environ", "maps", "auxv", "stack", "syscall", "io"} {
		if f, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, file)); err == nil {
			if n, err := f.Read(make([]byte, 10)); n > 0 && err == nil {
				found("/proc file " + file + " may be read")
			}
			f.Close()
		}
	}
	if f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0); err == nil {
		found("its memory may be written")
		f.Close()
	}
	if names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err == nil && len(names) > 0 {
		found("its descriptors may be listed")
	}
	for _, link := range []string{"cwd", "root", "exe"} {
		if _, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", pid, link)); err == nil {
			found(link + " may be read")
		}
	}
	if fd, err := unix.PidfdOpen(pid, 0); err == nil {
		for target := range 10 {
			if got, err := unix.PidfdGetfd(fd, target, 0); err == nil {
				found(fmt.Sprintf("descriptor %d may be taken", target))
				unix.Close(got)
			}
		}
		unix.Close(fd)
	}
}

// ofRuntime tells that our own runtime opened a file.
func ofRuntime(target string) bool {
	for _, prefix := range []string{"anon_inode:", "/proc/", "/sys/fs/cgroup/"} {
		if strings.HasPrefix(target, prefix) {
			return true
		}
	}
	return false
}

// attackParent is a program in a .qmail file that turns against the worker
// that runs it.
func attackParent() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
	intrude(os.Getppid(), strconv.Itoa(os.Getuid()))
	for fd := range 64 { // what it holds must be what a program gets
		if target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil && fd > 2 && !ofRuntime(target) {
			fmt.Printf("descriptor %d is %s\n", fd, target)
		}
	}
}
