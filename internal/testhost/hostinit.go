package testhost

import (
	"fmt"
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
)

// initName is the argv[0] by which the test binary knows that it shall be a
// host's init: process 1 of new namespaces, with the agent socket as
// descriptor 3.
const initName = "testhost-init"

// runInit is a host's init. It ends when the test's end of the socket is
// closed, by intention or because the test died, and with it ends every
// process of the host, every mount, the disk and the network link.
func runInit() int {
	// Not even what the test itself inherited by accident reaches the host.
	err := unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
	if err == nil {
		err = unix.SetNonblock(3, true)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: no agent socket: %v\n", initName, err)
		return 111
	}
	packets, err := fdpass.NewPackets(os.NewFile(3, "agent"))
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", initName, err)
		return 111
	}
	if err := serveAgent(packets, newChildren(singleUser())); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", initName, err)
	}
	// Process 1 signals everybody but itself; the kernel would do the same
	// when it ends, only without order.
	_ = syscall.Kill(-1, syscall.SIGKILL)
	return 0
}
