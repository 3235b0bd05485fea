package sandbox

import "golang.org/x/sys/unix"

const (
	machine = unix.AUDIT_ARCH_AARCH64
	newest  = unix.SYS_RSEQ_SLICE_YIELD
	foreign = 0 // there is no second interface
)
