package scenario

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"

	"postrider/internal/testhost"
	"postrider/internal/testhost/inject"
)

// inside is one thread of a process that was taken over.
type inside struct {
	*inject.Process
	tid     int
	message string // a queued message
	victim  int    // a process of another user, as the host numbers it
	// unconfined leaves out what the process would not survive.
	unconfined bool
}

// do makes one system call; strings are put into the memory of the process.
func (in *inside) do(number uintptr, args ...any) unix.Errno {
	_, errno := in.get(number, args...)
	return errno
}

func (in *inside) get(number uintptr, args ...any) (uintptr, unix.Errno) {
	words := make([]uintptr, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case int:
			words[i] = uintptr(a)
		case uintptr:
			words[i] = a
		case string:
			words[i] = in.String(a)
		case []byte:
			words[i] = in.Store(a)
		}
	}
	return in.Call(in.tid, number, words...)
}

// open opens a file and closes it again.
func (in *inside) open(path string, flags int) unix.Errno {
	fd, errno := in.get(unix.SYS_OPENAT, unix.AT_FDCWD, path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o600)
	if errno == 0 {
		errno = in.do(unix.SYS_CLOSE, fd)
	}
	return errno
}

// create makes a file and removes it again; one that cannot be removed is no
// failure, since then the right to remove is missing and not that to create.
func (in *inside) create(path string) unix.Errno {
	errno := in.open(path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY)
	if errno == 0 {
		in.do(unix.SYS_UNLINKAT, unix.AT_FDCWD, path, 0)
	}
	return errno
}

// socket makes a socket, uses it, and closes it.
func (in *inside) socket(family, kind, protocol int, use func(fd uintptr) unix.Errno) unix.Errno {
	fd, errno := in.get(unix.SYS_SOCKET, family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if errno != 0 {
		return errno
	}
	if use != nil {
		errno = use(fd)
	}
	in.do(unix.SYS_CLOSE, fd)
	return errno
}

// vector is a struct iovec for some bytes of its own memory.
func (in *inside) vector() uintptr {
	return in.Store(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(in.Store(make([]byte, 8)))), 8))
}

// inet4 is a socket address.
func inet4(port uint16, a, b, c, d byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{unix.AF_INET, 0}, port), a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0)
}

// The programs of the table.
const (
	start  = "qmail-start"
	spool  = "qmail-spool"
	send   = "qmail-send"
	lspawn = "qmail-lspawn"
	local  = "qmail-local"
	remote = "qmail-remote"
	smtpd  = "qmail-smtpd"
	tlskey = "qmail-tlskey"
	auth   = "qmail-auth"
	// checkpass takes the place of auth.
	checkpass = "qmail-checkpass"
	// rspawn takes the place of remote.
	rspawn  = "qmail-rspawn"
	lookup  = "qmail-lookup"
	policy  = "qmail-policy"
	mtasts  = "qmail-mtasts"
	tlsseen = "qmail-tlsseen"
	tlsrpt  = "qmail-tlsrpt"
	tlspost = "qmail-tlspost"
	qmtpd   = "qmail-qmtpd"
	qmqpd   = "qmail-qmqpd"
	filter  = "qmail-filter"
	nss     = "qmail-nss"
	vlookup = "qmail-vlookup"
	metrics = "qmail-metrics"
)

// operation is something that a process that was taken over may try.
type operation struct {
	name string
	try  func(*inside) unix.Errno
	// allowed are the programs that can; every other one is refused.
	allowed []string
	// confined says that it is tried from the confined programs alone: who
	// runs programs of users may do what those may.
	confined bool
	// final is what a process that can do it does not survive.
	final bool
	// except are the programs that can and that would not be the same again.
	except []string
}

// confinedPrograms start nothing.
var confinedPrograms = []string{spool, send, remote, smtpd, qmtpd, qmqpd, tlskey, auth, lookup, vlookup, policy, mtasts, tlsseen, tlsrpt, tlspost, metrics}

