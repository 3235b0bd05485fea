package priv

import (
	"golang.org/x/sys/unix"

	"postrider/internal/sandbox"
)

// onThisMachine are the calls that have a name of their own here. The runtime
// sets the register of a new thread.
var onThisMachine = []sandbox.Rule{
	{Call: unix.SYS_ARCH_PRCTL, If: []sandbox.Condition{{Arg: 0, Values: []uint32{archSetFS}}}},
	{Call: unix.SYS_NEWFSTATAT}, {Call: unix.SYS_EPOLL_WAIT}, {Call: unix.SYS_POLL}, {Call: unix.SYS_GETRLIMIT},
}

const archSetFS = 0x1002
