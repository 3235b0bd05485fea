package qmailremote

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"postrider/internal/address"
	"postrider/internal/control"
	"postrider/internal/idn"
)

// source is an address of this host that connections come from, and the name
// that goes with it. The zero address is the system's choice.
type source struct {
	addr netip.Addr
	helo string // empty: helohost
	from string // key of senders; empty: all
	to   string // key of recipients' domains; empty: all
	// proxy is through which they go, if it is valid.
	proxy netip.AddrPort
}

// maxSources bounds control/outgoingip.
const maxSources = 1000

// readSources reads control/outgoingip: an address each, then words: from=
// and to= say for which mail it is, helo= says by which name others are greeted,
// and socks= through which proxy the connections go.
func readSources(dir control.Dir) ([]source, error) {
	var list []source
	_, err := dir.Each("outgoingip", func(line string) error {
		if len(list) == maxSources {
			return fmt.Errorf("more than %d addresses", maxSources)
		}
		s, err := parseSource(line)
		if err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		list = append(list, s)
		return nil
	})
	return list, err
}

func parseSource(line string) (source, error) {
	words := strings.Fields(line)
	literal := words[0]
	if !strings.HasPrefix(literal, "[") {
		literal = "[" + literal + "]"
	}
	addr, ok := parseLiteral(literal)
	if !ok || addr.IsMulticast() {
		return source{}, errors.New("not an address")
	}
	if addr.IsUnspecified() {
		addr = netip.Addr{} // "0.0.0.0" is the system's choice
	}
	s := source{addr: addr}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		if name == "socks" && !s.proxy.IsValid() {
			var err error
			if s.proxy, err = parseProxy(value); err != nil {
				return source{}, err
			}
			continue
		}
		var field *string
		switch name {
		case "helo":
			field = &s.helo
		case "from":
			field = &s.from
		case "to":
			field = &s.to
		default:
			return source{}, fmt.Errorf("%q is not helo=, from=, to= or socks=", word)
		}
		if value == "" || *field != "" || strings.ContainsAny(value, "\r\n\x00") {
			return source{}, fmt.Errorf("%s= needs one value", name)
		}
		*field = value
		if name != "helo" {
			*field = routeKey(value)
		}
	}
	if s.proxy.IsValid() && s.addr.IsValid() && s.addr.Is4() != s.proxy.Addr().Is4() {
		return source{}, errors.New("no connection to the proxy can come from that address")
	}
	return s, nil
}

// sourcesFor returns the addresses that a message may be sent from, the best
// first: those for its sender, else those for its destination, else those for
// all mail. Without any, the system chooses.
func (set *settings) sourcesFor(sender address.Address, domain string) []source {
	if len(set.sources) == 0 {
		return anySource
	}
	from, domainOf, to := routeKey(sender.String()), idn.Key(sender.Domain()), idn.Key(domain)
	best := 0
	var list []source
	for _, s := range set.sources {
		rank := 1
		if s.from != "" {
			if s.from != from && !isOrBelow(domainOf, strings.TrimPrefix(s.from, "@")) {
				continue
			}
			rank += 2
		}
		if s.to != "" {
			if !isOrBelow(to, s.to) {
				continue
			}
			rank++
		}
		if rank > best {
			best, list = rank, nil
		}
		if rank == best {
			list = append(list, s)
		}
	}
	if list == nil {
		return anySource
	}
	return list
}

var anySource = []source{{}}

// isOrBelow reports whether a domain is key, or below it if key begins with a
// dot.
func isOrBelow(domain, key string) bool {
	if key == "" || domain == "" {
		return false
	}
	if key[0] == '.' {
		return strings.HasSuffix(domain, key)
	}
	return domain == key
}

// fits reports whether a connection to addr can come from the source.
func (s source) fits(addr netip.Addr) bool {
	return !s.addr.IsValid() || s.proxy.IsValid() || s.addr.Is4() == addr.Is4()
}
