package lmtp

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// connectLimit is how long a server has to accept a connection.
const connectLimit = 10 * time.Second

// dial connects to a target.
func dial(t Target) (*os.File, error) {
	domain, address := unix.AF_UNIX, unix.Sockaddr(&unix.SockaddrUnix{Name: t.path})
	if t.path == "" {
		ip := t.address.Addr().Unmap()
		if ip.Is4() {
			domain, address = unix.AF_INET, &unix.SockaddrInet4{Addr: ip.As4(), Port: int(t.address.Port())}
		} else {
			domain, address = unix.AF_INET6, &unix.SockaddrInet6{Addr: ip.As16(), Port: int(t.address.Port())}
		}
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	err = unix.Connect(fd, address)
	if err == unix.EINPROGRESS || err == unix.EINTR {
		err = finish(fd)
	}
	if err != nil {
		_ = unix.Close(fd) // nothing was said
		return nil, os.NewSyscallError("connect", err)
	}
	return os.NewFile(uintptr(fd), "connection to "+t.String()), nil
}

// finish waits until the server has answered.
func finish(fd int) error {
	end := time.Now().Add(connectLimit)
	for {
		left := time.Until(end).Milliseconds()
		if left <= 0 {
			return unix.ETIMEDOUT
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(left))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n > 0:
			code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
			if err != nil {
				return err
			}
			if code != 0 {
				return unix.Errno(code)
			}
			return nil
		}
	}
}
