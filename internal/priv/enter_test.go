package priv

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/qmailhome"
	"postrider/internal/sandbox"
	"postrider/internal/testhost/raced"
)

// home makes a home directory that belongs to uid, with these control files.
func home(t *testing.T, uid int, control map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"control", "queue", "queue/new", "queue/info", "queue/lock"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string]string{"secret": "x\n", "control/me": "me\n", "queue/lock/sendmutex": ""}
	for name, text := range control {
		files["control/"+name] = text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, uid, uid))
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// enter has a child that is uid call Enter, with a descriptor that nobody meant
// to give and a standard output that nobody reads, and returns what it found
// afterwards.
func enter(t *testing.T, program, home string, uid int, more ...string) map[string]string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	nobody, broken, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	p, err := os.StartProcess(reachableCopy(t), []string{playName, program, home, strconv.Itoa(uid)}, &os.ProcAttr{
		Env: append(os.Environ(), more...), Dir: "/", Files: []*os.File{nil, broken, w, nil, nil, w},
	})
	w.Close()
	broken.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, readErr := io.ReadAll(r)
	state, err := p.Wait()
	if err != nil || readErr != nil || !state.Success() {
		t.Fatalf("%s: %v, %v, %v:\n%s", program, state, err, readErr, out)
	}
	found := map[string]string{}
	for line := range strings.Lines(string(out)) {
		what, is, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if before, twice := found[what]; twice && before != is {
			t.Errorf("%s: %s is %s and %s", program, what, before, is)
		}
		found[what] = is
	}
	return found
}

// playEnter is the child: it enters, and tries what it can do then.
func playEnter(program string) error {
	home := os.Args[2]
	uid, err := strconv.Atoi(os.Args[3])
	if err != nil {
		return err
	}
	for range 4 {
		go func() {
			runtime.LockOSThread()
			select {}
		}()
	}
	err = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1000, Max: 1000})
	if uid != 0 {
		err = errors.Join(err, syscall.Setgroups(nil), syscall.Setresgid(uid, uid, uid), syscall.Setresuid(uid, uid, uid))
	}
	if os.Getenv("LISTEN_PID") == "own" {
		err = errors.Join(err, os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid())))
	}
	threads, globErr := filepath.Glob("/proc/self/task/*/status")
	if err = errors.Join(err, globErr); err != nil {
		return err
	}
	var status []*os.File
	for _, path := range threads {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		status = append(status, f)
	}
	say := func(what string, is any) { fmt.Fprintf(os.Stderr, "%s: %v\n", what, is) }
	try := func(what string, err error) {
		errno, _ := errors.AsType[unix.Errno](err)
		say(what, int(errno))
	}
	qmailhome.Dir = home
	entered := Enter
	switch program {
	case forbidden:
		entered = func(string) error { return ForbidOthers(home) }
	case otherFiles:
		entered = func(string) error {
			return ForFiles(&Identity{UID: 1, GID: 1}, func() error { say("called", true); return nil })
		}
	}
	refused := entered(program)
	say("enter", refused)
	for _, f := range status {
		text, err := io.ReadAll(f)
		if errors.Is(err, unix.ESRCH) {
			continue // that thread is gone
		}
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			for _, of := range []string{"Cap", "NoNewPrivs:", "Seccomp:"} {
				if strings.HasPrefix(line, of) {
					fmt.Fprint(os.Stderr, strings.Replace(line, "\t", " ", 1))
				}
			}
		}
	}
	if refused != nil {
		return nil
	}
	if program == forbidden {
		for _, uid := range []uintptr{0, 1000} {
			OwnThread(func() {
				_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid)
				say(fmt.Sprint("uid ", uid), int(errno))
			})
		}
		return nil
	}
	_, err = unix.FcntlInt(5, unix.F_GETFD, 0)
	try("stray", err)
	_, err = os.Stdout.WriteString("x")
	try("broken pipe", err)
	_, err = os.ReadFile(home + "/control/me")
	try("read control", err)
	_, err = os.ReadFile(home + "/secret")
	try("read another file", err)
	for _, name := range []string{"/queue/new/x", "/queue/info/x"} {
		f, err := os.OpenFile(home+name, os.O_CREATE|os.O_WRONLY, 0o666)
		try("write "+name, err)
		if err == nil {
			info, err := f.Stat()
			try("mode", err)
			say("mode "+name, info.Mode())
		}
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	try("socket", err)
	unix.Close(fd)
	for _, port := range []int{25, namePort, webPort} {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
		}
		say(fmt.Sprint("port ", port, " is allowed"), err != unix.EACCES && err != unix.EPERM) // who answers does not matter
		unix.Close(fd)
	}
	try("execute", unix.Exec("/nowhere", nil, nil))
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	say("dumpable", fmt.Sprint(dumpable, err))
	var core unix.Rlimit
	try("core", unix.Getrlimit(unix.RLIMIT_CORE, &core))
	say("core size", core)
	here, err := os.Getwd()
	say("directory", fmt.Sprint(here, err))
	return nil
}

