// Package sandbox has the kernel hold a process to what it needs: which files
// it opens (Landlock), which TCP ports it uses (Landlock), which system calls
// it makes (seccomp). Whoever takes the process over can undo none of it.
//
// internal/priv is the one importer: what each program needs stands in its
// table. Landlock is github.com/landlock-lsm/go-landlock. The filter is
// compiled here: the libraries for it bring tables of all calls of all
// machines and configuration languages along.
//
// Invariants:
//
//  1. What is applied holds in every thread, also in those that exist already.
//  2. A call that is refused returns an error, EPERM; nothing is killed. A
//     call that is newer than this package returns ENOSYS, as on a kernel
//     without it, so that a newer Go runtime falls back to an older way.
//  3. What the kernel does not have is left out and told by Missing: a sandbox
//     that is incomplete is no reason to stop mail. Everything else that goes
//     wrong is an error.
//
// Files: landlock_linux.go (files and ports), filter.go (from rules to a BPF
// program), seccomp_linux.go (its installation), arch_*.go (what differs
// between machines), missing_linux.go (what this kernel does not have).
package sandbox
