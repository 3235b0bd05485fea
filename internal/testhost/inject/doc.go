// Package inject makes system calls in the threads of a process that runs, as
// if its code had been taken over: ptrace stops all of its threads, one makes
// the call and returns to where it was. The program notices nothing, and is
// the one that was shipped.
//
// Tests import it; the caller is root and stays on one thread of its own
// (runtime.LockOSThread), since a tracer is a thread.
//
// There is an implementation for amd64 only; the package is empty elsewhere.
//
// Files: inject_linux_amd64.go
package inject
