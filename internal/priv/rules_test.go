package priv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"postrider/internal/sandbox"
)

func address(ids []uint32) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(ids))) }

// verdict is what a filter says to a call with these arguments: 0 is yes.
func verdict(t *testing.T, f sandbox.Filter, call uint32, args ...uint64) unix.Errno {
	t.Helper()
	args = append(args, make([]uint64, 6)...)
	var rules []sandbox.Rule
	for _, r := range f.Rules {
		if r.Call == call {
			rules = append(rules, r)
		}
	}
	switch {
	case len(rules) > 1:
		t.Errorf("call %d has %d rules", call, len(rules))
	case len(rules) == 0 && f.Else:
		return 0
	case len(rules) == 0:
		return unix.EPERM
	case rules[0].Never:
		return max(rules[0].Errno, unix.EPERM)
	}
	for _, c := range rules[0].If {
		v := uint32(args[c.Arg])
		if c.Upper {
			v = uint32(args[c.Arg] >> 32)
		}
		if c.Mask != 0 {
			v &= c.Mask
		}
		holds := slices.Contains(c.Values, v)
		switch c.Test {
		case sandbox.NotIn:
			holds = !holds
		case sandbox.AtLeast:
			holds = v >= c.Values[0]
		}
		if !holds {
			return max(rules[0].Errno, unix.EPERM)
		}
	}
	return 0
}

// asked is a question to a filter.
type asked struct {
	call uint32
	args []uint64
	want unix.Errno
}

func (q asked) ask(t *testing.T, who string, f sandbox.Filter) {
	t.Helper()
	if got := verdict(t, f, q.call, q.args...); got != q.want {
		t.Errorf("%s: call %d %v: %v, want %v", who, q.call, q.args, got, q.want)
	}
}

func args(a ...uint64) []uint64 { return a }

const minus1 = 1<<64 - 1 // for "as it is"

// Whom no mail is delivered as nobody can become, by whatever call.
func TestNobodiesCannotBeBecome(t *testing.T) {
	t.Parallel()
	n := Nobodies{Below: 500, UIDs: []uint32{700, 701}, GIDs: []uint32{0, 42}}
	const yes, no = 0, unix.EPERM
	for _, q := range []asked{
		{unix.SYS_SETUID, args(0), no}, {unix.SYS_SETUID, args(499), no}, {unix.SYS_SETUID, args(500), yes},
		{unix.SYS_SETUID, args(700), no}, {unix.SYS_SETUID, args(701), no}, {unix.SYS_SETUID, args(702), yes},
		{unix.SYS_SETREUID, args(1000, 1000), yes}, {unix.SYS_SETREUID, args(0, 1000), no}, {unix.SYS_SETREUID, args(1000, 0), no},
		{unix.SYS_SETREUID, args(minus1, 1000), yes},
		{unix.SYS_SETRESUID, args(1000, 1000, 1000), yes}, {unix.SYS_SETRESUID, args(0, 1000, 1000), no},
		{unix.SYS_SETRESUID, args(1000, 0, 1000), no}, {unix.SYS_SETRESUID, args(1000, 1000, 0), no},
		{unix.SYS_SETFSUID, args(1000), yes}, {unix.SYS_SETFSUID, args(700), no},
		{unix.SYS_SETGID, args(100), yes}, {unix.SYS_SETGID, args(0), no}, {unix.SYS_SETGID, args(42), no},
		{unix.SYS_SETREGID, args(100, 100), yes}, {unix.SYS_SETREGID, args(42, 100), no}, {unix.SYS_SETREGID, args(100, 42), no},
		{unix.SYS_SETRESGID, args(100, 100, 100), yes}, {unix.SYS_SETRESGID, args(42, 100, 100), no},
		{unix.SYS_SETRESGID, args(100, 42, 100), no}, {unix.SYS_SETRESGID, args(100, 100, 42), no},
		{unix.SYS_SETFSGID, args(100), yes}, {unix.SYS_SETFSGID, args(42), no},
		{unix.SYS_SETGROUPS, args(0), no}, {unix.SYS_SETGROUPS, args(1), no},
		{unix.SYS_UNSHARE, args(unix.CLONE_NEWUSER), no}, {unix.SYS_UNSHARE, args(unix.CLONE_NEWUSER | unix.CLONE_FS), no}, {unix.SYS_UNSHARE, args(unix.CLONE_FS), yes},
		{unix.SYS_CLONE, args(unix.CLONE_NEWUSER | uint64(unix.SIGCHLD)), no}, {unix.SYS_CLONE, args(uint64(unix.SIGCHLD)), yes},
		{unix.SYS_CLONE3, args(0), unix.ENOSYS}, // its flags are out of sight
		{unix.SYS_EXECVE, args(0), yes}, {unix.SYS_SOCKET, args(unix.AF_INET), yes},
	} {
		q.ask(t, "nobodies", n.filter())
	}
	asked{unix.SYS_SETUID, args(0), no}.ask(t, "root where nothing is said", Nobodies{}.filter())
	asked{unix.SYS_SETUID, args(1), yes}.ask(t, "where nothing is said", Nobodies{}.filter())
}

