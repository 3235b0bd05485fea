package submitlink

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/submit"
)

const (
	// greetingTime bounds the wait until the spool is ready.
	greetingTime = 30 * time.Second
	// CommitTime bounds each wait for the spool in a message.
	CommitTime = 5 * time.Minute
	// maxPieces is how many pieces the kernel takes in one write (IOV_MAX).
	maxPieces = 1024
)

// Connection is one connection to qmail-spool, or to another one who speaks its
// protocol.
type Connection struct {
	File *os.File
	link *fdpass.Packets // it was made over that
}

// Greeting waits until the spool is ready for the connection's first message.
// Without it the connection is closed.
func (c Connection) Greeting() error {
	err := c.File.SetDeadline(time.Now().Add(greetingTime))
	if err == nil {
		err = submit.ReadGreeting(c.File)
	}
	if err != nil {
		_ = c.File.Close() // nothing was written
		return Unavailable("greeting of qmail-spool", err)
	}
	return nil
}

// alive reports whether an idle connection is silent, as it must be, and not
// at its end.
func (c Connection) alive() bool {
	raw, err := c.File.SyscallConn()
	if err != nil {
		return false
	}
	silent := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, peekErr := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		silent = peekErr == unix.EAGAIN
	})
	return err == nil && silent
}

// Exchange sends the rest of a message and waits for the answer.
func (c Connection) Exchange(frames [][]byte) (submit.Answer, error) {
	if err := c.Send(frames); err != nil {
		return submit.Answer{}, Unavailable("write to qmail-spool", err)
	}
	if err := c.File.SetReadDeadline(time.Now().Add(CommitTime)); err != nil {
		return submit.Answer{}, Unavailable("wait for qmail-spool", err)
	}
	answer, err := submit.ReadAnswer(c.File)
	if err != nil {
		return submit.Answer{}, Unavailable("answer of qmail-spool", err)
	}
	return answer, nil
}

// Send writes frames in as few system calls as the socket takes them. It changes
// the slice, not what is in the frames.
func (c Connection) Send(frames [][]byte) error {
	if err := c.File.SetWriteDeadline(time.Now().Add(CommitTime)); err != nil {
		return err
	}
	raw, err := c.File.SyscallConn()
	if err != nil {
		return err
	}
	var writeErr error
	err = raw.Write(func(fd uintptr) bool {
		for len(frames) > 0 {
			n, err := unix.Writev(int(fd), frames[:min(len(frames), maxPieces)])
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				writeErr = err
				return err != unix.EAGAIN
			}
			frames = advance(frames, n)
		}
		writeErr = nil
		return true
	})
	if err == nil && writeErr != nil {
		err = os.NewSyscallError("writev", writeErr)
	}
	return err
}

// advance drops the first n bytes of frames.
func advance(frames [][]byte, n int) [][]byte {
	for len(frames) > 0 && n >= len(frames[0]) {
		n -= len(frames[0])
		frames = frames[1:]
	}
	if len(frames) > 0 {
		frames[0] = frames[0][n:]
	}
	return frames
}
