// Package listener reads the lines of control/smtplisten and its siblings:
// where to listen, and what is served there.
//
// qmail-start reads them to open the sockets; a daemon gets the words of a line
// with each of its sockets. Lines are the administrator's.
package listener

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Address is one to listen on. An optional one is left out on a machine that
// has no such family.
type Address struct {
	netip.AddrPort
	Optional bool
}

// Parse reads "address:port", "[address]:port", or ":port" for all addresses
// of both families, and words behind it, each of which must be among those
// that are known.
func Parse(line string, known []string) (addresses []Address, words []string, err error) {
	fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(fields) == 0 {
		return nil, nil, errors.New("no address")
	}
	for i, word := range fields[1:] {
		if !slices.Contains(known, word) {
			if len(known) == 0 {
				return nil, nil, fmt.Errorf("%q: nothing may follow the address", word)
			}
			return nil, nil, fmt.Errorf("%q is none of: %s", word, strings.Join(known, ", "))
		}
		if slices.Contains(fields[1:i+1], word) {
			return nil, nil, fmt.Errorf("%q stands there twice", word)
		}
	}
	addresses, err = parseAddress(fields[0])
	return addresses, fields[1:], err
}

func parseAddress(text string) ([]Address, error) {
	if port, all := strings.CutPrefix(text, ":"); all {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return nil, errors.New("no port number from 1 to 65535 after the colon")
		}
		return []Address{
			{netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(n)), false},
			{netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(n)), true},
		}, nil
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil || at.Port() == 0 {
		return nil, errors.New("not address:port, [address]:port or :port")
	}
	if at.Addr().Is4In6() {
		return nil, errors.New("an IPv4 address is written without ::ffff:")
	}
	if zone := at.Addr().Zone(); zone != "" && strings.Trim(zone, "0123456789") != "" {
		return nil, errors.New("an interface is named by its number after %")
	}
	return []Address{{at, false}}, nil
}
