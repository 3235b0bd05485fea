package sandbox

import (
	"fmt"
	"runtime"
)

// Missing says what this kernel does not have, in words for the log; nothing
// if it has all.
func Missing() []string { return missing(landlockVersion(), haveSeccomp()) }

func missing(abi int, seccomp bool) []string {
	var list []string
	switch {
	case abi == 0:
		list = append(list, "no Landlock (needs Linux 5.19 with CONFIG_SECURITY_LANDLOCK and landlock in lsm=): files and ports are not confined")
	case abi < abiFiles:
		list = append(list, fmt.Sprintf("version %d of Landlock (needs %d, Linux 5.19): files and ports are not confined", abi, abiFiles))
	case abi < abiPorts:
		list = append(list, fmt.Sprintf("version %d of Landlock (needs %d, Linux 6.7, for all): ports are not confined", abi, abiPorts))
	}
	if !seccomp {
		list = append(list, "no seccomp filters on "+runtime.GOARCH+" (needs Linux 4.14 with CONFIG_SECCOMP_FILTER): system calls are not confined")
	}
	return list
}
