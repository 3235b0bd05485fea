package priv

import (
	"golang.org/x/sys/unix"

	"postrider/internal/sandbox"
)

// onThisMachine are the calls that have a name of their own here.
var onThisMachine = []sandbox.Rule{{Call: unix.SYS_FSTATAT}}
