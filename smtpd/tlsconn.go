package smtpd

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// tlsConn is a connection inside TLS; the raw one lies below.
type tlsConn struct {
	*tls.Conn
	raw *rawConn

	version, cipher string
	client          string // who may relay by his certificate

	// ahead is an octet that pending has read.
	ahead    [1]byte
	hasAhead bool
}

func (c *tlsConn) Read(b []byte) (int, error) {
	if c.hasAhead && len(b) > 0 {
		c.hasAhead = false
		return copy(b, c.ahead[:]), nil
	}
	return c.Conn.Read(b)
}

// pending reports whether there is text that was not read yet. Only reading
// tells: crypto/tls has buffers of its own, and not every record is text.
func (c *tlsConn) pending() bool {
	if !c.hasAhead {
		c.raw.polling = true
		n, _ := c.Conn.Read(c.ahead[:]) // an error that lasts is met by the next read
		c.raw.polling = false
		c.hasAhead = n > 0
	}
	return c.hasAhead
}

// farewell tells the client that nothing was cut off.
func (c *tlsConn) farewell() {
	if c.SetWriteDeadline(time.Now().Add(goodbyeTime)) == nil {
		_ = c.CloseWrite() // whoever is gone need not know
	}
}

// unlimited is the limit of octets behind the handshake.
const unlimited = -1

var errLongHandshake = errors.New("too many octets")

// rawConn is the connection as crypto/tls has it.
type rawConn struct {
	*net.TCPConn
	left    int  // octets that the handshake may still take
	polling bool // reads do not wait
}

func (c *rawConn) Read(b []byte) (int, error) {
	switch {
	case c.polling:
		return c.poll(b)
	case c.left == unlimited:
		return c.TCPConn.Read(b)
	case c.left == 0:
		return 0, errLongHandshake
	}
	n, err := c.TCPConn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

// poll reads what is there. The deadline is left alone: it may be that of a
// shutdown.
func (c *rawConn) poll(b []byte) (n int, err error) {
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