// Each kind of calls allows what it is for, and no other kind does.
func TestCalls(t *testing.T) {
	t.Parallel()
	const pid = 4711
	const yes, no = 0, unix.EPERM
	only := func(kinds Calls, q ...asked) {
		t.Helper()
		for c := range Calls(Internet << 1) {
			f := c.filter(pid)
			for _, q := range q {
				if q.want = no; c&kinds != 0 {
					q.want = yes
				}
				q.ask(t, fmt.Sprintf("calls %#x", c), f)
			}
		}
	}
	only(ChangeFiles, asked{call: unix.SYS_UNLINKAT}, asked{call: unix.SYS_RENAMEAT}, asked{call: unix.SYS_FSYNC}, asked{call: unix.SYS_MKDIRAT}, asked{call: unix.SYS_FLOCK})
	only(ChangeFiles|MakeMessages, asked{call: unix.SYS_FTRUNCATE})
	only(WatchFiles, asked{call: unix.SYS_INOTIFY_INIT1}, asked{call: unix.SYS_INOTIFY_ADD_WATCH})
	only(MakeMessages, asked{call: unix.SYS_MEMFD_CREATE})
	only(Internet, asked{call: unix.SYS_CONNECT}, asked{call: unix.SYS_SOCKET, args: args(unix.AF_INET, unix.SOCK_STREAM)},
		asked{call: unix.SYS_SOCKET, args: args(unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_UDP)})
	only(Internet|AskKernel, asked{call: unix.SYS_BIND}, asked{call: unix.SYS_SOCKET, args: args(unix.AF_NETLINK, unix.SOCK_RAW)})
	only(0, asked{call: unix.SYS_SOCKET, args: args(unix.AF_UNIX, unix.SOCK_STREAM)}, asked{call: unix.SYS_SOCKET, args: args(unix.AF_PACKET, unix.SOCK_RAW)},
		asked{call: unix.SYS_SOCKET, args: args(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP)},
		asked{call: unix.SYS_EXECVE}, asked{call: unix.SYS_EXECVEAT}, asked{call: unix.SYS_PTRACE}, asked{call: unix.SYS_SETUID}, asked{call: unix.SYS_LISTEN},
		asked{call: unix.SYS_SYMLINKAT}, asked{call: unix.SYS_MOUNT}, asked{call: unix.SYS_BPF}, asked{call: unix.SYS_IO_URING_SETUP})
	for c := range Calls(Internet << 1) {
		calls := map[uint32]bool{}
		for _, r := range c.filter(pid).Rules {
			if calls[r.Call] {
				t.Errorf("calls %#x: call %d has two rules", c, r.Call)
			}
			calls[r.Call] = true
		}
	}
	threads := uint64(unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD)
	for _, q := range []asked{
		{unix.SYS_READ, nil, yes}, {unix.SYS_OPENAT, nil, yes}, {unix.SYS_ACCEPT4, nil, yes},
		{unix.SYS_CLONE, args(threads), yes}, {unix.SYS_CLONE, args(threads &^ unix.CLONE_THREAD), no}, {unix.SYS_CLONE, args(threads | unix.CLONE_NEWNET), no},
		{unix.SYS_CLONE, args(threads | unix.CLONE_NEWUSER), no}, {unix.SYS_CLONE, args(threads | unix.CLONE_NEWNS), no}, {unix.SYS_CLONE, args(threads | unix.CLONE_NEWPID), no},
		{unix.SYS_CLONE, args(threads | unix.CLONE_NEWIPC), no}, {unix.SYS_CLONE, args(threads | unix.CLONE_NEWUTS), no}, {unix.SYS_CLONE, args(threads | unix.CLONE_NEWCGROUP), no},
		{unix.SYS_CLONE3, nil, unix.ENOSYS},
		{unix.SYS_MMAP, args(0, 4096, unix.PROT_READ|unix.PROT_WRITE), yes}, {unix.SYS_MMAP, args(0, 4096, unix.PROT_READ|unix.PROT_EXEC), no},
		{unix.SYS_MPROTECT, args(0, 4096, unix.PROT_READ), yes}, {unix.SYS_MPROTECT, args(0, 4096, unix.PROT_EXEC), no},
		{unix.SYS_TGKILL, args(pid, 1, 23), yes}, {unix.SYS_TGKILL, args(1, 1, 23), no}, {unix.SYS_KILL, args(pid, 15), yes}, {unix.SYS_KILL, args(1, 15), no},
		{unix.SYS_PRCTL, args(unix.PR_SET_VMA), yes}, {unix.SYS_PRCTL, args(unix.PR_SET_DUMPABLE, 1), no},
		{unix.SYS_PRLIMIT64, args(0, 7, 0), yes}, {unix.SYS_PRLIMIT64, args(pid, 7, 0), yes}, {unix.SYS_PRLIMIT64, args(1, 7, 0), no},
		{unix.SYS_PRLIMIT64, args(0, 7, 0x1000), no}, {unix.SYS_PRLIMIT64, args(0, 7, 1<<32), no},
		{unix.SYS_FCNTL, args(3, unix.F_GETFL), yes}, {unix.SYS_FCNTL, args(3, unix.F_SETOWN), no}, {unix.SYS_FCNTL, args(3, unix.F_SETLEASE), no},
		{unix.SYS_IOCTL, args(3, unix.SIOCINQ), yes}, {unix.SYS_IOCTL, args(0, unix.TIOCSTI), no},
		{unix.SYS_SOCKETPAIR, args(unix.AF_UNIX), yes}, {unix.SYS_SOCKETPAIR, args(unix.AF_TIPC), no},
	} {
		q.ask(t, "everybody", Calls(0).filter(pid))
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	missing := sandbox.Missing()
	for _, c := range []struct {
		sandbox, setuid string
		want            Policy
		fault           string
	}{
		{"", "", Policy{}, ""},
		{"on\n", "0\n", Policy{}, ""},
		{"off\n", "1\n", Policy{Off: true, SetuidPrograms: true}, ""},
		{"on\n", "2\n", Policy{SetuidPrograms: true}, ""},
		{"maybe\n", "", Policy{}, `"maybe" is not on, off or require`},
		{"a\x00\n", "", Policy{}, "NUL"},
		{"", "99999999999999999999\n", Policy{}, "/setuidprograms"},
	} {
		home := t.TempDir()
		if err := os.Mkdir(filepath.Join(home, "control"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"sandbox": c.sandbox, "setuidprograms": c.setuid} {
			if text == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(home, "control", name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		p, err := Installation{Home: home}.Policy()
		if c.fault != "" {
			failsFor(t, c.sandbox, err, c.fault, home)
		} else if err != nil || p != c.want {
			t.Errorf("%q, %q: %+v, %v", c.sandbox, c.setuid, p, err)
		}
	}
	home := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(home, "control"), 0o755), os.WriteFile(filepath.Join(home, "control", "sandbox"), []byte("require\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := (Installation{Home: home}).Policy(); (err == nil) != (len(missing) == 0) {
		t.Errorf("required: %v; missing: %q", err, missing)
	}
	if text := (Policy{Off: true}).Warning(); !strings.Contains(text, "control/sandbox is off") {
		t.Errorf("%q", text)
	}
	if text := (Policy{}).Warning(); (text == "") != (len(missing) == 0) {
		t.Errorf("%q; missing: %q", text, missing)
	}
}

// What a file of the table stands for: what is there, and where the
// administrator's links lead.
func TestExpand(t *testing.T) {
	t.Parallel()
	home, elsewhere := t.TempDir(), t.TempDir()
	control := filepath.Join(home, "control")
	err := errors.Join(os.MkdirAll(filepath.Join(home, "queue/new"), 0o755), os.Mkdir(control, 0o755),
		os.WriteFile(elsewhere+"/locals", nil, 0o644), os.WriteFile(control+"/me", nil, 0o644),
		os.Symlink(elsewhere+"/locals", control+"/locals"), os.Symlink("/nowhere/f", control+"/dangling"), os.Symlink("/proc", control+"/top"))
	if err != nil {
		t.Fatal(err)
	}
	in := Installation{Home: home}
	for _, c := range []struct{ file, want []sandbox.File }{
		{[]sandbox.File{{Path: "queue/new", Access: keep}}, []sandbox.File{{Path: home + "/queue/new", Access: keep}}},
		{[]sandbox.File{{Path: "queue/missing", Access: keep}}, nil},
		{[]sandbox.File{{Path: "/etc/passwd", Access: sandbox.Read}}, []sandbox.File{{Path: "/etc/passwd", Access: sandbox.Read}}},
		{[]sandbox.File{{Path: "control", Access: look}}, []sandbox.File{
			{Path: control, Access: look}, {Path: elsewhere, Access: look}, {Path: "/proc", Access: sandbox.Read},
		}},
		{[]sandbox.File{{Path: resolvConf, Access: look}}, append([]sandbox.File{{Path: "/etc", Access: look}}, existing(behind(resolvConf, look))...)},
	} {
		if got, err := in.expand(c.file[0]); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", c.file[0].Path, got, err, c.want)
		}
	}
	if got, err := (Installation{Home: elsewhere}).expand(sandbox.File{Path: "control"}); err != nil || got != nil {
		t.Errorf("without control: %v, %v", got, err)
	}
	if err := os.WriteFile(elsewhere+"/control", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (Installation{Home: elsewhere}).expand(sandbox.File{Path: "control"}); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a file in its place: %v", err)
	}
}

// What was inherited by accident is closed; the standard files, what is expected,
// and what the program opened itself stay.
func TestCloseInherited(t *testing.T) {
	size, err := descriptorTableSize()
	if err != nil {
		t.Fatal(err)
	}
	expected := []int{}
	for fd := firstBeyond; fd < size; fd++ { // of whoever runs the tests
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			expected = append(expected, fd)
		}
	}
	open := func() int {
		var fds [2]int
		if err := unix.Pipe2(fds[:], 0); err != nil {
			t.Fatal(err)
		}
		unix.CloseOnExec(fds[1])
		t.Cleanup(func() { unix.Close(fds[1]) })
		return fds[0]
	}
	kept, accident := open(), open()
	high := size - 1
	if err := unix.Dup3(kept, high, 0); err != nil {
		t.Fatal(err)
	}
	own, err := unix.FcntlInt(uintptr(kept), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := closeInherited(append(expected, kept)); err != nil {
		t.Fatal(err)
	}
	for fd, want := range map[int]bool{0: true, 1: true, 2: true, kept: true, own: true, accident: false, high: false} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); (err == nil) != want {
			t.Errorf("descriptor %d: %v", fd, err)
		}
	}
	unix.Close(kept)
	unix.Close(own)
}

func TestHanded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		environ []string
		want    []int
		fails   bool
	}{
		{nil, nil, false},
		{[]string{"LISTEN_PID=7", "LISTEN_FDS=2"}, []int{3, 4}, false},
		{[]string{"LISTEN_PID=8", "LISTEN_FDS=2"}, nil, false},
		{[]string{"LISTEN_PID=7", "LISTEN_FDS=-1"}, nil, true},
		{[]string{"QMAIL_START_HANDOVER=7 5 9"}, []int{5, 9}, false},
		{[]string{"QMAIL_START_HANDOVER=7 5 9", "LISTEN_PID=7", "LISTEN_FDS=1"}, []int{5, 9}, false},
		{[]string{"QMAIL_START_HANDOVER=7 x", "LISTEN_PID=7", "LISTEN_FDS=1"}, nil, true},
	} {
		got, err := handed(c.environ, 7)
		if !slices.Equal(got, c.want) || (err != nil) != c.fails {
			t.Errorf("%q: %v, %v", c.environ, got, err)
		}
	}
}

