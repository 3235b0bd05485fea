package qmailremote

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"postrider/internal/idn"
)

// relay is where control/smtproutes sends the mail of a domain: a name whose
// addresses count, not its mail exchangers, or an address.
type relay struct {
	name string
	addr netip.Addr // valid if the route gives an address
	port uint16
}

// routeFor finds the relay for host: the host itself, then each of its
// suffixes from a dot on, then the empty key. The first key found decides; an
// empty value sends back to the mail exchangers (spec 5.3.1).
func routeFor(routes map[string]string, host string) (r relay, found bool, err error) {
	host = idn.Key(host)
	for i := 0; i <= len(host); i++ {
		if i > 0 && i < len(host) && host[i] != '.' {
			continue
		}
		value, ok := routes[host[i:]]
		switch {
		case !ok:
			continue
		case value == "":
			return relay{}, false, nil
		}
		if r, err = parseRelay(value); err != nil {
			// Not the value: it may hold a password meant for a patched qmail.
			return relay{}, false, fmt.Errorf("route for %q: %w", host[i:], err)
		}
		return r, true, nil
	}
	return relay{}, false, nil
}

// parseRelay reads "relay" or "relay:port", where relay is a name, a dotted
// address, or one of either kind in brackets.
func parseRelay(value string) (relay, error) {
	if addr, err := netip.ParseAddr(value); err == nil {
		return relay{addr: addr.Unmap(), port: smtpPort}, nil
	}
	if strings.Contains(value, "|") {
		return relay{}, errors.New("user and password are not supported")
	}
	host, port, hasPort := strings.Cut(value, ":")
	if inner, ok := strings.CutPrefix(value, "["); ok {
		var closed bool
		host, port, closed = strings.Cut(inner, "]")
		if !closed {
			return relay{}, errors.New("bracket without its partner")
		}
		rest := port
		if port, hasPort = strings.CutPrefix(rest, ":"); !hasPort && rest != "" {
			return relay{}, errors.New("only a port may follow the bracket")
		}
	}
	r := relay{name: host, port: smtpPort}
	if addr, ok := parseLiteral("[" + host + "]"); ok {
		r = relay{addr: addr, port: smtpPort}
	} else if host == "" || strings.ContainsAny(host, " \t[]/") {
		return relay{}, errors.New("not a host name")
	}
	if hasPort && port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return relay{}, errors.New("not a port number")
		}
		r.port = uint16(n)
	}
	return r, nil
}

// parseLiteral reads a domain that is an address: "1.2.3.4", as qmail takes
// it, or the literals of RFC 5321 section 4.1.3, "[1.2.3.4]" and
// "[IPv6:2001:db8::1]"; the tag may be missing.
func parseLiteral(domain string) (netip.Addr, bool) {
	inner, bracket := strings.CutPrefix(domain, "[")
	if bracket {
		var closed bool
		if inner, closed = strings.CutSuffix(inner, "]"); !closed {
			return netip.Addr{}, false
		}
		if len(inner) > 5 && strings.EqualFold(inner[:5], "IPv6:") {
			inner = inner[5:]
		}
	}
	addr, err := netip.ParseAddr(inner)
	if err != nil || addr.Zone() != "" || (!bracket && !addr.Is4()) {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}