func (o operation) concerns(program string) bool {
	return (!o.confined || slices.Contains(confinedPrograms, program)) && !slices.Contains(o.except, program)
}

// call is an operation that is one system call.
func call(number uintptr, args ...any) func(*inside) unix.Errno {
	return func(in *inside) unix.Errno { return in.do(number, args...) }
}

func opens(path string, flags int) func(*inside) unix.Errno {
	return func(in *inside) unix.Errno { return in.open(path, flags) }
}

// makes is an operation that is one system call which makes a descriptor.
func makes(number uintptr, args ...any) func(*inside) unix.Errno {
	return func(in *inside) unix.Errno {
		fd, errno := in.get(number, args...)
		if errno == 0 {
			errno = in.do(unix.SYS_CLOSE, fd)
		}
		return errno
	}
}

func creates(path string) func(*inside) unix.Errno {
	return func(in *inside) unix.Errno { return in.create(path) }
}

func sockets(family, kind, protocol int) func(*inside) unix.Errno {
	return func(in *inside) unix.Errno { return in.socket(family, kind, protocol, nil) }
}

// operations returns all that is tried.
func operations() []operation {
	return slices.Concat(queueOperations(), fileOperations(), networkOperations(), processOperations(), identityOperations(), kernelOperations())
}

const queue = "/var/qmail/queue"

func queueOperations() []operation {
	message := func(flags int) func(*inside) unix.Errno {
		return func(in *inside) unix.Errno { return in.open(in.message, flags) }
	}
	list := unix.O_RDONLY | unix.O_DIRECTORY
	return []operation{
		{name: "read a queued message", try: message(unix.O_RDONLY), allowed: []string{spool, send}},
		{name: "write a queued message", try: message(unix.O_WRONLY), allowed: []string{spool}},
		{name: "cut a queued message off", try: func(in *inside) unix.Errno {
			return in.do(unix.SYS_TRUNCATE, in.message+".none", 0)
		}, confined: true},
		{name: "list queue/new", try: opens(queue+"/new/00", list), allowed: []string{spool, send}},
		{name: "list queue/info", try: opens(queue+"/info/00", list), allowed: []string{send}},
		{name: "list queue/bad", try: opens(queue+"/bad", list), allowed: []string{spool}},
		{name: "list queue/drop", try: opens(queue+"/drop", list), allowed: []string{spool}},
		{name: "create in queue/tmp", try: creates(queue + "/tmp/probe"), allowed: []string{spool}},
		{name: "create in queue/new", try: creates(queue + "/new/00/probe"), allowed: []string{spool}},
		{name: "create in queue/info", try: creates(queue + "/info/00/probe"), allowed: []string{send}},
		{name: "create in queue", try: creates(queue + "/probe")},
		{name: "take the spool's lock", try: opens(queue+"/lock/spool", unix.O_RDWR), allowed: []string{spool}},
		{name: "take the scheduler's lock", try: opens(queue+"/lock/sendmutex", unix.O_WRONLY), allowed: []string{send}},
		{name: "change the table of hosts that time out", try: opens(queue+"/lock/tcpto", unix.O_RDWR), allowed: []string{remote, rspawn}},
		{name: "make a directory in queue/tmp", try: call(unix.SYS_MKDIRAT, unix.AT_FDCWD, queue+"/tmp/probe", 0o700)},
		{name: "make a link in queue/new", try: call(unix.SYS_SYMLINKAT, "/etc/passwd", unix.AT_FDCWD, queue+"/new/00/probe")},
	}
}

