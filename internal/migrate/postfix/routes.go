package postfix

import (
	"net/netip"
	"path"
	"strings"

	"postrider/internal/migrate"
)

// hop is a transport and where it goes.
type hop struct{ transport, nexthop string }

// cutHop reads transport:nexthop.
func cutHop(value string) hop {
	transport, nexthop, _ := strings.Cut(value, ":")
	return hop{strings.TrimSpace(transport), strings.TrimSpace(nexthop)}
}

// transport looks an address up in transport_maps: user+ext@domain, user@domain,
// domain, its parents with a dot, *.
func (c *config) transport(address string) (hop, error) {
	local, domain := migrate.Split(address)
	name, _ := c.cutExtension(local)
	keys := []string{address, name + "@" + domain, domain}
	for _, parent, more := strings.Cut(domain, "."); more; _, parent, more = strings.Cut(parent, ".") {
		key := "." + parent
		if c.matchesParents("transport_maps") {
			key = parent
		}
		keys = append(keys, key)
	}
	keys = append(keys, "*")
	for i, key := range keys {
		e, found, err := c.find("transport_maps", key, i == 0)
		if err != nil {
			return hop{}, err
		}
		if found {
			return cutHop(e.value), nil
		}
	}
	return hop{}, nil
}

// outward is where mail for others goes: relayhost, or their mail exchangers.
func (c *config) outward() hop {
	h := cutHop(c.main.get("default_transport"))
	if relay := c.main.get("relayhost"); relay != "" {
		h.nexthop = relay
	}
	return h
}

// Transports by what they speak. The names are those of the master.cf that comes
// with Postfix; others are looked up there.
const (
	bySMTP    = "smtp"
	byLMTP    = "lmtp"
	byError   = "error"
	byDiscard = "discard"
	byPipe    = "pipe"
	byVirtual = "virtual"
	byLocal   = "local"
)

// speaks is the program behind a transport.
func (c *config) speaks(transport string) string {
	for _, s := range c.services {
		if s.name == transport && s.kind == "unix" {
			return s.program
		}
	}
	switch transport {
	case "smtp", "relay":
		return bySMTP
	case "retry":
		return byError
	}
	return transport
}

// handOver is the end of an address that a transport takes.
func (c *config) handOver(h hop, address string) string {
	switch c.speaks(h.transport) {
	case bySMTP:
		return migrate.ToHost(address, c.relay(h.nexthop, "smtp"))
	case byLMTP:
		if server, socket := c.lmtpServer(h.nexthop); socket && strings.HasPrefix(server, "unix:") {
			return migrate.ToLMTP(server + " " + address)
		}
		return migrate.ToHost(address, c.relay(strings.TrimPrefix(h.nexthop, "inet:"), "lmtp"))
	case byError:
		return migrate.Refused
	case byDiscard:
		return migrate.Discarded
	}
	return migrate.Untold("transport " + h.transport)
}

// lmtpServer is the next hop of LMTP as it is behind +lmtp: a socket, or an
// address with a port. One that has a name is none.
func (c *config) lmtpServer(nexthop string) (server string, ok bool) {
	if name, unix := strings.CutPrefix(nexthop, "unix:"); unix {
		if !strings.HasPrefix(name, "/") {
			name = path.Join(c.main.get("queue_directory"), name)
		}
		return "unix:" + name, true
	}
	host, port := splitHop(strings.TrimPrefix(nexthop, "inet:"))
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if port == "" || port == "lmtp" {
		port = "24"
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return "", false
	}
	if a.Is6() {
		return "inet:[" + a.String() + "]:" + port, true
	}
	return "inet:" + a.String() + ":" + port, true
}

// relay is a next hop as routes have it: host or host:port. A service's name is
// its port.
func (c *config) relay(nexthop, protocol string) string {
	host, port := splitHop(nexthop)
	if host == "" {
		return ""
	}
	switch port {
	case "smtp":
		port = "25"
	case "submission":
		port = "587"
	case "submissions", "smtps":
		port = "465"
	case "lmtp":
		port = "24"
	}
	return migrate.Relay(protocol, "["+host+"]:"+port)
}

// splitHop takes [host]:port or host:port apart.
func splitHop(nexthop string) (host, port string) {
	nexthop, _, _ = strings.Cut(nexthop, ",") // further ones are asked if the first does not answer
	nexthop = strings.TrimSpace(nexthop)
	if rest, found := strings.CutPrefix(nexthop, "["); found {
		host, after, _ := strings.Cut(rest, "]")
		return strings.TrimPrefix(host, "ipv6:"), strings.TrimPrefix(after, ":")
	}
	if at := strings.LastIndexByte(nexthop, ':'); at >= 0 && strings.IndexByte(nexthop, ':') == at {
		return nexthop[:at], nexthop[at+1:]
	}
	return nexthop, ""
}
