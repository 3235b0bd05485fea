package splogger

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// socketPath is where syslogs of Unix listen.
const socketPath = "/dev/log"

// patience is how long one line waits for a syslog that does not read. Those
// behind it do not wait, until it reads again.
const patience = time.Second

// rest is how long nothing is tried after a stream was waited for in vain. What is
// in it ends inside a line, so that it cannot be used again, and a new one would
// be waited for as long: lines in between are lost at once.
const rest = 10 * time.Second

// syslog is the way to the syslog: RFC 3164 over its socket, as the C library
// does it.
type syslog struct {
	path     string
	tag      string
	facility int
	now      func() time.Time

	fd     int // if it is open
	open   bool
	stream bool      // its messages end with NUL
	stuck  bool      // the last line has waited in vain
	lost   int       // lines since the last one that was taken
	until  time.Time // of a rest
}

// send gives one line to the syslog.
func (s *syslog) send(severity int, text string) {
	if s.lost > 0 && s.try(severityWarning, fmt.Sprintf("warning: splogger: %d lines were lost: the syslog did not take them", s.lost)) {
		s.lost = 0
	}
	if s.lost > 0 || !s.try(severity, text) {
		s.lost++
	}
}

// try sends a message, over a new connection if the old one is no good any
// more.
func (s *syslog) try(severity int, text string) bool {
	if s.now().Before(s.until) {
		return false
	}
	message := fmt.Appendf(nil, "<%d>%s %s: %s", s.facility<<3|severity, s.now().Format(time.Stamp), s.tag, text)
	for range 2 {
		fresh := !s.open
		if fresh {
			if err := s.connect(); err != nil {
				s.restAfter(err)
				return false
			}
		}
		err := s.write(message)
		if err == nil {
			s.stuck = false
			return true
		}
		if errors.Is(err, unix.EAGAIN) && !s.stream { // it is there, and its buffer is full
			s.stuck = true
			return false
		}
		stream := s.stream
		s.close()
		if stream && s.restAfter(err) || fresh {
			return false
		}
	}
	return false
}

// restAfter begins a rest if an error says that the time was over.
func (s *syslog) restAfter(err error) bool {
	if !errors.Is(err, unix.EAGAIN) {
		return false
	}
	s.until = s.now().Add(rest)
	return true
}

func (s *syslog) write(message []byte) error {
	if s.stream {
		message = append(message, 0)
	}
	flags := unix.MSG_NOSIGNAL
	if s.stuck {
		flags |= unix.MSG_DONTWAIT
	}
	for len(message) > 0 {
		n, err := unix.SendmsgN(s.fd, message, nil, nil, flags)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}

// connect makes a connection; syslogs take datagrams, or a stream.
func (s *syslog) connect() error {
	var err error
	for _, kind := range []int{unix.SOCK_DGRAM, unix.SOCK_STREAM} {
		var fd int
		if fd, err = unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		wait := unix.NsecToTimeval(patience.Nanoseconds())
		err = errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait),
			unix.Connect(fd, &unix.SockaddrUnix{Name: s.path}))
		if err == nil {
			s.fd, s.open, s.stream = fd, true, kind == unix.SOCK_STREAM
			return nil
		}
		_ = unix.Close(fd) // nothing was sent
		if !errors.Is(err, unix.EPROTOTYPE) {
			return err
		}
	}
	return err
}

func (s *syslog) close() {
	if s.open {
		_ = unix.Close(s.fd) // there is nobody to tell
		s.open, s.stuck = false, false
	}
}