func TestExamine(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Examine(file)
	failsFor(t, "a file", err, file, "no directory")
	if os.Getuid() == 0 {
		dir := t.TempDir()
		if err := os.Chown(dir, 1000, 0); err != nil {
			t.Fatal(err)
		}
		if in, err := Examine(dir); err != nil || !in.Private || in.UID != 1000 {
			t.Errorf("%+v, %v", in, err)
		}
	}
	in := Installation{Home: "/home"}
	if a, b := in.dir(Role{Dir: "/"}), in.dir(Role{Dir: "queue"}); a != "/" || b != "/home/queue" {
		t.Errorf("%s, %s", a, b)
	}
}

// Stopped sees what a signal has stopped, and nothing else.
func TestStopped(t *testing.T) {
	c := exec.Command("sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Wait() }()
	defer c.Process.Kill()
	WatchStart()() // ends before it looks at anything
	if Stopped(c.Process.Pid) {
		t.Error("a child that runs is stopped")
	}
	if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := unix.Waitid(unix.P_PID, c.Process.Pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it stays as it is
		if !Stopped(c.Process.Pid) {
			t.Error("a child that is stopped runs")
		}
	}
	if Stopped(os.Getpid()) {
		t.Error("who is no child is stopped")
	}
}

// What a program does with its files needs calls, and nobody has calls that he
// does not need.
func TestCallsOfRoles(t *testing.T) {
	t.Parallel()
	changes := sandbox.Write | sandbox.Create | sandbox.Remove | sandbox.Move | sandbox.MakeDir
	for _, r := range Roles() {
		var access sandbox.Access
		for _, f := range r.Files {
			if f.Access == 0 || f.Access&sandbox.Move != 0 && f.Access&sandbox.Remove == 0 || f.Access&sandbox.Create != 0 && f.Access&sandbox.List == 0 {
				t.Errorf("%s: nobody can use %s so: %#x", r.Program, f.Path, f.Access)
			}
			access |= f.Access
		}
		if !r.Confined {
			continue
		}
		// One file that is there is written in place.
		inPlace := r.Program == "qmail-remote"
		if (r.Calls&ChangeFiles != 0) != (access&changes != 0 && !inPlace) {
			t.Errorf("%s: calls %#x, files %#x", r.Program, r.Calls, access)
		}
		if (r.Calls&Internet != 0) != (r.Connects || r.AsksNames || r.AsksWeb) {
			t.Errorf("%s: calls %#x, but connects %v, asks names %v, asks the web %v", r.Program, r.Calls, r.Connects, r.AsksNames, r.AsksWeb)
		}
		if r.Calls&AskKernel != 0 && r.Program != "qmail-remote" && r.Program != "qmail-smtpd" {
			t.Errorf("%s needs not know the addresses of this machine", r.Program)
		}
	}
	send, _ := RoleOf("qmail-send")
	spool, _ := RoleOf("qmail-spool")
	remote, _ := RoleOf("qmail-remote")
	if send.Calls&MakeMessages == 0 || spool.Calls&WatchFiles == 0 || remote.Calls&AskKernel == 0 {
		t.Error("qmail-send hands messages on, qmail-spool waits for files, qmail-remote knows this machine's addresses")
	}
	access := map[string]sandbox.Access{}
	for _, f := range append(spool.Files, remote.Files...) {
		access[f.Path] = f.Access
	}
	// A file is moved only to where no more may be done with it.
	bad := access["queue/bad"]
	for _, from := range []string{"queue/tmp", "queue/new"} {
		if bad&^access[from] != 0 || bad&(sandbox.Create|sandbox.Move) != sandbox.Create|sandbox.Move || bad&sandbox.Write != 0 {
			t.Errorf("from %s (%#x) to queue/bad (%#x)", from, access[from], bad)
		}
	}
	// What anybody may put there is looked at and taken away, and never changed.
	if access["queue/drop"] != sandbox.Read|sandbox.List|sandbox.Remove|sandbox.Move {
		t.Errorf("queue/drop: %#x", access["queue/drop"])
	}
	for _, path := range []string{"queue/lock/spool", "queue/lock/tcpto"} {
		if access[path] != sandbox.Read|sandbox.Write {
			t.Errorf("%s: %#x", path, access[path])
		}
	}
}

// An owner can use what he owns, and where everybody may write nobody removes
// what is not his.
func TestTreeIsOfUse(t *testing.T) {
	t.Parallel()
	for _, e := range Tree() {
		if own := e.Mode & 0o700; own != 0o700 && !(e.File && own == 0o600) {
			t.Errorf("%s: its owner has %v", e.Path, e.Mode)
		}
		if e.Mode&0o002 != 0 && (e.Mode&fs.ModeSticky == 0 || e.Mode&fs.ModeSetgid == 0 || e.Mode&0o004 != 0) {
			t.Errorf("%s: everybody may write there, %v", e.Path, e.Mode)
		}
		if (e.Path == "alias" || e.Path == "run") && e.Mode&fs.ModeSetgid == 0 {
			t.Errorf("%s: what is made there has another group, %v", e.Path, e.Mode)
		}
	}
}

// Capabilities that are permitted count, whether they are in use or not, all 64.
func TestCurrentCapabilities(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root has capabilities")
	}
	OwnThread(func() {
		for _, bit := range []uint{unix.CAP_KILL, unix.CAP_CHECKPOINT_RESTORE} {
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var data [2]unix.CapUserData
			if err := unix.Capget(&header, &data[0]); err != nil {
				t.Error(err)
			}
			if data[bit/32].Permitted&(1<<(bit%32)) == 0 {
				continue // this machine does not give it
			}
			data[bit/32].Effective &^= 1 << (bit % 32)
			if err := unix.Capset(&header, &data[0]); err != nil {
				t.Error(err)
			}
			if got, err := current(); err != nil || got.caps&(1<<bit) == 0 {
				t.Errorf("capability %d: %#x, %v", bit, got.caps, err)
			}
		}
	})
	got := credentials{uid: [3]uint32{5, 5, 5}, gid: [3]uint32{6, 6, 6}, groups: []uint32{9, 7}}
	if !got.is(5, 6, []uint32{7, 9}) || !slices.Equal(got.groups, []uint32{9, 7}) {
		t.Errorf("groups were compared, and are %v", got.groups)
	}
}

// Without the size of the table nothing is closed, and the program does not go
// on with what it inherited.
func TestDescriptorTableSize(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]string{"nothing": "", "no size": "Name:\tx\nUmask:\t0022\n", "no number": "Name:\tx\nFDSize:\tx\nGroups:\t\n"} {
		onMachine(t, "", "", func() {
			err := errors.Join(unix.Mount("none", "/proc", "tmpfs", 0, ""), os.Mkdir("/proc/self", 0o755))
			if status != "" {
				err = errors.Join(err, os.WriteFile("/proc/self/status", []byte(status), 0o644))
			}
			if err != nil {
				t.Error(err)
			}
			failsFor(t, name, closeInherited(nil), "/proc/self/status")
		})
	}
}
