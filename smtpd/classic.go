package smtpd

import (
	"errors"
	"io"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/world"
)

// classic serves the one connection on descriptors 0 and 1 (spec 6.1).
func classic(w world.World, s *service) int {
	c := &descriptors{in: number(w.Stdin), out: number(w.Stdout)}
	defer runtime.KeepAlive(w)                   // its files are used by number
	settings, err := loadSettings(w.Home, false) // tcpserver has rules of its own
	if err != nil {
		s.log.Line(logPrefix + "alert: unable to read controls, no mail is taken: " + err.Error())
		_, _ = c.Write(replyNoControls.append(nil)) // the client is told if it listens
		return exitBroken
	}
	if s.auth, err = newAuthProgram(w); err != nil {
		s.log.Line(logPrefix + "alert: " + err.Error() + ": nobody can log in")
	}
	session := &session{service: s, conn: c, settings: settings, queue: &programs{world: w}, number: uint64(os.Getpid())}
	session.in = newInput(c, s.lent)
	session.lenient = !c.isSocket()
	session.peer = newPeer(w.Getenv)
	session.peer.refusal = "" // rblsmtpd has run before, if anything (spec 6.5)
	err = session.run()
	session.logEnd(err)
	if err != nil {
		return exitBroken
	}
	return exitOK
}

// pieceSize is PIPE_BUF: as much as a pipe that polls writable takes at once.
const pieceSize = 4096

// descriptors is a connection on two inherited descriptors. They are the
// caller's and stay as they are, blocking or not: deadlines are kept by poll.
type descriptors struct {
	in, out       int
	readDeadline  time.Time
	writeDeadline time.Time
}

// number returns the descriptor of f without changing its mode, as Fd would.
func number(f *os.File) int {
	n := -1
	raw, err := f.SyscallConn()
	if err != nil || raw.Control(func(fd uintptr) { n = int(fd) }) != nil {
		return -1
	}
	return n
}

func (c *descriptors) SetReadDeadline(t time.Time) error  { c.readDeadline = t; return nil }
func (c *descriptors) SetWriteDeadline(t time.Time) error { c.writeDeadline = t; return nil }

func (c *descriptors) Read(b []byte) (int, error) {
	for {
		if err := await(c.in, unix.POLLIN, c.readDeadline); err != nil {
			return 0, err
		}
		n, err := unix.Read(c.in, b)
		switch {
		case err == unix.EINTR, err == unix.EAGAIN:
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (c *descriptors) Write(b []byte) (int, error) {
	written := 0
	for written < len(b) {
		if err := await(c.out, unix.POLLOUT, c.writeDeadline); err != nil {
			return written, err
		}
		n, err := unix.Write(c.out, b[written:min(len(b), written+pieceSize)])
		if err != nil && err != unix.EINTR && err != unix.EAGAIN {
			return written, os.NewSyscallError("write", err)
		}
		written += max(n, 0)
	}
	return written, nil
}

// await waits until a descriptor is ready, or has failed in a way that the
// next read or write will tell.
func await(fd int, events int16, deadline time.Time) error {
	for {
		wait := -1
		if !deadline.IsZero() {
			left := time.Until(deadline)
			if left <= 0 {
				return os.ErrDeadlineExceeded
			}
			wait = int(min(left/time.Millisecond+1, time.Hour/time.Millisecond))
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, wait)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return os.NewSyscallError("poll", err)
		case n > 0:
			return nil
		}
	}
}

// isSocket reports whether input comes over a connection, not from a file or
// a pipe, whose writer cannot wait for replies.
func (c *descriptors) isSocket() bool {
	_, err := unix.GetsockoptInt(c.in, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil
}

func (c *descriptors) pending() bool { return c.isSocket() && unread(c.in) > 0 }
