package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Apply holds all threads to the filter, for ever. The process must have
// no_new_privs. Where the kernel has no filters nothing happens.
func (f Filter) Apply() error {
	if !haveSeccomp() {
		return nil
	}
	program, err := f.compile()
	if err != nil {
		return err
	}
	bpf := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	// A filter would switch protections against speculation on that cost much
	// and that are of no use to programs that run no code of others.
	const flags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&bpf)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	if thread != 0 {
		return fmt.Errorf("seccomp: thread %d has a filter of its own", thread)
	}
	return nil
}

// haveSeccomp tells whether this kernel and this package have filters.
func haveSeccomp() bool {
	if newest == 0 {
		return false
	}
	action := uint32(retErrno)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return errno == 0
}
