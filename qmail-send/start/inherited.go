package start

import (
	"fmt"
	"net/netip"
	"slices"

	"postrider/internal/listener"
)

// adopt hands sockets that were inherited to those who serve the endpoints at
// their addresses, and returns the endpoints that remain to be opened. A socket
// that no endpoint names is an error: its clients would wait for ever.
func (s *supervisor) adopt(sockets []listener.Inherited, endpoints []endpoint) (rest []endpoint, err error) {
	for _, socket := range sockets {
		i := slices.IndexFunc(endpoints, func(at endpoint) bool { return at.AddrPort == socket.At })
		if i < 0 {
			return nil, fmt.Errorf("a socket that listens on %v was inherited, which is in no control file of addresses (smtplisten)", socket.At)
		}
		at := endpoints[i]
		endpoints = slices.Delete(slices.Clone(endpoints), i, i+1)
		if socket.Both {
			// The other family has no socket of its own then.
			v4 := netip.AddrPortFrom(netip.IPv4Unspecified(), socket.At.Port())
			endpoints = slices.DeleteFunc(endpoints, func(at endpoint) bool { return at.AddrPort == v4 })
		}
		s.log(fmt.Sprintf("qmail-start: listening on %v, which was inherited", at.AddrPort))
		s.serve(socket.File, at)
	}
	return endpoints, nil
}
