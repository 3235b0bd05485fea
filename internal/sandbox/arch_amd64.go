package sandbox

import "golang.org/x/sys/unix"

const (
	// machine is what a call of this architecture is marked with. Calls of
	// i386, which every amd64 process can make as well, are refused.
	machine = unix.AUDIT_ARCH_X86_64
	// newest is the last system call that this package knows of.
	newest = unix.SYS_RSEQ_SLICE_YIELD
	// foreign is where the numbers of the x32 interface begin.
	foreign = 0x40000000
)
