package faulttest

import (
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Run calls do on a thread of its own on which a system call fails. What do
// starts by itself, with go, runs on others, which are well; a program that it
// starts is under the filter, too. do reports by t.Error: a t.Fatal in it ends it
// and not the test.
func Run(t testing.TB, call uint32, errno unix.Errno, do func()) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // for ever: the thread ends with it
		if Fail(t, call, errno) {
			do()
		}
	}()
	<-ended
}

// Fail, within Run, has one more call fail from now on, and reports whether it
// will.
func Fail(t testing.TB, call uint32, errno unix.Errno) bool {
	t.Helper()
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: call},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	list := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Errorf("no new privileges: %v", err)
		return false
	}
	_, _, failed := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&list)))
	if failed != 0 {
		t.Errorf("filter: %v", failed)
	}
	return failed == 0
}
