//go:build amd64 || arm64

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/testhost/raced"
)

// childName is the name under which the test binary restricts itself.
const childName = "sandbox-child"

func TestMain(m *testing.M) {
	if os.Args[0] == childName {
		if err := restricted(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// order is what a child is to apply, and to try afterwards.
type order struct {
	Realm  *Realm
	Filter *Filter
	Plain  bool // without no_new_privs, as somebody who needs it
	Own    bool // a thread has a filter of its own
	Dirs   []string
	Ports  []int
}

// obey has a child carry out an order. It returns the errors of what it tried
// by what that was; "apply" is that of the restriction.
func (o order) obey(t *testing.T) map[string]string {
	t.Helper()
	if raced.On {
		t.Skip("a program with C in it cannot restrict all of its threads")
	}
	if missing := Missing(); len(missing) > 0 {
		t.Skip(missing)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Args = []string{childName}
	c.Stdin = strings.NewReader(string(text))
	said, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	found := map[string]string{}
	for line := range strings.Lines(string(said)) {
		what, is, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if before, twice := found[what]; twice && before != is {
			t.Errorf("%s is %s in one thread and %s in another", what, before, is)
		}
		found[what] = is
	}
	return found
}

// restricted is the child.
func restricted() error {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(text, &o); err != nil {
		return err
	}
	// Threads that are there before: what is applied holds in them, too.
	tries := make(chan func())
	for range 4 {
		go func() {
			runtime.LockOSThread()
			for try := range tries {
				try()
			}
		}()
	}
	everywhere := func(f func()) {
		ready, done := make(chan struct{}), make(chan struct{})
		for range 4 {
			tries <- func() { ready <- struct{}{}; <-done; f(); ready <- struct{}{} }
		}
		for range 4 {
			<-ready
		}
		for range 4 {
			done <- struct{}{}
			<-ready
		}
	}
	everywhere(func() {})
	if o.Own {
		everywhere(func() { err = errors.Join(err, ownFilter()) })
	}
	switch {
	case err != nil:
		return err
	case o.Plain && os.Getuid() == 0:
		if err := syscall.Setresuid(64000, 64000, 64000); err != nil {
			return err
		}
	case !o.Plain:
		if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
			return errno
		}
	}
	if o.Realm != nil {
		fmt.Println("apply:", o.Realm.Apply())
	}
	if o.Filter != nil {
		fmt.Println("apply:", o.Filter.Apply())
	}
	everywhere(o.try)
	return nil
}

// ownFilter gives this thread a filter, which allows everything.
func ownFilter() error {
	program := []unix.SockFilter{answer(0)}
	bpf := unix.SockFprog{Len: 1, Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, address(&bpf), 0, 0)
}

// try says what this thread can do.
func (o order) try() {
	say := func(what string, err error) {
		errno, _ := errors.AsType[unix.Errno](err)
		fmt.Printf("%s: %d\n", what, int(errno))
	}
	for _, dir := range o.Dirs {
		name := filepath.Base(dir)
		_, err := os.ReadFile(dir + "/f")
		say(name+" read", err)
		_, err = os.ReadDir(dir)
		say(name+" list", err)
		say(name+" write", os.WriteFile(dir+"/f", []byte("x"), 0o600))
		say(name+" truncate", os.Truncate(dir+"/f", 1))
		f, err := os.Create(dir + "/new")
		if err == nil {
			err = f.Close()
		}
		say(name+" create", err)
		mine := fmt.Sprint(dir, "/", unix.Gettid()) // others are next
		say(name+" link", os.Symlink("f", mine+"symlink"))
		say(name+" directory", unix.Mkdir(mine, 0o700))
		say(name+" move", unix.Rename(dir+"/new", mine+"/new"))
		say(name+" remove", unix.Unlink(dir+"/remove"))
		_ = os.WriteFile(dir+"/remove", nil, 0o600) // again
	}
	for i, port := range o.Ports {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
		}
		say(fmt.Sprint("connect ", i), err)
		unix.Close(fd)
	}
	for _, port := range []int{0, 1} {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
		}
		say(fmt.Sprint("bind ", port), err)
		unix.Close(fd)
	}
	say("signal to itself", unix.Kill(unix.Getpid(), unix.SIGURG))
	say("signal to its parent", unix.Kill(unix.Getppid(), 0))
	_, err := unix.Getpgid(0)
	say("getpgid", err)
	_, err = unix.Getpriority(unix.PRIO_PROCESS, 0)
	say("getpriority process", err)
	_, err = unix.Getpriority(unix.PRIO_USER, 0)
	say("getpriority user", err)
	_, _, errno := unix.RawSyscall(newest+1, 0, 0, 0)
	say("a call that there is not yet", errno)
}

func check(t *testing.T, what string, found, want map[string]string) {
	t.Helper()
	for of, is := range want {
		if found[of] != is {
			t.Errorf("%s: %s: %q, want %q", what, of, found[of], is)
		}
	}
}

const (
	yes    = "0"
	eperm  = "1"
	eacces = "13"
)

// Invariant 1: a process reaches the files and ports that it is allowed, and
// no others, in whatever thread.
func TestRealm(t *testing.T) {
	t.Parallel()
	dirs := map[string]string{}
	var all []string
	for _, name := range []string{"read", "keep", "none"} {
		dir := filepath.Join(t.TempDir(), name)
		err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(dir+"/f", nil, 0o600), os.WriteFile(dir+"/remove", nil, 0o600))
		if err != nil {
			t.Fatal(err)
		}
		dirs[name] = dir
		all = append(all, dir)
	}
	var ports []int
	for range 2 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	files := []File{{dirs["read"], Read | List}, {dirs["keep"], Read | Write | Create | Remove | Move | MakeDir}}
	check(t, "one port", order{Realm: &Realm{Files: files, Ports: []uint16{uint16(ports[0])}}, Dirs: all, Ports: ports}.obey(t), map[string]string{
		"apply":     "<nil>",
		"read read": yes, "read list": yes, "read write": eacces, "read truncate": eacces, "read create": eacces, "read directory": eacces, "read remove": eacces,
		"keep read": yes, "keep list": eacces, "keep write": yes, "keep truncate": yes, "keep create": yes, "keep directory": yes, "keep move": yes,
		"keep remove": yes, "keep link": eacces,
		"none read": eacces, "none list": eacces, "none write": eacces, "none create": eacces, "none remove": eacces,
		"connect 0": yes, "connect 1": eacces, "bind 0": eacces, "bind 1": eacces,
		"signal to itself": yes, "signal to its parent": eperm,
	})
	check(t, "any port", order{Realm: &Realm{Connect: true, AnyPort: true}, Dirs: all, Ports: ports}.obey(t), map[string]string{
		"apply": "<nil>", "keep read": eacces, "connect 0": yes, "connect 1": yes, "bind 0": yes, "bind 1": eacces,
	})
	found := order{Realm: &Realm{Files: []File{{dirs["none"] + "/missing", Read}}}, Dirs: all}.obey(t)
	if !strings.HasPrefix(found["apply"], "landlock: ") || found["none read"] != yes {
		t.Errorf("a file that is not there: %v", found)
	}
}

