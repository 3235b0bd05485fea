package smtpd

import (
	"net"

	"golang.org/x/sys/unix"
)

// tcpConn is a connection that the daemon accepted.
type tcpConn struct{ *net.TCPConn }

func (c tcpConn) pending() bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = raw.Control(func(fd uintptr) { n = unread(int(fd)) })
	return err == nil && n > 0
}

// unread returns how many octets have arrived at a socket.
func unread(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
	if err != nil {
		return 0
	}
	return n
}
