// Package fdpass makes and uses the Unix sockets between our processes:
// pairs, packets that carry descriptors, and the caller's identity.
//
// It imports no net, so that programs of users stay small. Packages of
// internal/wire, rooms and internal/enqueue may import it. Bytes and
// descriptors that arrive are hostile.
//
// Invariants:
//
//  1. Every descriptor made or received here is close-on-exec and, but for
//     received ones, non-blocking (a received file keeps its owner's mode).
//  2. A packet that was cut, or that carried more descriptors than expected,
//     is an error, and all its descriptors are closed. That we were out of
//     descriptors is an error of its own, which a link survives.
//
// pair.go makes sockets; packets.go sends and receives packets.
package fdpass

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Pair returns two connected Unix sockets of the given type,
// unix.SOCK_SEQPACKET or unix.SOCK_STREAM.
func Pair(sockType int) (a, b *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, sockType|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "socketpair"), os.NewFile(uintptr(fds[1]), "socketpair"), nil
}

// Dial connects a stream socket to the Unix socket at path. It does not wait
// for a place in a full backlog: that is EAGAIN.
func Dial(path string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	for {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// Listen makes a listening stream socket at path, replacing a socket file of
// a former run, with the given mode whatever the umask.
func Listen(path string, mode os.FileMode, backlog int) (*os.File, error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), path)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		f.Close()
		return nil, fmt.Errorf("bind %s: %w", path, err)
	}
	if err := os.Chmod(path, mode); err != nil {
		f.Close()
		return nil, err
	}
	if err := unix.Listen(fd, backlog); err != nil {
		f.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return f, nil
}

// Accept waits for the next connection on the listening Unix socket l and
// returns it.
func Accept(l *os.File) (*os.File, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	var acceptErr error
	err = raw.Read(func(lfd uintptr) bool {
		for {
			fd, _, acceptErr = unix.Accept4(int(lfd), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			if acceptErr != unix.EINTR && acceptErr != unix.ECONNABORTED {
				break
			}
		}
		return acceptErr != unix.EAGAIN
	})
	if err == nil && acceptErr != nil {
		err = os.NewSyscallError("accept", acceptErr)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "accepted"), nil
}

// PeerUID returns the effective uid that the peer of the connected Unix
// socket f had when it connected (SO_PEERCRED).
func PeerUID(f *os.File) (uint32, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, os.NewSyscallError("getsockopt SO_PEERCRED", credErr)
	}
	return cred.Uid, nil
}

// Inherit returns the inherited descriptor fd as a non-blocking,
// close-on-exec file, so that it obeys deadlines. It is for descriptors that
// our own parent made, never for fds 0 to 2 of a caller.
func Inherit(fd int, name string) (*os.File, error) {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return nil, fmt.Errorf("descriptor %d (%s) is not open: %w", fd, name, err)
	}
	syscall.CloseOnExec(fd)
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("descriptor %d (%s): %w", fd, name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Descriptor returns the number of a file's descriptor, which stays the file's
// and as it is: (*os.File).Fd would make it block.
func Descriptor(f *os.File) (fd int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	err = raw.Control(func(number uintptr) { fd = int(number) })
	return fd, err
}

// IsPacketSocket reports whether descriptor fd is a Unix SOCK_SEQPACKET
// socket: how a program tells that one of our daemons started it.
func IsPacketSocket(fd int) bool {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || domain != unix.AF_UNIX {
		return false
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && kind == unix.SOCK_SEQPACKET
}