// Invariants 1 and 2, by the kernel itself.
func TestFilterHolds(t *testing.T) {
	t.Parallel()
	rules := []Rule{
		{Call: unix.SYS_GETPGID, Never: true, Errno: unix.ENOTTY},
		{Call: unix.SYS_GETPRIORITY, If: []Condition{{Arg: 0, Values: []uint32{unix.PRIO_PROCESS}}}},
	}
	check(t, "a filter", order{Filter: &Filter{Else: true, Rules: rules}}.obey(t), map[string]string{
		"apply": "<nil>", "getpgid": "25", "getpriority process": yes, "getpriority user": eperm, "bind 0": yes,
	})
	// Without the right to filter, nothing is, and that is an error.
	found := order{Filter: &Filter{Else: true, Rules: rules}, Plain: true}.obey(t)
	check(t, "without no_new_privs", found, map[string]string{"apply": "seccomp: permission denied", "getpgid": yes})
	// A thread with a filter of its own would not be held.
	found = order{Filter: &Filter{Else: true, Rules: rules}, Own: true}.obey(t)
	if !strings.Contains(found["apply"], "has a filter of its own") || found["getpgid"] != yes {
		t.Errorf("with a filter of its own: %v", found)
	}
	// Nothing is applied of a filter that is wrong.
	if err := (Filter{Rules: []Rule{{Call: newest}}}).Apply(); err == nil || !strings.Contains(err.Error(), fmt.Sprint(newest)) {
		t.Errorf("no such call: %v", err)
	}
}

// What this kernel has is asked of the kernel itself.
func TestWhatThereIs(t *testing.T) {
	t.Parallel()
	const askVersion = 1
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, askVersion)
	if errno != 0 {
		version = 0
	}
	if got := landlockVersion(); got != int(version) {
		t.Errorf("version %d of Landlock, want %d", got, version)
	}
	actions, err := os.ReadFile("/proc/sys/kernel/seccomp/actions_avail")
	if err == nil && !haveSeccomp() && strings.Contains(string(actions), "errno") {
		t.Errorf("there are filters: %s", actions)
	}
}

// What a kernel does not have is told, each in words of its own, and left out.
func TestMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		abi     int
		seccomp bool
		want    []string
		rules   int
	}{
		{0, false, []string{"no Landlock", "no seccomp filters on " + runtime.GOARCH}, 1},
		{1, true, []string{"version 1 of Landlock (needs 2, Linux 5.19): files and ports"}, 1},
		{2, true, []string{"version 2 of Landlock (needs 4, Linux 6.7, for all): ports"}, 1},
		{3, false, []string{"version 3 of Landlock (needs 4", "no seccomp"}, 1},
		{4, true, nil, 4},
		{8, true, nil, 4},
	} {
		got := missing(c.abi, c.seccomp)
		if len(got) != len(c.want) {
			t.Errorf("version %d, seccomp %v: %q", c.abi, c.seccomp, got)
			continue
		}
		for i, want := range c.want {
			if !strings.HasPrefix(got[i], want) {
				t.Errorf("version %d, seccomp %v: %q, want %q", c.abi, c.seccomp, got[i], want)
			}
		}
		r := Realm{Files: []File{{"/", Read}}, AnyPort: true, Ports: []uint16{53, 443}}
		if got := len(r.rules(c.abi)); got != c.rules {
			t.Errorf("version %d: %d rules, want %d", c.abi, got, c.rules)
		}
	}
	for _, c := range []struct {
		abi, errata int
		err         error
		want        bool
	}{
		{6, 0, nil, false}, {7, 1, nil, false}, {7, 2, nil, true}, {7, 3, nil, true}, {7, 2, unix.ENOSYS, false}, {8, 0, nil, true}, {9, 0, unix.ENOSYS, true},
	} {
		if got := signalsWork(c.abi, c.errata, c.err); got != c.want {
			t.Errorf("version %d, errata %d, %v: %v", c.abi, c.errata, c.err, got)
		}
	}
}
