package qmqpc

import (
	"io"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// connection is a TCP connection to a server. It does not use package net,
// which would take longer to start than the rest to run.
type connection struct{ fd int }

// connect connects to a server.
func connect(server netip.AddrPort, deadline time.Time) (*connection, error) {
	family, addr := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(server.Port()), Addr: server.Addr().As16()})
	if server.Addr().Is4() {
		family, addr = unix.AF_INET, &unix.SockaddrInet4{Port: int(server.Port()), Addr: server.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_TCP)
	if err != nil {
		return nil, failure(exitSocket)
	}
	c := &connection{fd}
	if err := c.establish(addr, deadline); err != nil {
		c.close()
		if err == unix.ETIMEDOUT {
			return nil, failure(exitTimeout)
		}
		return nil, failure(exitUnreachable)
	}
	return c, nil
}

func (c *connection) establish(addr unix.Sockaddr, deadline time.Time) error {
	switch err := unix.Connect(c.fd, addr); err {
	case nil:
		return nil
	case unix.EINPROGRESS, unix.EINTR:
	default:
		return err
	}
	if err := c.await(unix.POLLOUT, deadline); err != nil {
		return err
	}
	result, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && result != 0 {
		err = unix.Errno(result)
	}
	return err
}

// maxPieces is how many pieces the kernel takes in one write (IOV_MAX).
const maxPieces = 1024

// write sends all of the request.
func (c *connection) write(r request) error {
	for len(r) > 0 {
		n, err := unix.Writev(c.fd, r[:min(len(r), maxPieces)])
		switch err {
		case nil:
			r = r.behind(n)
		case unix.EINTR:
		case unix.EAGAIN:
			if err := c.await(unix.POLLOUT, time.Now().Add(silence)); err != nil {
				return err
			}
		default:
			return err
		}
	}
	return nil
}

// behind is the request without its first n octets; it is changed.
func (r request) behind(n int) request {
	for len(r) > 0 && n >= len(r[0]) {
		n -= len(r[0])
		r = r[1:]
	}
	if len(r) > 0 {
		r[0] = r[0][n:]
	}
	return r
}

func (c *connection) readByte() (byte, error) {
	var b [1]byte
	for {
		n, err := unix.Read(c.fd, b[:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if err := c.await(unix.POLLIN, time.Now().Add(silence)); err != nil {
				return 0, err
			}
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return b[0], nil
		}
	}
}

// await waits until the socket is ready, or has failed in a way that the next
// step will tell.
func (c *connection) await(events int16, deadline time.Time) error {
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return unix.ETIMEDOUT
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: events}}, int(left/time.Millisecond)+1)
		if n > 0 {
			return nil
		}
		if err != nil && err != unix.EINTR {
			return err
		}
	}
}

func (c *connection) close() { _ = unix.Close(c.fd) } // all that mattered was said
