package start

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"postrider/internal/listenfds"
)

// inheritedSocket is a listening socket that whoever started qmail-start had
// opened for it, as systemd does (systemd.socket(5)).
type inheritedSocket struct {
	file *os.File
	at   netip.AddrPort
	// both: it takes connections of both families.
	both bool
	// takenOver: it is of the qmail-start before.
	takenOver bool
}

// takeInherited takes those sockets over.
func takeInherited(environ []string, pid int) ([]inheritedSocket, error) {
	count, err := listenfds.Count(environ, pid)
	if err != nil {
		return nil, err
	}
	var sockets []inheritedSocket
	for fd := listenfds.First; fd < listenfds.First+count; fd++ {
		socket, err := takeOver(fd)
		if err != nil {
			return nil, fmt.Errorf("descriptor %d, which LISTEN_FDS speaks of: %w", fd, err)
		}
		sockets = append(sockets, socket)
	}
	return sockets, nil
}

// takeOver makes a descriptor one of ours if it is a TCP socket that listens.
func takeOver(fd int) (inheritedSocket, error) {
	var s inheritedSocket
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return s, os.NewSyscallError("getsockopt", err)
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return s, os.NewSyscallError("getsockopt", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return s, os.NewSyscallError("getsockname", err)
	}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		s.at = netip.AddrPortFrom(netip.AddrFrom4(name.Addr), uint16(name.Port))
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(name.Addr)
		if name.ZoneId != 0 {
			addr = addr.WithZone(strconv.FormatUint(uint64(name.ZoneId), 10))
		}
		s.at = netip.AddrPortFrom(addr, uint16(name.Port))
		only, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		if err != nil {
			return s, os.NewSyscallError("getsockopt", err)
		}
		s.both = addr == netip.IPv6Unspecified() && only == 0
	}
	if listens == 0 || kind != unix.SOCK_STREAM || !s.at.IsValid() {
		return s, errors.New("not a TCP socket that listens: write ListenStream=port or address:port")
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return s, os.NewSyscallError("fcntl", err)
	}
	s.file = os.NewFile(uintptr(fd), s.at.String())
	return s, nil
}

// adopt hands sockets that were inherited to those who serve the endpoints at
// their addresses, and returns the endpoints that remain to be opened. A socket
// that no endpoint names is an error: its clients would wait for ever.
func (s *supervisor) adopt(sockets []inheritedSocket, endpoints []endpoint) (rest []endpoint, err error) {
	for _, socket := range sockets {
		i := slices.IndexFunc(endpoints, func(at endpoint) bool { return at.AddrPort == socket.at })
		if i < 0 && socket.takenOver {
			s.log(fmt.Sprintf("qmail-start: not listening on %v any more", socket.at))
			_ = socket.file.Close() // nothing is lost with it
			continue
		}
		if i < 0 {
			return nil, fmt.Errorf("a socket that listens on %v was inherited, which is in no control file of addresses (smtplisten)", socket.at)
		}
		at := endpoints[i]
		endpoints = slices.Delete(slices.Clone(endpoints), i, i+1)
		if socket.both {
			// The other family has no socket of its own then.
			v4 := netip.AddrPortFrom(netip.IPv4Unspecified(), socket.at.Port())
			endpoints = slices.DeleteFunc(endpoints, func(at endpoint) bool { return at.AddrPort == v4 })
		}
		if !socket.takenOver {
			s.log(fmt.Sprintf("qmail-start: listening on %v, which was inherited", at.AddrPort))
		}
		s.serve(socket.file, at)
	}
	return endpoints, nil
}
