package testhost

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// namespace is a network namespace, held open by a descriptor. It has no name
// anywhere and vanishes with its last descriptor and process.
type namespace struct{ f *os.File }

const threadNetNS = "/proc/thread-self/ns/net"

// newNamespace makes an empty network namespace.
func newNamespace() (namespace, error) {
	var ns namespace
	err := onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare network: %w", err)
		}
		var err error
		ns.f, err = os.Open(threadNetNS)
		return err
	})
	return ns, err
}

// namespaceOf opens the network namespace of a process.
func namespaceOf(pid int) (namespace, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	return namespace{f}, err
}

func (ns namespace) close() { ns.f.Close() }

// do runs f on a thread that is in the namespace. Sockets that f makes and
// programs that f starts stay there; goroutines that f starts do not.
func (ns namespace) do(f func() error) error {
	return onOwnThread(func() error {
		if err := unix.Setns(int(ns.f.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return f()
	})
}

// onOwnThread runs f on a thread whose network namespace it may change, and
// puts the thread back or lets it end.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open(threadNetNS)
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		defer home.Close()
		result := f()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		} // else the thread ends with this goroutine
		done <- result
	}()
	return <-done
}

// ip runs lines of iproute2's "ip -batch" in the namespace.
func (ns namespace) ip(lines ...string) error {
	return ns.run("ip", strings.Join(lines, "\n")+"\n", "-batch", "-")
}

func (ns namespace) run(program, stdin string, args ...string) error {
	return ns.do(func() error {
		cmd := exec.Command(program, args...)
		if path, err := exec.LookPath("/usr/sbin/" + program); err == nil && cmd.Err != nil {
			cmd.Path, cmd.Err = path, nil
		}
		cmd.Stdin = strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s%s", program, err, stdin, out)
		}
		return nil
	})
}