func fileOperations() []operation {
	read, write := unix.O_RDONLY, unix.O_WRONLY
	outside := []string{start, lspawn, local, checkpass, rspawn, filter, nss}
	public := append([]string{lookup, vlookup}, outside...) // who may read what everybody may
	reads := append([]string{spool, remote, policy, mtasts, tlsrpt, tlspost}, public...)
	return []operation{
		{name: "read /etc/passwd", try: opens("/etc/passwd", read), allowed: reads},
		{name: "read /etc/resolv.conf", try: opens("/etc/resolv.conf", read), allowed: append([]string{remote, policy, mtasts, tlsrpt, tlspost}, public...)},
		{name: "read /etc/shadow", try: opens("/etc/shadow", read), allowed: []string{start}},
		{name: "write /etc/passwd", try: opens("/etc/passwd", write), allowed: []string{start}},
		{name: "read control/me", try: opens("/var/qmail/control/me", read), allowed: append([]string{spool, send, remote, tlsrpt, smtpd, qmtpd, qmqpd}, public...)},
		{name: "write control/me", try: opens("/var/qmail/control/me", write), allowed: []string{start}},
		{name: "create among messages for filters", try: creates("/var/qmail/filter/probe"), allowed: []string{filter}},
		{name: "create in control", try: creates("/var/qmail/control/probe"), allowed: []string{start}},
		{name: "read users/assign", try: opens("/var/qmail/users/assign", read), allowed: append([]string{auth}, public...)},
		{name: "read passwords", try: opens(testhost.PasswordFile, read), allowed: []string{start, auth}},
		{name: "write passwords", try: opens(testhost.PasswordFile, write), allowed: []string{start}},
		{name: "read a key", try: opens("/var/qmail/control/probe.key", read), allowed: []string{start}},
		{name: "read the key of TLS", try: opens(testhost.CertFile, read), allowed: []string{start}},
		{name: "write a program", try: opens("/var/qmail/bin/newaliases", write), allowed: []string{start}},
		{name: "read a user's file", try: opens("/home/alice/secret", read), allowed: []string{local}},
		{name: "create in a user's home", try: creates("/home/alice/probe"), allowed: []string{local}},
		{name: "read another user's file", try: opens("/home/bob/secret", read)},
		{name: "create in another user's home", try: creates("/home/bob/probe")},
		{name: "create in policy", try: creates("/var/qmail/policy/probe"), allowed: []string{policy}},
		{name: "create in mtasts", try: creates("/var/qmail/mtasts/probe"), allowed: []string{mtasts}},
		{name: "create in tlsrpt", try: creates("/var/qmail/tlsrpt/probe"), allowed: []string{tlsrpt}},
		{name: "create in tlsseen", try: creates("/var/qmail/tlsseen/probe"), allowed: []string{tlsseen}},
		{name: "create in /tmp", try: creates("/tmp/probe"), allowed: outside},
		{name: "make a directory", try: call(unix.SYS_MKDIRAT, unix.AT_FDCWD, "/tmp/probe.d", 0o700), confined: true},
		{name: "make a FIFO", try: call(unix.SYS_MKNODAT, unix.AT_FDCWD, "/tmp/probe.f", unix.S_IFIFO|0o600, 0), confined: true},
		{name: "make a symbolic link", try: call(unix.SYS_SYMLINKAT, "/etc/passwd", unix.AT_FDCWD, "/tmp/probe.s"), confined: true},
		{name: "make a hard link", try: call(unix.SYS_LINKAT, unix.AT_FDCWD, "/etc/passwd", unix.AT_FDCWD, "/etc/probe.l", 0), confined: true},
		{name: "rename", try: call(unix.SYS_RENAMEAT, unix.AT_FDCWD, "/etc/passwd", unix.AT_FDCWD, "/etc/probe"), confined: true},
		{name: "remove", try: call(unix.SYS_UNLINKAT, unix.AT_FDCWD, "/etc/passwd", 0), confined: true},
		{name: "chmod", try: call(unix.SYS_FCHMODAT, unix.AT_FDCWD, "/etc/passwd", 0o644), allowed: []string{start}},
		{name: "chown", try: call(unix.SYS_FCHOWNAT, unix.AT_FDCWD, "/home/bob/secret", 0, 0, 0)},
		{name: "set an attribute", try: call(unix.SYS_SETXATTR, "/tmp", "user.probe", "x", 1, 0), confined: true},
		{name: "make a device", try: call(unix.SYS_MKNODAT, unix.AT_FDCWD, "/tmp/probe.b", unix.S_IFBLK|0o600, 0x700)},
		{name: "write its own memory", try: opens("/proc/self/mem", unix.O_RDWR), confined: true},
		{name: "read init's environment", try: opens("/proc/1/environ", read)},
		{name: "read init's memory", try: opens("/proc/1/mem", read)},
		{name: "write a setting of the kernel", try: opens("/proc/sys/kernel/hostname", write), confined: true},
		{name: "open by handle", try: call(unix.SYS_OPEN_BY_HANDLE_AT, unix.AT_FDCWD, []byte{8, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}, 0)},
		{name: "watch files", try: makes(unix.SYS_INOTIFY_INIT1, unix.IN_CLOEXEC), allowed: []string{spool}, confined: true},
		{name: "make memory with a name", try: makes(unix.SYS_MEMFD_CREATE, "probe", unix.MFD_CLOEXEC), allowed: []string{send}, confined: true},
	}
}

