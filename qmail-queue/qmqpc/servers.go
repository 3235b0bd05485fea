package qmqpc

import (
	"net/netip"

	"postrider/internal/control"
)

// qmqpPort is the port of QMQP.
const qmqpPort = 628

// readServers returns the servers in the order in which they are tried. Lines
// that are no address are skipped, as in qmail.
func readServers(home string) (servers []netip.AddrPort, err error) {
	lines, _, err := control.Dir(home + "/control").List("qmqpservers")
	if err != nil {
		return nil, failure(exitConfig)
	}
	for _, line := range lines {
		if server, ok := parseServer(line); ok {
			servers = append(servers, server)
		}
	}
	if len(servers) == 0 {
		return nil, failure(exitConfig)
	}
	return servers, nil
}

// parseServer reads an address, or address:port.
func parseServer(line string) (server netip.AddrPort, ok bool) {
	if addr, err := netip.ParseAddr(line); err == nil {
		return netip.AddrPortFrom(addr.Unmap(), qmqpPort), addr.Zone() == ""
	}
	server, err := netip.ParseAddrPort(line)
	return netip.AddrPortFrom(server.Addr().Unmap(), server.Port()), err == nil && server.Port() != 0 && server.Addr().Zone() == ""
}
