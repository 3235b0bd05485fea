package testhost

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// Main runs the tests of a package that uses hosts; it is to be called from
// the package's TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(testhost.Main(m)) }
//
// The test binary is also the init of every host, and, where the tests are
// not run by root, starts itself again as root of a user namespace.
func Main(m *testing.M) int {
	switch os.Args[0] {
	case initName:
		return runInit()
	case mappedName:
		return execMapped()
	}
	if os.Geteuid() != 0 {
		code, err := runInUserNamespace()
		if err == nil {
			return code
		}
		fmt.Fprintf(os.Stderr, "testhost: not root, and no user namespace (%v): every test that needs a host is skipped\n", err)
	}
	return m.Run()
}

const (
	// mappedName is the argv[0] of the test binary inside a user namespace
	// that waits until its user ids are mapped.
	mappedName = "testhost-mapped"
	// userNSEnv is "all" or "single" in a user namespace: are the ids of a
	// whole host mapped, or only root?
	userNSEnv = "TESTHOST_USER_NAMESPACE"
)

func inUserNamespace() bool { return os.Getenv(userNSEnv) != "" }
func singleUser() bool      { return os.Getenv(userNSEnv) == "single" }

// realRoot reports whether tests have all rights. Then nothing is skipped:
// what is missing fails.
func realRoot() bool { return os.Geteuid() == 0 && !inUserNamespace() }

// runInUserNamespace runs this test binary again as root of a new user
// namespace, with as many ids mapped as the machine gives to this user.
func runInUserNamespace() (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	ready, mapped, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer mapped.Close()
	// The death signal is tied to the thread that started the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	child := exec.Cmd{
		Path: self, Args: append([]string{mappedName}, os.Args[1:]...),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, ExtraFiles: []*os.File{ready},
		SysProcAttr: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, Pdeathsig: syscall.SIGKILL},
	}
	err = child.Start()
	ready.Close()
	if err != nil {
		return 0, err
	}
	kind, err := mapIDs(child.Process.Pid)
	if err != nil {
		_ = child.Process.Kill()
		_ = child.Wait()
		return 0, err
	}
	if _, err := io.WriteString(mapped, kind); err != nil {
		return 0, err
	}
	mapped.Close()
	fmt.Fprintf(os.Stderr, "testhost: not root: hosts live in a user namespace with %s ids; disks are memory\n", kind)
	// A test run that fails is an exit code, not an error here.
	_ = child.Wait()
	return child.ProcessState.ExitCode(), nil
}

// mapIDs maps the ids of a host: through newuidmap where this user owns
// subordinate ids, otherwise root alone.
func mapIDs(pid int) (string, error) {
	if mapSubordinate("newuidmap", "/etc/subuid", pid, os.Getuid()) == nil &&
		mapSubordinate("newgidmap", "/etc/subgid", pid, os.Getgid()) == nil {
		return "all", nil
	}
	files := []struct{ name, text string }{
		{"uid_map", fmt.Sprintf("0 %d 1\n", os.Getuid())},
		{"setgroups", "deny"},
		{"gid_map", fmt.Sprintf("0 %d 1\n", os.Getgid())},
	}
	for _, f := range files {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, f.name), []byte(f.text), 0); err != nil {
			return "", err
		}
	}
	return "single", nil
}

func mapSubordinate(program, table string, pid, id int) error {
	data, err := os.ReadFile(table)
	if err != nil {
		return err
	}
	user := os.Getenv("USER")
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 3 || (f[0] != user && f[0] != fmt.Sprint(os.Getuid())) {
			continue
		}
		return exec.Command(program, fmt.Sprint(pid), "0", fmt.Sprint(id), "1", "1", f[1], f[2]).Run()
	}
	return fmt.Errorf("%s has no ids for this user", table)
}

// execMapped waits until the ids are mapped and starts the tests. The second
// exec matters: only a process whose user is mapped to root keeps its
// capabilities through it.
func execMapped() int {
	kind, err := io.ReadAll(os.NewFile(3, "mapped"))
	if err != nil || len(kind) == 0 {
		return 111
	}
	self, err := os.Executable()
	if err != nil {
		return 111
	}
	env := append(os.Environ(), userNSEnv+"="+string(kind))
	err = syscall.Exec(self, append([]string{self}, os.Args[1:]...), env)
	fmt.Fprintf(os.Stderr, "testhost: exec %s: %v\n", self, err)
	return 111
}
