//go:build linux && amd64

package faultcall

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The first argument by which the test binary knows what it shall be.
const (
	supervisorName = "faultcall-supervisor"
	launcherName   = "faultcall-launcher"
)

// orderFD is where the supervisor finds its socket.
const orderFD = 3

// Prefix is what to put in front of a command line so that it runs under a
// supervisor. binary is the test binary as the command will find it.
func Prefix(binary string) []string { return []string{binary, supervisorName} }

// Enter does the supervisor's or the launcher's work if this process is one,
// and does not return then. A package's TestMain calls it first.
func Enter() {
	if len(os.Args) < 3 {
		return
	}
	var err error
	switch os.Args[1] {
	case supervisorName:
		err = supervise(os.Args[2:])
	case launcherName:
		err = launch(os.Args[2:])
	default:
		return
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
	os.Exit(111)
}

// supervise runs a command line until all of its processes have ended, and ends
// as the first of them did.
func supervise(argv []string) error {
	runtime.LockOSThread() // who traces is a thread
	unix.CloseOnExec(orderFD)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o := newOrders(os.NewFile(orderFD, "orders"))
	t := newTracer(func(e Event) { o.tell(report{Event: &e}) })
	if _, err := o.next(t); err != nil {
		return err
	}
	go o.serve(t)
	pid, err := syscall.ForkExec("/proc/self/exe", append([]string{self, launcherName}, argv...), &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Ptrace: true},
	})
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGALRM)
	go func() {
		for s := range signals {
			_ = syscall.Kill(pid, s.(syscall.Signal)) // has ended: then all will soon
		}
	}()
	status, err := t.run(pid)
	if err != nil {
		return err
	}
	if status.Signaled() {
		signal.Reset()
		_ = syscall.Kill(os.Getpid(), status.Signal())
		os.Exit(128 + int(status.Signal()))
	}
	os.Exit(status.ExitStatus())
	return nil
}

// launch takes on the filter and becomes the program.
func launch(argv []string) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread() // a filter is a thread's, and so is the exec
	filter := filterOf(slices.Sorted(maps.Keys(calls)))
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	return errors.Join(errors.New("exec "+path), syscall.Exec(path, argv, os.Environ()))
}

// filterOf stops the calls of these numbers for the tracer.
func filterOf(numbers []uint64) []unix.SockFilter {
	const (
		numberOffset = 0 // of struct seccomp_data
		archOffset   = 4
	)
	stop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_TRACE}
	allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: archOffset},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.AUDIT_ARCH_X86_64, Jt: 1},
		allow,
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: numberOffset},
	}
	for i, n := range numbers {
		left := uint8(len(numbers) - i - 1)
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(n), Jt: left + 1})
	}
	return append(filter, allow, stop)
}
