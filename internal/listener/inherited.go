package listener

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// FirstInherited is SD_LISTEN_FDS_START of sd_listen_fds(3).
	FirstInherited = 3
	maxInherited   = 256
)

// Inherited is a listening socket that whoever started qmail-start had
// opened for it, as systemd does (systemd.socket(5)).
type Inherited struct {
	File *os.File
	At   netip.AddrPort
	// Both: it takes connections of both families.
	Both bool
}

// CountInherited returns how many sockets the environment speaks of, from
// descriptor FirstInherited on, if they are for the process with a number.
func CountInherited(environ []string, pid int) (int, error) {
	if variable(environ, "LISTEN_PID") != strconv.Itoa(pid) {
		return 0, nil
	}
	count, err := strconv.Atoi(variable(environ, "LISTEN_FDS"))
	if err != nil || count < 0 || count > maxInherited {
		return 0, fmt.Errorf("LISTEN_FDS is %q, not a number of sockets up to %d", variable(environ, "LISTEN_FDS"), maxInherited)
	}
	return count, nil
}

// TakeInherited takes those sockets over.
func TakeInherited(environ []string, pid int) ([]Inherited, error) {
	count, err := CountInherited(environ, pid)
	if err != nil {
		return nil, err
	}
	var sockets []Inherited
	for fd := FirstInherited; fd < FirstInherited+count; fd++ {
		socket, err := takeOver(fd)
		if err != nil {
			return nil, fmt.Errorf("descriptor %d, which LISTEN_FDS speaks of: %w", fd, err)
		}
		sockets = append(sockets, socket)
	}
	return sockets, nil
}

// takeOver makes a descriptor one of ours if it is a TCP socket that listens.
func takeOver(fd int) (Inherited, error) {
	var s Inherited
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
		s.At = netip.AddrPortFrom(netip.AddrFrom4(name.Addr), uint16(name.Port))
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(name.Addr)
		if name.ZoneId != 0 {
			addr = addr.WithZone(strconv.FormatUint(uint64(name.ZoneId), 10))
		}
		s.At = netip.AddrPortFrom(addr, uint16(name.Port))
		only, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		if err != nil {
			return s, os.NewSyscallError("getsockopt", err)
		}
		s.Both = addr == netip.IPv6Unspecified() && only == 0
	}
	if listens == 0 || kind != unix.SOCK_STREAM || !s.At.IsValid() {
		return s, errors.New("not a TCP socket that listens: write ListenStream=port or address:port")
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return s, os.NewSyscallError("fcntl", err)
	}
	s.File = os.NewFile(uintptr(fd), s.At.String())
	return s, nil
}

// WithoutInherited returns an environment without what it says of sockets.
func WithoutInherited(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(v string) bool {
		return strings.HasPrefix(v, "LISTEN_PID=") || strings.HasPrefix(v, "LISTEN_FDS=") || strings.HasPrefix(v, "LISTEN_FDNAMES=")
	})
}

func variable(environ []string, name string) string {
	for _, v := range environ {
		if value, found := strings.CutPrefix(v, name+"="); found {
			return value
		}
	}
	return ""
}
