package priv

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/handover"
	"postrider/internal/listenfds"
	"postrider/internal/qmailhome"
)

// controlFD is the control channel of a daemon (internal/wire/parent) or of a
// qmail-local worker (internal/wire/localwork).
const controlFD = 3

// Enter is the first statement of a daemon's main. It refuses an identity that
// is not that of the table, and takes away what the program does not need, in
// this order: identity, descriptors, umask, directory, signals, capabilities,
// no_new_privs, dumps, files and ports, system calls.
//
// Where a program has a classic form and was not started by its own parent,
// identity, umask, directory and descriptors are its caller's business.
func Enter(program string) error {
	role, found := RoleOf(program)
	if !found {
		return fmt.Errorf("%s is not in the table of programs", program)
	}
	if role.Classic && !fdpass.IsPacketSocket(controlFD) {
		catchPipe()
		return nil
	}
	in, err := Examine(qmailhome.Dir)
	if err != nil {
		return err
	}
	if role, err = in.Chosen(role); err != nil {
		return err
	}
	if err := in.check(role); err != nil {
		return err
	}
	expected := []int{controlFD}
	if program == "qmail-start" {
		if expected, err = handed(os.Environ(), os.Getpid()); err != nil {
			return err
		}
	}
	if err := closeInherited(expected); err != nil {
		return err
	}
	unix.Umask(role.Umask)
	if err := os.Chdir(in.dir(role)); err != nil {
		return err
	}
	catchPipe()
	policy, err := in.Policy()
	if err != nil {
		return err
	}
	if in.Private {
		role.Caps = nil // there is nothing to take away
	}
	if err := restrict(role, policy); err != nil {
		return err
	}
	return in.confine(role, policy)
}

// handed returns the descriptors that qmail-start was given by whoever started
// it: by its predecessor, or as listening sockets.
func handed(environ []string, pid int) ([]int, error) {
	fds, err := handover.Descriptors(environ, pid)
	if err != nil || fds != nil {
		return fds, err
	}
	count, err := listenfds.Count(environ, pid)
	for i := range count {
		fds = append(fds, listenfds.First+i)
	}
	return fds, err
}

// catchPipe makes a write to a closed pipe an error. The signal is caught and
// not ignored: children would inherit that (invariant 3).
func catchPipe() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// check compares the identity of this process with the table.
func (in Installation) check(role Role) error {
	got, err := current()
	if err != nil {
		return err
	}
	switch {
	case in.Private:
		return in.checkPrivate(got)
	case role.Program == "qmail-start":
		return in.checkStart(got)
	case role.User == "":
		return got.checkRecipient()
	}
	want, err := role.Identity()
	if err != nil {
		return err
	}
	if !got.is(want.UID, want.GID, want.Groups) {
		return fmt.Errorf("runs as %v, but must run as %s:%s (uid %d gid %d groups %v): it is started by qmail-start",
			got, role.User, role.Group, want.UID, want.GID, want.Groups)
	}
	return got.checkCaps(role.Caps)
}

func (in Installation) checkPrivate(got credentials) error {
	if got.uid != [3]uint32{in.UID, in.UID, in.UID} {
		return fmt.Errorf("runs as %v, but %s belongs to uid %d: start it as that user, or make root the directory's owner",
			got, in.Home, in.UID)
	}
	return nil
}

func (in Installation) checkStart(got credentials) error {
	if got.uid != [3]uint32{} {
		return fmt.Errorf("runs as %v, but %s belongs to root: start it as root", got, in.Home)
	}
	return nil
}

// credentials are those of the calling thread; in a Go program that did not
// change them they are every thread's.
type credentials struct {
	uid, gid [3]uint32 // real, effective, saved
	groups   []uint32
	caps     uint64 // permitted, effective or ambient
}

func (c credentials) String() string {
	return fmt.Sprintf("uid %d gid %d groups %v (effective uid %d gid %d)", c.uid[0], c.gid[0], c.groups, c.uid[1], c.gid[1])
}

func current() (credentials, error) {
	var c credentials
	ruid, euid, suid := unix.Getresuid()
	rgid, egid, sgid := unix.Getresgid()
	c.uid = [3]uint32{uint32(ruid), uint32(euid), uint32(suid)}
	c.gid = [3]uint32{uint32(rgid), uint32(egid), uint32(sgid)}
	groups, err := unix.Getgroups()
	if err != nil {
		return c, os.NewSyscallError("getgroups", err)
	}
	for _, g := range groups {
		c.groups = append(c.groups, uint32(g))
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return c, os.NewSyscallError("capget", err)
	}
	c.caps = uint64(data[0].Permitted|data[0].Effective) | uint64(data[1].Permitted|data[1].Effective)<<32
	return c, nil
}

func (c credentials) is(uid, gid uint32, groups []uint32) bool {
	return c.uid == [3]uint32{uid, uid, uid} && c.gid == [3]uint32{gid, gid, gid} && sameGroups(c.groups, groups)
}

// checkRecipient is the check of a program that runs as whoever gets the mail:
// one user with one group and no rights of anybody else (spec 10, R80).
func (c credentials) checkRecipient() error {
	if c.uid[0] == 0 || !c.is(c.uid[0], c.gid[0], nil) {
		return fmt.Errorf("runs as %v, but must run as one user other than root, in that user's group only", c)
	}
	return c.checkCaps(nil)
}

func (c credentials) checkCaps(caps []uintptr) error {
	var want uint64
	for _, bit := range caps {
		want |= 1 << bit
	}
	if c.caps != want {
		return fmt.Errorf("has the capabilities %#x, but must have %#x: it is started by qmail-start", c.caps, want)
	}
	return nil
}

// restrict takes away, in every thread, what neither the program nor what it
// starts may use.
func restrict(role Role, policy Policy) error {
	if len(role.Caps) > 0 {
		if err := keepCaps(role, policy); err != nil {
			return err
		}
	}
	if role.Confined || !policy.SetuidPrograms {
		if err := allThreads("prctl PR_SET_NO_NEW_PRIVS", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
			return err
		}
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl PR_SET_DUMPABLE", err)
	}
	if !role.Confined {
		return nil // its limits are those of users' programs
	}
	return os.NewSyscallError("setrlimit RLIMIT_CORE", unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}))
}

// keepCaps takes all capabilities but the role's, and empties the sets that
// survive exec: the kernel does not do that when a process changes from one
// user to another, only from root.
func keepCaps(role Role, policy Policy) error {
	own, err := current()
	if err != nil {
		return err
	}
	// Root's child has the bounding set of its own thread (Bound), root the
	// one it was started with. A setuid program of a user would need it.
	if role.Program == "qmail-start" && !policy.SetuidPrograms && own.caps&(1<<unix.CAP_SETPCAP) != 0 {
		for bit := range unboundedBy(role.Caps) {
			if err := allThreads("prctl PR_CAPBSET_DROP", unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, bit); err != nil {
				return err
			}
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	for _, bit := range role.Caps {
		if own.caps&(1<<bit) != 0 {
			data[bit/32].Permitted |= 1 << (bit % 32)
			data[bit/32].Effective |= 1 << (bit % 32)
		}
	}
	// Without inheritable there is no ambient capability.
	return allThreads("capset", unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])))
}

//go:uintptrescapes
func allThreads(name string, trap, a1, a2 uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(trap, a1, a2, 0, 0, 0, 0)
	if errno != 0 {
		return os.NewSyscallError(name, errno)
	}
	return nil
}
