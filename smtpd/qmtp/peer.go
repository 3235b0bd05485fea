package qmtp

import (
	"net/netip"
	"strconv"

	"postrider/internal/tcprules"
)

// unknown stands in the Received line for what is not known (spec 6.1).
const unknown = "unknown"

// peer is what is known about the client and the connection: the variables of
// spec section 6.1, from the environment or from tcp.smtp and the socket.
type peer struct {
	ip      string
	port    string
	host    string
	info    string
	hasInfo bool
	local   string // the "by" name of the Received line

	relay       bool // RELAYCLIENT is set: rcpthosts does not count
	relaySuffix string

	limited   bool // DATABYTES is set
	databytes int64

	// refusal is the text of RBLSMTPD: every message is refused.
	refusal string
	// filter is the QMAILQUEUE program that this client's mail must pass.
	filter string
}

// newPeer reads the variables. get is the environment of a classic program,
// or a rule of tcp.smtp in front of what the socket tells.
func newPeer(get func(name string) (value string, set bool)) peer {
	or := func(name, missing string) string {
		if value, set := get(name); set {
			return value
		}
		return missing
	}
	p := peer{
		ip:      or("TCPREMOTEIP", unknown),
		port:    or("TCPREMOTEPORT", ""),
		host:    or("TCPREMOTEHOST", unknown),
		local:   or("TCPLOCALHOST", or("TCPLOCALIP", unknown)),
		refusal: or("RBLSMTPD", ""),
		filter:  or("QMAILQUEUE", ""),
	}
	p.info, p.hasInfo = get("TCPREMOTEINFO")
	p.relaySuffix, p.relay = get("RELAYCLIENT")
	if text, set := get("DATABYTES"); set {
		p.limited, p.databytes = true, leadingNumber(text)
	}
	return p
}

// leadingNumber is the number that a text begins with, or 0; one that is too
// large is no limit either.
func leadingNumber(text string) int64 {
	digits := 0
	for digits < len(text) && '0' <= text[digits] && text[digits] <= '9' {
		digits++
	}
	n, err := strconv.ParseInt(text[:digits], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// variables are those of tcpserver: the rule's, else what the socket tells.
func variables(rule tcprules.Decision, remote, local netip.AddrPort, me string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if value, set := rule.Lookup(name); set || rule.Unsets(name) {
			return value, set
		}
		switch name {
		case "TCPREMOTEIP":
			return remote.Addr().String(), true
		case "TCPREMOTEPORT":
			return strconv.Itoa(int(remote.Port())), true
		case "TCPLOCALIP":
			return local.Addr().String(), true
		case "TCPLOCALHOST":
			return me, me != ""
		}
		return "", false
	}
}
