package lmtp

import (
	"errors"
	"net/netip"
	"strings"
)

// Target is where a server is.
type Target struct {
	path    string         // of a Unix socket
	address netip.AddrPort // if there is no path
}

// maxSocketPath is the longest name of a Unix socket.
const maxSocketPath = 107

var errTarget = errors.New("a server is unix:/path or inet:address:port, as unix:/run/dovecot/lmtp or inet:127.0.0.1:24")

// ParseTarget reads unix:/path or inet:address:port. The address is a number:
// names would have to be looked up by every user's process.
func ParseTarget(s string) (Target, error) {
	if path, found := strings.CutPrefix(s, "unix:"); found {
		if !strings.HasPrefix(path, "/") || len(path) > maxSocketPath || strings.IndexByte(path, 0) >= 0 {
			return Target{}, errTarget
		}
		return Target{path: path}, nil
	}
	text, found := strings.CutPrefix(s, "inet:")
	if !found {
		return Target{}, errTarget
	}
	address, err := netip.ParseAddrPort(text)
	if err != nil || address.Port() == 0 || address.Addr().Zone() != "" {
		return Target{}, errTarget
	}
	return Target{address: address}, nil
}

func (t Target) String() string {
	if t.path != "" {
		return "unix:" + t.path
	}
	return "inet:" + t.address.String()
}