func networkOperations() []operation {
	tcp := func(use func(in *inside, fd uintptr) unix.Errno) func(*inside) unix.Errno {
		return func(in *inside) unix.Errno {
			return in.socket(unix.AF_INET, unix.SOCK_STREAM, 0, func(fd uintptr) unix.Errno { return use(in, fd) })
		}
	}
	unixSocket := func(address string) func(*inside) unix.Errno {
		return func(in *inside) unix.Errno {
			return in.socket(unix.AF_UNIX, unix.SOCK_STREAM, 0, func(fd uintptr) unix.Errno {
				return in.do(unix.SYS_CONNECT, fd, append([]byte{unix.AF_UNIX, 0}, address...), 2+len(address))
			})
		}
	}
	return []operation{
		{name: "connect by TCP", try: tcp(func(in *inside, fd uintptr) unix.Errno {
			errno := in.do(unix.SYS_CONNECT, fd, inet4(25, 127, 0, 0, 1), 16)
			if errno == unix.EINPROGRESS {
				return 0
			}
			return errno
		}), allowed: []string{remote}, confined: true},
		{name: "connect a socket that it has", try: func(in *inside) unix.Errno {
			errno := in.do(unix.SYS_CONNECT, 0, inet4(25, 127, 0, 0, 1), 16)
			if errno == unix.ENOTSOCK {
				return 0 // it is /dev/null, and the call is not refused
			}
			return errno
		}, allowed: []string{remote, policy, mtasts, tlsrpt, tlspost}, confined: true},
		{name: "ask a name server by TCP", try: tcp(func(in *inside, fd uintptr) unix.Errno {
			errno := in.do(unix.SYS_CONNECT, fd, inet4(53, 127, 0, 0, 1), 16)
			if errno == unix.EINPROGRESS || errno == unix.ECONNREFUSED {
				return 0 // there is none
			}
			return errno
		}), allowed: []string{remote, policy, mtasts, tlsrpt, tlspost}, confined: true},
		{name: "ask a web server", try: tcp(func(in *inside, fd uintptr) unix.Errno {
			errno := in.do(unix.SYS_CONNECT, fd, inet4(443, 127, 0, 0, 1), 16)
			if errno == unix.EINPROGRESS || errno == unix.ECONNREFUSED {
				return 0 // there is none
			}
			return errno
		}), allowed: []string{remote, mtasts, tlspost}, confined: true},
		{name: "bind a TCP port", try: tcp(func(in *inside, fd uintptr) unix.Errno {
			return in.do(unix.SYS_BIND, fd, inet4(2525, 127, 0, 0, 1), 16)
		}), confined: true},
		{name: "bind a low TCP port", try: tcp(func(in *inside, fd uintptr) unix.Errno {
			return in.do(unix.SYS_BIND, fd, inet4(26, 127, 0, 0, 1), 16)
		}), allowed: []string{start}},
		{name: "listen", try: tcp(func(in *inside, fd uintptr) unix.Errno { return in.do(unix.SYS_LISTEN, fd, 1) }), confined: true},
		{name: "make a UDP socket", try: sockets(unix.AF_INET6, unix.SOCK_DGRAM, 0), allowed: []string{remote, policy, mtasts, tlsrpt, tlspost}, confined: true},
		{name: "ask the kernel for addresses", try: sockets(unix.AF_NETLINK, unix.SOCK_RAW, 0), allowed: []string{remote, smtpd, policy, mtasts, tlsrpt, tlspost}, confined: true},
		{name: "use MPTCP", try: sockets(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP), confined: true},
		{name: "make a Unix socket", try: sockets(unix.AF_UNIX, unix.SOCK_STREAM, 0), confined: true},
		{name: "connect to the public socket", try: unixSocket(queue + "/submit.sock"), allowed: []string{lspawn, local, checkpass, rspawn, filter, nss, start}},
		{name: "connect to another group's socket", try: unixSocket("/run/probe.sock"), allowed: []string{start}},
		{name: "make a raw socket", try: sockets(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)},
		{name: "make a packet socket", try: sockets(unix.AF_PACKET, unix.SOCK_RAW, 0)},
		{name: "make a socket of VMs", try: sockets(unix.AF_VSOCK, unix.SOCK_STREAM, 0), confined: true},
		{name: "make a socket of the kernel's crypto", try: sockets(unix.AF_ALG, unix.SOCK_SEQPACKET, 0), confined: true},
	}
}

