package qmailremote

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// unlimited is the limit of octets behind the handshake.
const unlimited = -1

var errLongHandshake = errors.New("too many octets")

// rawConn is the connection as crypto/tls has it.
type rawConn struct {
	net.Conn
	left    int  // octets that the handshake may still take
	polling bool // reads do not wait
}

func (c *rawConn) Read(b []byte) (int, error) {
	switch {
	case c.polling:
		return poll(c.Conn, b)
	case c.left == unlimited:
		return c.Conn.Read(b)
	case c.left == 0:
		return 0, errLongHandshake
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

// poll reads what is there.
func poll(conn net.Conn, b []byte) (n int, err error) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var readErr error
	if err := raw.Control(func(fd uintptr) { n, readErr = unix.Read(int(fd), b) }); err != nil {
		return 0, err
	}
	switch {
	case readErr == unix.EAGAIN, readErr == unix.EINTR:
		return 0, os.ErrDeadlineExceeded // crypto/tls takes it for what passes
	case readErr != nil:
		return 0, os.NewSyscallError("read", readErr)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// silent reports whether the server has neither said anything nor closed. Only
// reading tells: not every record is text, and crypto/tls has buffers.
func (t *secured) silent() bool {
	t.raw.polling = true
	defer func() { t.raw.polling = false }()
	var b [1]byte
	n, err := t.conn.Read(b[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}
