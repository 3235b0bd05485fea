//go:build amd64 || arm64

package priv

import (
	"golang.org/x/sys/unix"

	"postrider/internal/sandbox"
)

// plain are the calls that every confined program may make: the Go runtime's,
// and those on descriptors that it has.
var plain = []uint32{
	// memory, threads, time
	unix.SYS_MUNMAP, unix.SYS_MADVISE, unix.SYS_MREMAP, unix.SYS_MINCORE, unix.SYS_BRK,
	unix.SYS_FUTEX, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME, unix.SYS_GETTIMEOFDAY,
	unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ, unix.SYS_MEMBARRIER,
	unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK, unix.SYS_RESTART_SYSCALL,
	unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
	// about itself and the machine
	unix.SYS_GETPID, unix.SYS_GETPPID, unix.SYS_GETTID, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID,
	unix.SYS_GETRANDOM, unix.SYS_UNAME, unix.SYS_SYSINFO, unix.SYS_GETRUSAGE,
	// descriptors
	unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PREAD64, unix.SYS_PWRITE64,
	unix.SYS_LSEEK, unix.SYS_CLOSE, unix.SYS_DUP, unix.SYS_DUP3, unix.SYS_PIPE2,
	unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_PWAIT2, unix.SYS_EVENTFD2, unix.SYS_PPOLL,
	unix.SYS_SENDFILE, unix.SYS_SPLICE,
	// sockets that it was given
	unix.SYS_ACCEPT4, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME, unix.SYS_GETSOCKOPT, unix.SYS_SETSOCKOPT,
	unix.SYS_RECVFROM, unix.SYS_RECVMSG, unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SHUTDOWN,
	// files: Landlock says which
	unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_READLINKAT, unix.SYS_GETDENTS64, unix.SYS_GETCWD, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2,
	unix.SYS_STATX, unix.SYS_FSTAT, unix.SYS_STATFS, unix.SYS_FSTATFS,
}

// onlySo are calls that every confined program may make in one way.
func onlySo(pid int) []sandbox.Rule {
	one := func(call uint32, arg int, values ...uint32) sandbox.Rule {
		return sandbox.Rule{Call: call, If: []sandbox.Condition{{Arg: arg, Values: values}}}
	}
	mayNot := func(call uint32, arg int, bits uint32) sandbox.Rule {
		return sandbox.Rule{Call: call, If: []sandbox.Condition{{Arg: arg, Mask: bits, Values: []uint32{0}}}}
	}
	const spaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
		unix.CLONE_NEWPID | unix.CLONE_NEWNET
	return []sandbox.Rule{
		// Threads, and no processes. The flags of clone3 are out of sight.
		{Call: unix.SYS_CLONE, If: []sandbox.Condition{{Arg: 0, Mask: spaces | unix.CLONE_THREAD, Values: []uint32{unix.CLONE_THREAD}}}},
		{Call: unix.SYS_CLONE3, Never: true, Errno: unix.ENOSYS},
		// No code but that of the program.
		mayNot(unix.SYS_MMAP, 2, unix.PROT_EXEC),
		mayNot(unix.SYS_MPROTECT, 2, unix.PROT_EXEC),
		// Signals to itself, as the runtime interrupts its threads.
		one(unix.SYS_TGKILL, 0, uint32(pid)),
		one(unix.SYS_KILL, 0, uint32(pid)),
		// The runtime names its memory.
		one(unix.SYS_PRCTL, 0, unix.PR_SET_VMA),
		// Limits are read, of this process only.
		{Call: unix.SYS_PRLIMIT64, If: []sandbox.Condition{
			{Arg: 0, Values: []uint32{0, uint32(pid)}},
			{Arg: 2, Values: []uint32{0}}, {Arg: 2, Upper: true, Values: []uint32{0}},
		}},
		// Not those that have signals sent to others.
		one(unix.SYS_FCNTL, 1, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL, unix.F_DUPFD, unix.F_DUPFD_CLOEXEC,
			unix.F_GETLK, unix.F_SETLK, unix.F_SETLKW, unix.F_OFD_GETLK, unix.F_OFD_SETLK, unix.F_OFD_SETLKW,
			unix.F_ADD_SEALS, unix.F_GET_SEALS),
		// How much waits to be read.
		one(unix.SYS_IOCTL, 1, unix.SIOCINQ),
		one(unix.SYS_SOCKETPAIR, 0, unix.AF_UNIX),
	}
}

var changeFiles = []uint32{
	unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_MKDIRAT, unix.SYS_LINKAT,
	unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_FCHMOD, unix.SYS_UTIMENSAT, unix.SYS_FLOCK, unix.SYS_COPY_FILE_RANGE,
	unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNCFS, unix.SYS_SYNC_FILE_RANGE,
	unix.SYS_IO_SETUP, unix.SYS_IO_SUBMIT, unix.SYS_IO_GETEVENTS, unix.SYS_IO_DESTROY,
}

// filter returns what a program with these calls may do, as process pid.
func (c Calls) filter(pid int) sandbox.Filter {
	f := sandbox.Filter{Rules: append(onlySo(pid), onThisMachine...)}
	allow := func(calls ...uint32) {
		for _, call := range calls {
			f.Rules = append(f.Rules, sandbox.Rule{Call: call})
		}
	}
	allow(plain...)
	if c&ChangeFiles != 0 {
		allow(changeFiles...)
	}
	if c&WatchFiles != 0 {
		allow(unix.SYS_INOTIFY_INIT1, unix.SYS_INOTIFY_ADD_WATCH, unix.SYS_INOTIFY_RM_WATCH)
	}
	if c&MakeMessages != 0 {
		allow(unix.SYS_MEMFD_CREATE)
		if c&ChangeFiles == 0 {
			allow(unix.SYS_FTRUNCATE)
		}
	}
	if c&Internet != 0 {
		allow(unix.SYS_CONNECT)
	}
	if families := c.families(); families != nil {
		allow(unix.SYS_BIND)
		f.Rules = append(f.Rules, sandbox.Rule{Call: unix.SYS_SOCKET, If: []sandbox.Condition{
			{Arg: 0, Values: families},
			// Not MPTCP, of which Landlock does not know.
			{Arg: 2, Values: []uint32{0, unix.IPPROTO_TCP, unix.IPPROTO_UDP}},
		}})
	}
	return f
}

// families are those of the sockets that a program may make.
func (c Calls) families() (list []uint32) {
	if c&(AskKernel|Internet) != 0 {
		list = append(list, unix.AF_NETLINK)
	}
	if c&Internet != 0 {
		list = append(list, unix.AF_INET, unix.AF_INET6)
	}
	return list
}
