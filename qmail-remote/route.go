package qmailremote

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"postrider/internal/address"
	"postrider/internal/idn"
)

// protocol is what is spoken to the next hop.
type protocol byte

const (
	smtp protocol = iota
	lmtp          // RFC 2033
	qmtp          // Quick Mail Transfer Protocol
)

// via says how a next hop is spoken to. It is the same for all its addresses.
type via struct {
	protocol protocol
	login    login
}

// words tell of a next hop what is neither its name nor its port. The password
// is not told.
func (v via) words() string {
	var words string
	switch v.protocol {
	case lmtp:
		words = " by LMTP"
	case qmtp:
		words = " by QMTP"
	}
	if v.login != (login{}) {
		words += ", logging in as " + strconv.Quote(v.login.user)
	}
	return words
}

// relay is where a route sends the mail of a domain or of a sender: a name
// whose addresses count, not its mail exchangers, or an address.
type relay struct {
	name string
	addr netip.Addr // valid if the route gives an address
	port uint16
	via
}

// routeTables are the files with routes.
type routeTables struct {
	senders map[string]string // control/authsenders
	lmtp    map[string]string // control/lmtproutes
	qmtp    map[string]string // control/qmtproutes
	logins  map[string]login  // control/remoteauth, by relay
}

// entry is the line of a file with routes that counts.
type entry struct {
	file, key string // no file: there is none
	exchanger bool   // it says that the mail exchangers count
}

// route finds the relay for a message; file is empty if mail exchangers count.
func (set *settings) route(sender address.Address, domain string) (r relay, file string, err error) {
	r, e, err := set.routeEntry(sender, domain)
	if e.exchanger {
		return r, "", err
	}
	return r, e.file, err
}

// routeEntry is route, and says by which line. A route of the sender counts more
// than one of the domain.
func (set *settings) routeEntry(sender address.Address, domain string) (r relay, e entry, err error) {
	if value, key := senderEntry(set.tables.senders, sender); value != "" {
		r, err = parseRelay(value, smtpPort)
		return set.withLogin(r), entry{file: "authsenders", key: key}, err
	}
	return set.domainEntry(domain)
}

// domainRoute finds the relay for a domain, as route does.
func (set *settings) domainRoute(domain string) (r relay, file string, err error) {
	return set.route(address.Address{}, domain)
}

// domainEntry finds the relay for a domain: by the domain itself, then each of
// its suffixes from a dot on, then the empty key. The first key found decides;
// an empty value sends back to the mail exchangers (spec 5.3.1).
func (set *settings) domainEntry(domain string) (r relay, e entry, err error) {
	host := idn.Key(domain)
	for i := 0; i <= len(host); i++ {
		if i > 0 && i < len(host) && host[i] != '.' {
			continue
		}
		value, file, p := set.lookUp(host[i:])
		switch {
		case file == "":
			continue
		case value == "":
			return relay{}, entry{file, host[i:], true}, nil
		}
		e = entry{file: file, key: host[i:]}
		if r, err = parseRelay(value, p.port()); err != nil {
			// Not the value: it may hold a password.
			return relay{}, e, fmt.Errorf("route for %q: %w", host[i:], err)
		}
		r.protocol = p
		return set.withLogin(r), e, nil
	}
	return relay{}, entry{}, nil
}

// lookUp finds a key in the files with routes.
func (set *settings) lookUp(key string) (value, file string, p protocol) {
	if value, ok := set.tables.lmtp[key]; ok {
		return value, "lmtproutes", lmtp
	}
	if value, ok := set.tables.qmtp[key]; ok {
		return value, "qmtproutes", qmtp
	}
	if value, ok := set.routes[key]; ok {
		return value, "smtproutes", smtp
	}
	return "", "", smtp
}

// port is where a protocol is spoken unless a route says otherwise.
func (p protocol) port() uint16 {
	switch p {
	case lmtp:
		return 24
	case qmtp:
		return 209
	}
	return smtpPort
}

// senderEntry finds the value for a sender, and its key: by the address itself,
// then from each "@" or dot on, with the "@" and without, then by the empty key.
func senderEntry(routes map[string]string, sender address.Address) (value, of string) {
	if len(routes) == 0 || sender.IsNull() {
		return "", ""
	}
	key := routeKey(sender.String())
	for i := 0; i < len(key); i++ {
		if i > 0 && key[i] != '@' && key[i] != '.' {
			continue
		}
		if value, ok := routes[key[i:]]; ok {
			return value, key[i:]
		}
		if key[i] == '@' {
			if value, ok := routes[key[i+1:]]; ok {
				return value, key[i+1:]
			}
		}
	}
	return routes[""], ""
}

// routeKey is a domain, or an address, as it is looked up: its domain as name
// servers know it.
func routeKey(s string) string {
	at := strings.LastIndexByte(s, '@')
	return strings.ToLower(s[:at+1]) + idn.Key(s[at+1:])
}

// parseRelay reads a route: "relay" or "relay:port", where relay is a name, a
// dotted address, or one of either kind in brackets. "|user|password" or
// " user password" may follow, and "|user||file" for a token in a file.
func parseRelay(value string, port uint16) (relay, error) {
	value, l, err := cutLogin(value)
	if err != nil {
		return relay{}, err
	}
	r, err := parseHostPort(value, port)
	r.login = l
	return r, err
}

func parseHostPort(value string, defaultPort uint16) (relay, error) {
	if addr, err := netip.ParseAddr(value); err == nil && addr.Zone() == "" {
		return relay{addr: addr.Unmap(), port: defaultPort}, nil
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
	r := relay{name: host, port: defaultPort}
	if addr, ok := parseLiteral("[" + host + "]"); ok {
		r = relay{addr: addr, port: defaultPort}
	} else if host == "" || strings.ContainsAny(host, " \t[]/|") {
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