func processOperations() []operation {
	const newChild = int(unix.SIGCHLD)
	return []operation{
		{name: "execute", try: call(unix.SYS_EXECVE, "/bin/true", 0, 0), confined: true, final: true},
		{name: "execute a descriptor", try: call(unix.SYS_EXECVEAT, 0, "", 0, 0, unix.AT_EMPTY_PATH), confined: true, final: true},
		{name: "fork", try: call(unix.SYS_FORK), confined: true},
		{name: "fork by clone", try: call(unix.SYS_CLONE, newChild, 0, 0, 0, 0), confined: true},
		{name: "fork by vfork", try: call(unix.SYS_VFORK), confined: true},
		{name: "fork by clone3", try: call(unix.SYS_CLONE3, make([]byte, 88), 88), confined: true},
		{name: "make a process without a parent", try: call(unix.SYS_CLONE, newChild|unix.CLONE_PARENT, 0, 0, 0, 0), confined: true},
		{name: "make code by mmap", try: call(unix.SYS_MMAP, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, -1, 0), confined: true},
		{name: "make code by mprotect", try: func(in *inside) unix.Errno {
			return in.do(unix.SYS_MPROTECT, in.Store(nil)&^4095, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC)
		}, confined: true},
		{name: "signal another", try: func(in *inside) unix.Errno { return in.do(unix.SYS_KILL, in.victim, 0) }, allowed: []string{start, lspawn}},
		{name: "signal another's thread", try: func(in *inside) unix.Errno { return in.do(unix.SYS_TGKILL, in.victim, in.victim, 0) }, allowed: []string{start, lspawn}},
		{name: "signal everybody", try: call(unix.SYS_KILL, -1, 0), confined: true},
		{name: "queue a signal", try: func(in *inside) unix.Errno {
			return in.do(unix.SYS_RT_SIGQUEUEINFO, in.victim, int(unix.SIGURG), make([]byte, 128))
		}, confined: true},
		{name: "have signals sent to another", try: func(in *inside) unix.Errno { return in.do(unix.SYS_FCNTL, 3, unix.F_SETOWN, in.victim) }, confined: true},
		{name: "hold another by a descriptor", try: func(in *inside) unix.Errno { return in.do(unix.SYS_PIDFD_OPEN, in.victim, 0) }, confined: true},
		{name: "trace another", try: func(in *inside) unix.Errno { return in.do(unix.SYS_PTRACE, unix.PTRACE_ATTACH, in.victim, 0, 0) }},
		{name: "seize another", try: func(in *inside) unix.Errno { return in.do(unix.SYS_PTRACE, unix.PTRACE_SEIZE, in.victim, 0, 0) }},
		{name: "read another's memory", try: func(in *inside) unix.Errno {
			return in.do(unix.SYS_PROCESS_VM_READV, in.victim, in.vector(), 1, in.vector(), 1, 0)
		}},
		{name: "write another's memory", try: func(in *inside) unix.Errno {
			return in.do(unix.SYS_PROCESS_VM_WRITEV, in.victim, in.vector(), 1, in.vector(), 1, 0)
		}},
		{name: "slow another down", try: func(in *inside) unix.Errno { return in.do(unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, in.victim, 19) }},
		{name: "limit another", try: func(in *inside) unix.Errno {
			return in.do(unix.SYS_PRLIMIT64, in.victim, unix.RLIMIT_NOFILE, make([]byte, 16), 0)
		}},
		{name: "limit itself", try: call(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE, make([]byte, 16), 0), confined: true},
		{name: "limit itself in the old way", try: call(unix.SYS_SETRLIMIT, unix.RLIMIT_CORE, make([]byte, 16)), confined: true},
		{name: "allow dumps", try: call(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1), confined: true},
		{name: "allow to be traced", try: call(unix.SYS_PRCTL, unix.PR_SET_PTRACER, -1), confined: true},
		{name: "take filters away", try: call(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, 0), confined: true},
		{name: "type into a terminal", try: call(unix.SYS_IOCTL, 0, unix.TIOCSTI, "x"), confined: true},
	}
}

