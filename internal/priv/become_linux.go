//go:build amd64 || arm64

package priv

import (
	"slices"

	"golang.org/x/sys/unix"

	"postrider/internal/sandbox"
)

func (n Nobodies) filter() sandbox.Filter {
	uid := func(arg int) []sandbox.Condition {
		return []sandbox.Condition{
			{Arg: arg, Test: sandbox.AtLeast, Values: []uint32{max(1, n.Below)}},
			{Arg: arg, Test: sandbox.NotIn, Values: n.UIDs},
		}
	}
	gid := func(arg int) []sandbox.Condition {
		return []sandbox.Condition{{Arg: arg, Test: sandbox.NotIn, Values: n.GIDs}}
	}
	// Who makes a user namespace can name anybody's uid in it.
	noNamespace := []sandbox.Condition{{Arg: 0, Mask: unix.CLONE_NEWUSER, Values: []uint32{0}}}
	return sandbox.Filter{Else: true, Rules: []sandbox.Rule{
		{Call: unix.SYS_SETUID, If: uid(0)},
		{Call: unix.SYS_SETREUID, If: slices.Concat(uid(0), uid(1))},
		{Call: unix.SYS_SETRESUID, If: slices.Concat(uid(0), uid(1), uid(2))},
		{Call: unix.SYS_SETFSUID, If: uid(0)},
		{Call: unix.SYS_SETGID, If: gid(0)},
		{Call: unix.SYS_SETREGID, If: slices.Concat(gid(0), gid(1))},
		{Call: unix.SYS_SETRESGID, If: slices.Concat(gid(0), gid(1), gid(2))},
		{Call: unix.SYS_SETFSGID, If: gid(0)},
		{Call: unix.SYS_SETGROUPS, Never: true},
		{Call: unix.SYS_UNSHARE, If: noNamespace},
		{Call: unix.SYS_CLONE, If: noNamespace},
		{Call: unix.SYS_CLONE3, Never: true, Errno: unix.ENOSYS},
	}}
}
