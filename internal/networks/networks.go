// Package networks is lists of addresses and networks of hosts, as control
// files such as proxyhosts have them.
//
// Network daemons import it. Lines are the administrator's, addresses a
// stranger's.
package networks

import (
	"fmt"
	"net/netip"
)

// List holds networks; an address is a network of one.
type List []netip.Prefix

// Parse reads addresses, and networks in CIDR notation. A line that is neither
// is an error: half a list could let somebody in, or keep him out.
func Parse(lines []string) (List, error) {
	var list List
	for _, line := range lines {
		if err := list.Add(line); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Add reads one line, and adds it.
func (l *List) Add(line string) error {
	n, err := netip.ParsePrefix(line)
	if err != nil {
		var addr netip.Addr
		addr, err = netip.ParseAddr(line)
		n = netip.PrefixFrom(addr, addr.BitLen())
	}
	if err != nil || n.Addr().Is4In6() {
		return fmt.Errorf("%q is neither an address nor a network such as 192.0.2.0/24", line)
	}
	*l = append(*l, n)
	return nil
}

// Has reports whether an address is in one of the networks.
func (l List) Has(addr netip.Addr) bool {
	addr = addr.WithZone("")
	for _, n := range l {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}
