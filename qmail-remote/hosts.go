package qmailremote

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
)

// maxHostsTold bounds the names of hosts that are told to qmail-send.
const maxHostsTold = 480

// hostsOf returns the names of a destination's hosts, sorted: domains with the
// same ones are one destination. A relay has its port if that is another.
func hostsOf(targets []target) []string {
	var hosts []string
	for _, t := range targets {
		for host := range strings.SplitSeq(t.host+t.also, "\n") {
			if name := t.nameOf(host); !slices.Contains(hosts, name) {
				hosts = append(hosts, name)
			}
		}
	}
	slices.Sort(hosts)
	return hosts
}

// nameOf is the name that is told of a host with that address.
func (t target) nameOf(host string) string {
	name := strings.Map(hostByte, strings.TrimSuffix(host, "."))
	if name == "" {
		name = t.addr.Addr().String()
	}
	if t.route && t.addr.Port() != smtpPort {
		name = fmt.Sprintf("%s:%d", name, t.addr.Port())
	}
	return name
}

// hostByte replaces what no name of a host has.
func hostByte(r rune) rune {
	switch {
	case 'A' <= r && r <= 'Z':
		return r + 'a' - 'A'
	case r <= ' ' || r > '~' || r == ',':
		return '?'
	}
	return r
}

// joined is hosts as qmail-send is told of them. Of very many the last word is a
// checksum of those that have no room.
func joined(hosts []string) string {
	size := 0
	for i, h := range hosts {
		if size += len(h) + 1; size > maxHostsTold && i > 0 {
			rest := strings.Join(hosts[i:], ",")
			return fmt.Sprintf("%s,+%08x", strings.Join(hosts[:i], ","), crc32.ChecksumIEEE([]byte(rest)))
		}
	}
	return strings.Join(hosts, ",")
}
