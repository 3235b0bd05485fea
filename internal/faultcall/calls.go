//go:build linux && amd64

package faultcall

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Class is a group of system calls that fail for the same reasons.
type Class string

// The classes.
const (
	Open     Class = "open"
	Write    Class = "write"  // to files; to sockets and pipes it is Send
	Read     Class = "read"   // from files; else it is Receive
	Sync     Class = "sync"   // fsync, fdatasync, and completions of io_submit
	Submit   Class = "submit" // io_submit itself
	Setup    Class = "setup"  // io_setup
	Rename   Class = "rename"
	Link     Class = "link"
	Unlink   Class = "unlink"
	Mkdir    Class = "mkdir"
	Close    Class = "close" // of files
	Truncate Class = "truncate"
	Copy     Class = "copy"  // copy_file_range
	Flush    Class = "flush" // sync_file_range
	List     Class = "list"  // getdents
	Stat     Class = "stat"
	Times    Class = "times"
	Memory   Class = "memfd"
	Send     Class = "send"
	Receive  Class = "receive"
	Socket   Class = "socket" // socket, socketpair, connect
	Accept   Class = "accept"
	Start    Class = "start" // execve
	Any      Class = "any"   // to order: calls of every class
	noClass  Class = "none"
)

// shape says which arguments name what the call is about.
type shape int

const (
	byFD      shape = iota // argument 0 is the descriptor
	byPath                 // argument 0 is the name
	byAtPath               // argument 1 is the name
	byTwo                  // arguments 0 and 1 are names
	byAtTwo                // arguments 1 and 3 are names
	byNothing              // no name
	byEvents               // io_getevents: the requests that ended
)

type call struct {
	name  string
	class Class
	shape shape
	count int // argument that holds the number of bytes; 0: none
}

// calls are those that the filter stops.
var calls = map[uint64]call{
	unix.SYS_OPEN:            {"open", Open, byPath, 0},
	unix.SYS_OPENAT:          {"openat", Open, byAtPath, 0},
	unix.SYS_OPENAT2:         {"openat2", Open, byAtPath, 0},
	unix.SYS_WRITE:           {"write", Write, byFD, 2},
	unix.SYS_PWRITE64:        {"pwrite64", Write, byFD, 2},
	unix.SYS_WRITEV:          {"writev", Write, byFD, 2},
	unix.SYS_READ:            {"read", Read, byFD, 2},
	unix.SYS_PREAD64:         {"pread64", Read, byFD, 2},
	unix.SYS_FSYNC:           {"fsync", Sync, byFD, 0},
	unix.SYS_FDATASYNC:       {"fdatasync", Sync, byFD, 0},
	unix.SYS_SYNCFS:          {"syncfs", Sync, byFD, 0},
	unix.SYS_IO_GETEVENTS:    {"io_getevents", Sync, byEvents, 0},
	unix.SYS_IO_SUBMIT:       {"io_submit", Submit, byNothing, 0},
	unix.SYS_IO_SETUP:        {"io_setup", Setup, byNothing, 0},
	unix.SYS_RENAME:          {"rename", Rename, byTwo, 0},
	unix.SYS_RENAMEAT:        {"renameat", Rename, byAtTwo, 0},
	unix.SYS_RENAMEAT2:       {"renameat2", Rename, byAtTwo, 0},
	unix.SYS_LINK:            {"link", Link, byTwo, 0},
	unix.SYS_LINKAT:          {"linkat", Link, byAtTwo, 0},
	unix.SYS_UNLINK:          {"unlink", Unlink, byPath, 0},
	unix.SYS_UNLINKAT:        {"unlinkat", Unlink, byAtPath, 0},
	unix.SYS_MKDIR:           {"mkdir", Mkdir, byPath, 0},
	unix.SYS_MKDIRAT:         {"mkdirat", Mkdir, byAtPath, 0},
	unix.SYS_CLOSE:           {"close", Close, byFD, 0},
	unix.SYS_FTRUNCATE:       {"ftruncate", Truncate, byFD, 0},
	unix.SYS_COPY_FILE_RANGE: {"copy_file_range", Copy, byFD, 4},
	unix.SYS_SYNC_FILE_RANGE: {"sync_file_range", Flush, byFD, 0},
	unix.SYS_GETDENTS64:      {"getdents64", List, byFD, 0},
	unix.SYS_NEWFSTATAT:      {"newfstatat", Stat, byAtPath, 0},
	unix.SYS_FSTAT:           {"fstat", Stat, byFD, 0},
	unix.SYS_UTIMENSAT:       {"utimensat", Times, byAtPath, 0},
	unix.SYS_MEMFD_CREATE:    {"memfd_create", Memory, byNothing, 0},
	unix.SYS_SENDTO:          {"sendto", Send, byFD, 0},
	unix.SYS_SENDMSG:         {"sendmsg", Send, byFD, 0},
	unix.SYS_RECVFROM:        {"recvfrom", Receive, byFD, 0},
	unix.SYS_RECVMSG:         {"recvmsg", Receive, byFD, 0},
	unix.SYS_SOCKET:          {"socket", Socket, byNothing, 0},
	unix.SYS_SOCKETPAIR:      {"socketpair", Socket, byNothing, 0},
	unix.SYS_CONNECT:         {"connect", Socket, byFD, 0},
	unix.SYS_ACCEPT4:         {"accept4", Accept, byFD, 0},
	unix.SYS_EXECVE:          {"execve", Start, byPath, 0},
}

