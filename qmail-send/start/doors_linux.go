package start

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/wire/parent"
)

const (
	// patience is how long a port that another process still has is waited
	// for: it may be our own predecessor, whose parent was killed.
	patience = 30 * time.Second
	// tryInterval is short: until a port is ours mail is refused.
	tryInterval = 50 * time.Millisecond
	// busyRemark is how long a busy port is nothing to speak of.
	busyRemark = time.Second
	tcpBacklog = 1024
)

// doors are the listening sockets of the daemons. They belong to qmail-start,
// so that a new daemon takes up where the last one ended.
type doors struct {
	wanted  []endpoint // not open yet
	next    time.Time  // when to try again; zero if there is nothing to try
	giveUp  time.Time
	waiting bool // a busy one was reported
	open    []*os.File
}

// want plans the opening of endpoints.
func (s *supervisor) want(endpoints []endpoint) {
	s.doors.wanted = endpoints
	s.doors.next = s.clock.Now()
	s.doors.giveUp = s.doors.next.Add(patience)
}

// open opens what is planned and hands it to those who serve it.
func (s *supervisor) open(now time.Time) {
	d := s.doors
	if d.next.IsZero() || now.Before(d.next) {
		return
	}
	var busy []endpoint
	var busyErr error
	for _, at := range d.wanted {
		f, err := listenTCP(at.AddrPort)
		switch {
		case err == nil:
			s.opened(f, at)
		case at.Optional && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)):
			s.log(fmt.Sprintf("qmail-start: not listening on %v: this machine has no such addresses", at.AddrPort))
		case at.service.spare && (!isBusy(err) || !now.Before(d.giveUp)):
			s.log("qmail-start: warning: " + explain(at, err) + "; the suite does without")
		case isBusy(err):
			busy, busyErr = append(busy, at), err
		default:
			s.log("qmail-start: fatal: " + explain(at, err))
			s.stop("without mail from the network", exitDeferred)
			return
		}
	}
	d.wanted, d.next = busy, time.Time{}
	switch {
	case len(busy) == 0:
	case !now.Before(d.giveUp):
		s.log("qmail-start: fatal: " + explain(busy[0], busyErr))
		s.stop("without mail from the network", exitDeferred)
	default:
		d.next = now.Add(tryInterval)
		if !d.waiting && !now.Before(d.giveUp.Add(busyRemark-patience)) {
			s.log(fmt.Sprintf("qmail-start: warning: %s; trying again for %v", explain(busy[0], busyErr), patience))
			d.waiting = true
		}
	}
}

// isBusy reports whether an address may be there for us in a moment.
func isBusy(err error) bool {
	return errors.Is(err, unix.EADDRINUSE) || errors.Is(err, unix.EADDRNOTAVAIL)
}

func (s *supervisor) opened(f *os.File, at endpoint) {
	s.log(fmt.Sprintf("qmail-start: listening on %v", at.AddrPort))
	s.serve(f, at)
}

// serve hands a listening socket to who serves an endpoint.
func (s *supervisor) serve(f *os.File, at endpoint) {
	s.doors.open = append(s.doors.open, f)
	m := s.plan.member(at.service.program)
	frame := parent.Frame{Kind: parent.Listener, Name: parent.ListenerName(at.service.listener, at.words), File: f}
	m.gifts = append(m.gifts, frame)
	s.give(m, frame)
}

// close ends our hold of the sockets: once a daemon has closed its own,
// clients are refused and not kept waiting.
func (d *doors) close() {
	for _, f := range d.open {
		// A listening socket's close has no result that matters.
		_ = f.Close()
	}
	d.open, d.wanted, d.next = nil, nil, time.Time{}
}

func explain(at endpoint, err error) string {
	hint := ""
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		hint = ": another program has the port"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		hint = ": this machine does not have the address"
	case errors.Is(err, unix.EACCES):
		hint = ": a port this low needs root; control/" + at.service.file + " can name another"
	}
	return fmt.Sprintf("unable to listen on %v: %v%s", at.AddrPort, err, hint)
}

// listenTCP returns a listening socket. It does not use package net, which has
// no place in a process that never speaks to the network.
func listenTCP(at netip.AddrPort) (*os.File, error) {
	family, addr := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16(), ZoneId: zone(at.Addr())})
	if at.Addr().Is4() {
		family, addr = unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_TCP)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), at.String())
	if err := configureTCP(fd, family, addr); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func configureTCP(fd, family int, addr unix.Sockaddr) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if family == unix.AF_INET6 {
		// IPv4 has a socket of its own.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	if err := unix.Bind(fd, addr); err != nil {
		return os.NewSyscallError("bind", err)
	}
	return os.NewSyscallError("listen", unix.Listen(fd, tcpBacklog))
}

// zone returns the number of an interface that an address names by its number.
func zone(a netip.Addr) uint32 {
	n, err := strconv.ParseUint(a.Zone(), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}