func identityOperations() []operation {
	return []operation{
		{name: "become root", try: call(unix.SYS_SETUID, 0), allowed: []string{start}},
		{name: "become root by setreuid", try: call(unix.SYS_SETREUID, 0, 0), allowed: []string{start}},
		{name: "become root by setresuid", try: call(unix.SYS_SETRESUID, 0, 0, 0), allowed: []string{start}},
		{name: "become effectively root", try: call(unix.SYS_SETRESUID, -1, 0, -1), allowed: []string{start}},
		{name: "use files as root", try: func(in *inside) unix.Errno {
			before, errno := in.get(unix.SYS_SETFSUID, 0)
			if now, _ := in.get(unix.SYS_SETFSUID, -1); errno == 0 && before != 0 && now != 0 {
				return unix.EPERM // it says so by changing nothing
			}
			return errno
		}, allowed: []string{start}},
		{name: "become root's group", try: call(unix.SYS_SETGID, 0), allowed: []string{start}},
		{name: "become root's group by setregid", try: call(unix.SYS_SETREGID, 0, 0), allowed: []string{start}},
		{name: "become root's group by setresgid", try: call(unix.SYS_SETRESGID, 0, 0, 0), allowed: []string{start}},
		{name: "join groups", try: call(unix.SYS_SETGROUPS, 1, []byte{6, 0, 0, 0}), except: []string{start}},
		{name: "take capabilities", try: func(in *inside) unix.Errno {
			all := make([]byte, 24)
			for i := range all {
				all[i] = 0xff
			}
			return in.do(unix.SYS_CAPSET, []byte{0x22, 0x05, 0x08, 0x20, 0, 0, 0, 0}, all)
		}},
		{name: "change root", try: call(unix.SYS_CHROOT, "/")},
		{name: "make a user namespace", try: call(unix.SYS_UNSHARE, unix.CLONE_NEWUSER), except: []string{start}},
		{name: "make a mount namespace", try: call(unix.SYS_UNSHARE, unix.CLONE_NEWNS)},
		{name: "make a network namespace", try: call(unix.SYS_UNSHARE, unix.CLONE_NEWNET)},
		{name: "fork into a user namespace", try: call(unix.SYS_CLONE, int(unix.SIGCHLD)|unix.CLONE_NEWUSER, 0, 0, 0, 0), except: []string{start}},
		{name: "leave its session", try: call(unix.SYS_SETSID), confined: true},
	}
}

