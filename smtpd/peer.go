package smtpd

import (
	"net/netip"
	"strings"
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
	localIP netip.Addr
	// localPort is known of clients with a filter.
	localPort string

	relay       bool // RELAYCLIENT is set: rcpthosts does not count
	relaySuffix string

	limited   bool // DATABYTES is set
	databytes int64

	noTLS bool // DISABLETLS is 1: STARTTLS is not for this client

	noAuth    bool // SMTPAUTH is - or 0: AUTH is not for this client
	needsAuth bool // SMTPAUTH begins with !: it must log in, or be one that may relay
	cram      bool // SMTPAUTH names CRAM-MD5
	openAuth  bool // FORCETLS is 0: AUTH without TLS

	// allowance replaces numbers of the control files.
	allowance allowance

	// exemption replaces what is checked by the DNS.
	exemption exemption

	// refusal is the text of RBLSMTPD: every recipient is refused.
	refusal   string
	noMilters bool // NOMILTERS is set: they are not asked about this client

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
		// Under tcpserver nothing counts over connections.
		allowance: newAllowance(get),
		exemption: newExemption(get),
		filter:    or("QMAILQUEUE", ""),
	}
	p.noTLS = or("DISABLETLS", "") == "1"
	_, p.noMilters = get("NOMILTERS")
	p.readAuth(or("SMTPAUTH", ""), or("FORCETLS", ""))
	if p.filter != "" {
		p.localPort = or("TCPLOCALPORT", "")
	}
	p.info, p.hasInfo = get("TCPREMOTEINFO")
	p.relaySuffix, p.relay = get("RELAYCLIENT")
	if text, set := get("DATABYTES"); set {
		p.limited, p.databytes = true, leadingNumber(text)
	}
	if addr, err := netip.ParseAddr(or("TCPLOCALIP", "")); err == nil {
		p.localIP = addr.Unmap()
	}
	return p
}

// literal returns the address of a domain such as [192.0.2.1] or
// [IPv6:2001:db8::1] (RFC 5321 section 4.1.3).
func literal(domain string) (netip.Addr, bool) {
	if !strings.HasPrefix(domain, "[") || !strings.HasSuffix(domain, "]") {
		return netip.Addr{}, false
	}
	text := domain[1 : len(domain)-1]
	if len(text) > len("IPv6:") && strings.EqualFold(text[:len("IPv6:")], "IPv6:") {
		text = text[len("IPv6:"):]
	}
	addr, err := netip.ParseAddr(text)
	return addr.Unmap(), err == nil
}