// forbidden is what a child calls itself that calls ForbidOthers.
const forbidden = "forbid-others"

// otherFiles is what one calls itself that calls ForFiles.
const otherFiles = "for-files"

// children skips where no child can be restricted.
func children(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can give a child another identity")
	}
	if raced.On {
		t.Skip("a program with C in it cannot restrict all of its threads")
	}
}

func expect(t *testing.T, what string, found, want map[string]string) {
	t.Helper()
	for of, is := range want {
		if found[of] != is {
			t.Errorf("%s: %s is %q, want %q", what, of, found[of], is)
		}
	}
}

const (
	nothing = "0000000000000000"
	eperm   = "1"
	enoent  = "2"
	eacces  = "13"
)

// A confined program is held to its files and calls, in every thread.
func TestEnterConfines(t *testing.T) {
	t.Parallel()
	children(t)
	if len(sandbox.Missing()) > 0 {
		t.Skip(sandbox.Missing())
	}
	const uid = 64000
	dir := home(t, uid, nil)
	expect(t, "qmail-send", enter(t, "qmail-send", dir, uid), map[string]string{
		"enter": "<nil>", "NoNewPrivs": "1", "Seccomp": "2", "CapEff": nothing, "CapPrm": nothing,
		"stray": "9", "broken pipe": "32", "read control": "0", "read another file": eacces,
		"write /queue/new/x": eacces, "write /queue/info/x": "0", "mode /queue/info/x": "-rw-------",
		"socket": eperm, "execute": eperm, "core size": "{0 0}", "port 53 is allowed": "false",
	})
	// One that asks names may use sockets, but keep no files.
	expect(t, "qmail-tlspost", enter(t, "qmail-tlspost", dir, uid), map[string]string{
		"enter": "<nil>", "Seccomp": "2", "read control": eacces, "socket": "0", "execute": eperm, "write /queue/info/x": eacces,
		"port 25 is allowed": "false", "port 53 is allowed": "true", "port 443 is allowed": "true",
	})
	expect(t, "qmail-tlsrpt", enter(t, "qmail-tlsrpt", dir, uid), map[string]string{
		"enter": "<nil>", "port 25 is allowed": "false", "port 53 is allowed": "true", "port 443 is allowed": "false",
	})
	expect(t, "qmail-remote", enter(t, "qmail-remote", dir, uid), map[string]string{"enter": "<nil>", "Seccomp": "0"}) // its own form
	// The administrator can do without.
	expect(t, "without", enter(t, "qmail-send", home(t, uid, map[string]string{"sandbox": "off\n", "setuidprograms": "1\n"}), uid), map[string]string{
		"enter": "<nil>", "NoNewPrivs": "1", "Seccomp": "0", "read another file": "0", "write /queue/new/x": "0", "mode /queue/new/x": "-rw-------",
		"socket": "0", "execute": enoent, "dumpable": "0 <nil>", "core size": "{0 0}", "stray": "9",
	})
}

// What root's program starts can get no right that it has not itself, unless
// the administrator wants setuid programs.
func TestEnterAsRoot(t *testing.T) {
	t.Parallel()
	children(t)
	start, _ := RoleOf("qmail-start")
	caps := fmt.Sprintf("%016x", capBits(start.Caps))
	full := fmt.Sprintf("%016x", boundingSet())
	expect(t, "qmail-start", enter(t, "qmail-start", home(t, 0, nil), 0), map[string]string{
		"enter": "<nil>", "NoNewPrivs": "1", "CapBnd": caps, "CapPrm": caps, "CapEff": caps, "CapInh": nothing, "CapAmb": nothing,
		"Seccomp": "0", "dumpable": "0 <nil>", "stray": "9", "broken pipe": "32", "directory": "/<nil>", "execute": enoent,
		"mode /queue/new/x": "-rw-------", "core size": "{1000 1000}",
	})
	expect(t, "with setuid programs", enter(t, "qmail-start", home(t, 0, map[string]string{"setuidprograms": "1\n"}), 0), map[string]string{
		"enter": "<nil>", "NoNewPrivs": "0", "CapBnd": full, "CapPrm": caps, "CapEff": caps,
	})
	expect(t, "with sockets", enter(t, "qmail-start", home(t, 0, nil), 0, "LISTEN_PID=own", "LISTEN_FDS=3"), map[string]string{
		"enter": "<nil>", "stray": "0", // it is the third
	})
	// Where the machine gives less, that is what there is.
	dir := home(t, 0, nil)
	OwnThread(func() {
		less := start.Caps[:len(start.Caps)-1]
		if err := dropBounds(less); err != nil {
			t.Error(err)
		}
		held := fmt.Sprintf("%016x", capBits(less))
		expect(t, "with less", enter(t, "qmail-start", dir, 0), map[string]string{"enter": "<nil>", "CapPrm": held, "CapEff": held, "CapBnd": held})
	})
}