func kernelOperations() []operation {
	return []operation{
		{name: "mount", try: call(unix.SYS_MOUNT, "none", "/mnt", "tmpfs", 0, 0)},
		{name: "unmount", try: call(unix.SYS_UMOUNT2, "/proc", unix.MNT_DETACH)},
		{name: "make a file system", try: call(unix.SYS_FSOPEN, "tmpfs", 0)},
		{name: "pivot root", try: call(unix.SYS_PIVOT_ROOT, "/", "/")},
		{name: "set the host's name", try: call(unix.SYS_SETHOSTNAME, "x", 1)},
		{name: "set the clock", try: call(unix.SYS_CLOCK_SETTIME, unix.CLOCK_REALTIME, make([]byte, 16))},
		{name: "set the time of day", try: call(unix.SYS_SETTIMEOFDAY, []byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0)},
		{name: "restart the machine", try: call(unix.SYS_REBOOT, 0, 0, 0, 0)},
		{name: "load a module", try: call(unix.SYS_INIT_MODULE, "", 0, "")},
		{name: "load a module's file", try: call(unix.SYS_FINIT_MODULE, 0, "", 0)},
		{name: "unload a module", try: call(unix.SYS_DELETE_MODULE, "probe", 0)},
		{name: "load a kernel", try: call(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0)},
		{name: "swap", try: call(unix.SYS_SWAPON, "/probe", 0)},
		{name: "account", try: call(unix.SYS_ACCT, "/probe")},
		{name: "use ports of the hardware", try: call(unix.SYS_IOPL, 3)},
		{name: "use one port of the hardware", try: call(unix.SYS_IOPERM, 0x80, 1, 1)},
		{name: "read the kernel's log", try: call(unix.SYS_SYSLOG, 5, 0, 0), confined: true},
		{name: "load BPF", try: call(unix.SYS_BPF, 0, make([]byte, 72), 72), confined: true},
		{name: "measure", try: call(unix.SYS_PERF_EVENT_OPEN, make([]byte, 128), 0, -1, -1, 0), confined: true},
		{name: "make an io_uring", try: call(unix.SYS_IO_URING_SETUP, 1, make([]byte, 120)), confined: true},
		{name: "handle page faults", try: call(unix.SYS_USERFAULTFD, 1), confined: true},
		{name: "ask for a key", try: call(unix.SYS_KEYCTL, 0, -3, 0), confined: true},
		{name: "add a key", try: call(unix.SYS_ADD_KEY, "user", "probe", "x", 1, -3), confined: true},
		{name: "watch all files", try: call(unix.SYS_FANOTIFY_INIT, 0, 0), confined: true},
		{name: "change its personality", try: call(unix.SYS_PERSONALITY, 0xffffffff), confined: true},
		{name: "make a message queue", try: call(unix.SYS_MSGGET, 0, unix.IPC_CREAT|0o600), confined: true},
		{name: "make shared memory", try: call(unix.SYS_SHMGET, 0, 4096, unix.IPC_CREAT|0o600), confined: true},
		{name: "compare processes", try: call(unix.SYS_KCMP, 1, 1, 0, 0, 0), confined: true},
		{name: "move memory", try: call(unix.SYS_MOVE_PAGES, 0, 0, 0, 0, 0, 0), confined: true},
		{name: "choose processors", try: call(unix.SYS_SCHED_SETAFFINITY, 0, 8, make([]byte, 8)), confined: true},
	}
}
