//go:build linux && amd64

// Package faultcall makes system calls of real programs fail: it runs a program
// and everything that this starts under a supervisor, which lets the Nth
// matching call of all these processes and threads together fail, transfer one
// byte, be interrupted, or be the last that the process ever makes.
//
// Who may import it: tests only. It imports no package of ours. Needs root (a
// seccomp filter without no_new_privs) and an x86-64.
//
// How: the supervisor is the test binary itself, started again in front of the
// program (Enter). It traces all processes and threads (ptrace(2)); a seccomp
// filter, inherited by all of them, stops only the calls of the table. strace
// counts calls a thread, which says nothing about a Go program, whose
// goroutines change threads.
//
// What a fault is like:
//
//  1. A call that fails is not made, unless the order says After: then it is
//     made, and the program is told that it failed, as network file systems do.
//     close is always made.
//  2. A failed sync is fsync, fdatasync, or a completion of io_submit(2) whose
//     result becomes the error. io_submit itself is another call.
//  3. A kill is SIGKILL to the whole process, before the call or after it.
//  4. The event descriptors by which Go's runtime wakes itself are left alone:
//     the kernel never fails them.
//  5. When the supervisor ends, in whatever way, so do all that it traces.
//
// Files:
//
//	order.go       what the test orders and is told
//	calls.go       the system calls, their classes and the errors they give
//	supervisor.go  the test's end: start, Arm, Disarm, events
//	enter.go       the test binary as supervisor and as launcher; the filter
//	tracer.go      stops and resumptions
//	inject.go      what is done to a call
//	target.go      what a call is about: names of files and descriptors
package faultcall