// A program that its caller started in qmail's own form is as its caller wants it.
func TestEnterClassic(t *testing.T) {
	t.Parallel()
	children(t)
	expect(t, "qmail-smtpd", enter(t, "qmail-smtpd", "/nowhere", 0), map[string]string{
		"enter": "<nil>", "NoNewPrivs": "0", "Seccomp": "0", "stray": "0", "broken pipe": "32", "execute": enoent,
	})
}

// Whoever is not let in is told why, and nothing is taken from him.
func TestEnterRefuses(t *testing.T) {
	t.Parallel()
	children(t)
	withoutQueue := home(t, 64000, nil)
	if err := os.RemoveAll(withoutQueue + "/queue"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		program, home string
		uid           int
		environ, want string
	}{
		{"qmail-unknown", "/nowhere", 0, "", "qmail-unknown is not in the table"},
		{"qmail-send", "/nowhere", 0, "", "/nowhere"},
		{"qmail-send", home(t, 64000, nil), 64001, "", "belongs to uid 64000"},
		{"qmail-start", home(t, 0, nil), 64000, "", "start it as root"},
		{"qmail-start", home(t, 0, nil), 0, "LISTEN_FDS=-1", "LISTEN_FDS"},
		{"qmail-checkpass", home(t, 0, map[string]string{"checkpassuser": "no-such-user\n"}), 64000, "", "checkpassuser"},
		{"qmail-send", withoutQueue, 64000, "", "queue"},
		{"qmail-send", home(t, 64000, map[string]string{"sandbox": "maybe\n"}), 64000, "", "maybe"},
	} {
		found := enter(t, c.program, c.home, c.uid, "LISTEN_PID=own", c.environ)
		if !strings.Contains(found["enter"], c.want) || found["NoNewPrivs"] != "0" || found["Seccomp"] != "0" {
			t.Errorf("%s as uid %d: %v", c.program, c.uid, found)
		}
	}
}

// A control directory that cannot be listed may have links of the
// administrator's: the program does not start without them.
func TestEnterNeedsTheLinks(t *testing.T) {
	t.Parallel()
	children(t)
	dir := home(t, 64000, nil)
	if err := os.Chmod(dir+"/control", 0o311); err != nil {
		t.Fatal(err)
	}
	found := enter(t, "qmail-send", dir, 64000)
	if !strings.Contains(found["enter"], dir+"/control") || found["Seccomp"] != "0" {
		t.Errorf("%v", found)
	}
}

// Who cannot have the rights of an owner does not go on with his own.
func TestForFilesWithoutTheRight(t *testing.T) {
	t.Parallel()
	children(t)
	found := enter(t, otherFiles, "/nowhere", 64000)
	if !strings.Contains(found["enter"], "uid 1") || found["called"] != "" {
		t.Errorf("%v", found)
	}
}

// A program that is run for everybody is its user and nobody else, but where
// there is one user alone, or the administrator wants it otherwise.
func TestForbidOthers(t *testing.T) {
	t.Parallel()
	children(t)
	if len(sandbox.Missing()) > 0 {
		t.Skip(sandbox.Missing())
	}
	expect(t, "separated", enter(t, forbidden, home(t, 0, nil), 0), map[string]string{"enter": "<nil>", "Seccomp": "2", "uid 0": eperm, "uid 1000": "0"})
	for _, dir := range []string{
		home(t, 64000, nil), home(t, 0, map[string]string{"sandbox": "off\n"}), home(t, 0, map[string]string{"setuidprograms": "1\n"}),
	} {
		expect(t, "not to be held", enter(t, forbidden, dir, 0), map[string]string{"enter": "<nil>", "Seccomp": "0", "uid 0": "0"})
	}
	for dir, word := range map[string]string{"/nowhere": "make setup", home(t, 0, map[string]string{"sandbox": "maybe\n"}): "maybe"} {
		if found := enter(t, forbidden, dir, 0); !strings.Contains(found["enter"], word) || found["Seccomp"] != "0" {
			t.Errorf("%s: %v", dir, found)
		}
	}
	onMachine(t, "", "", func() {
		dir := "/etc/home"
		err := errors.Join(unix.Mount("none", "/etc", "tmpfs", 0, ""), os.MkdirAll(dir+"/control", 0o755))
		if err != nil {
			t.Error(err)
		}
		if err := ForbidOthers(dir); !errors.Is(err, unix.ENOENT) {
			t.Errorf("whom nobody can look up: %v", err)
		}
	})
}