// disk are the errors of a file system that is full, over quota, broken or
// read-only, and of a process or machine that has no more descriptors or
// memory.
var (
	disk      = []syscall.Errno{unix.ENOSPC, unix.EDQUOT, unix.EIO, unix.EROFS}
	shortage  = []syscall.Errno{unix.EMFILE, unix.ENFILE, unix.ENOMEM}
	interrupt = []syscall.Errno{unix.EINTR}
)

// Errnos are the errors that the calls of a class may give on a machine in
// trouble.
func (c Class) Errnos() []syscall.Errno {
	switch c {
	case Open:
		return join(disk, shortage, interrupt)
	case Write, Truncate:
		return join(disk, interrupt)
	case Copy:
		return join(disk, interrupt, []syscall.Errno{unix.ENOMEM, unix.EXDEV, unix.EINVAL})
	case Sync:
		return []syscall.Errno{unix.EIO, unix.ENOSPC, unix.EDQUOT, unix.EROFS}
	case Flush:
		return []syscall.Errno{unix.EIO, unix.ENOSPC, unix.ENOMEM}
	case Submit:
		return []syscall.Errno{unix.EAGAIN, unix.ENOMEM, unix.EINTR}
	case Rename, Link, Unlink, Mkdir:
		return join(disk, []syscall.Errno{unix.ENOMEM})
	case Close:
		return []syscall.Errno{unix.EIO, unix.ENOSPC, unix.EDQUOT, unix.EINTR}
	case Read:
		return []syscall.Errno{unix.EIO, unix.ENOMEM, unix.EINTR}
	case List, Stat:
		return []syscall.Errno{unix.EIO, unix.ENOMEM}
	case Times:
		return []syscall.Errno{unix.EIO, unix.EROFS}
	case Memory, Accept:
		return join(shortage, interrupt)
	case Socket:
		return shortage
	case Send:
		return []syscall.Errno{unix.ENOMEM, unix.ENOBUFS, unix.EINTR}
	case Receive:
		return []syscall.Errno{unix.ENOMEM, unix.EINTR}
	case Start:
		return []syscall.Errno{unix.ENOMEM, unix.EAGAIN, unix.EIO, unix.EMFILE}
	}
	return nil
}

// CanBeShort says whether calls of the class may transfer less than they were
// asked to.
func (c Class) CanBeShort() bool {
	return c == Write || c == Read || c == Copy
}

func join(lists ...[]syscall.Errno) []syscall.Errno {
	var all []syscall.Errno
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// ErrnoName is the name of an error as C has it.
func ErrnoName(e syscall.Errno) string {
	if name := unix.ErrnoName(e); name != "" {
		return name
	}
	return strings.ReplaceAll(e.Error(), " ", "_")
}
