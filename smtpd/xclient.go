package smtpd

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"postrider/internal/sessionlimit"
	"postrider/internal/tcprules"
)

// xclientNames are the attributes of XCLIENT, as EHLO offers them.
const xclientNames = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"

// xclients is what XCLIENT needs; only clients in control/xclienthosts have it.
type xclients struct {
	limits        *sessionlimit.Counter
	remote, local netip.AddrPort // those of now
	name          string         // "": that of the rule
	login         string
}

// attributes are what one command says. A value is "" where the client says
// that it is not known.
type attributes map[string]string

// Values that say that there is none.
const (
	notKnown = "[UNAVAILABLE]"
	notNow   = "[TEMPUNAVAIL]"
)

// xclient answers XCLIENT: a host that is trusted passes on what it knows of
// its own client, and the session begins anew as that client's (Postfix's
// XCLIENT_README). What a command does not name stays as it was, but for who has
// logged in. The client itself may be what speaks next: unless it is one that
// may say XCLIENT, nobody may any more.
func (s *session) xclient(argument string) reply {
	switch {
	case s.xclients == nil:
		return replyUnimplemented
	case s.state == chunks:
		return replyInChunks
	case s.state != ready:
		return replyInMail
	}
	told, ok := parseAttributes(argument)
	if !ok {
		return replyXclientSyntax
	}
	next := *s.xclients
	if !next.take(told) {
		return replyXclientSyntax
	}
	s.logOut()
	if r := s.become(next); r.code != 0 {
		return r
	}
	s.startOver()
	if helo := told["HELO"]; helo != "" {
		s.greeted, s.heloName = true, helo
	}
	return greetingReply(s.settings.greeting)
}

// become makes the session that of another client; the zero reply is consent.
func (s *session) become(next xclients) reply {
	client := next.remote.Addr()
	rule, err := s.settings.rules.Match(tcprules.Client{IP: client})
	if err != nil {
		s.logProblem("tcp.smtp.cdb", err)
		return replyNoControls
	}
	if rule.Deny {
		return replyDenied
	}
	if client != s.client {
		if r := s.rates.connect(client, newAllowance(rule.Lookup).or(s.settings.allowance), s.clock.Now()); r.code != 0 {
			return r
		}
		s.xclients.limits.Leave(s.client)
		if r := tooMany(s.xclients.limits.Enter(client, s.settings.concurrency, s.settings.concurrencyIP)); r.code != 0 {
			s.client = netip.Addr{} // counted nowhere
			return r
		}
	}
	s.client = client
	if s.xclients = nil; s.settings.xclientHosts.Has(client) {
		s.xclients = &next
	}
	s.peer = newPeer(variables(rule, next.remote, next.local, s.settings))
	if next.name != "" {
		s.peer.host = next.name
	}
	if next.login != "" { // the host has checked who it is
		if s.login == nil {
			s.login = &login{}
		}
		s.login.method = "XCLIENT"
		s.logIn(next.login)
	}
	return reply{}
}

// take applies attributes; false means that a value is none.
func (x *xclients) take(told attributes) (ok bool) {
	ok = true
	address := func(name string, at *netip.AddrPort) {
		value, said := told[name]
		if !said {
			return
		}
		if value == "" { // nobody's, and no rule is for it
			value = "0.0.0.0"
		}
		addr, err := parseAddress(value)
		ok = ok && err == nil
		*at = netip.AddrPortFrom(addr, at.Port())
	}
	port := func(name string, at *netip.AddrPort) {
		value, said := told[name]
		if !said {
			return
		}
		n, err := strconv.ParseUint(value, 10, 16)
		ok = ok && (err == nil || value == "")
		*at = netip.AddrPortFrom(at.Addr(), uint16(n))
	}
	text := func(name string, into *string) {
		if value, said := told[name]; said {
			*into = value
		}
	}
	address("ADDR", &x.remote)
	port("PORT", &x.remote)
	address("DESTADDR", &x.local)
	port("DESTPORT", &x.local)
	text("NAME", &x.name)
	x.login = told["LOGIN"] // of the client before, it says nothing about this one
	proto := strings.ToUpper(told["PROTO"])
	return ok && (proto == "" || proto == "SMTP" || proto == "ESMTP")
}

func parseAddress(text string) (netip.Addr, error) {
	const v6 = "IPV6:"
	if len(text) > len(v6) && strings.EqualFold(text[:len(v6)], v6) {
		text = text[len(v6):]
	}
	addr, err := netip.ParseAddr(text)
	return addr.Unmap().WithZone(""), err
}

// parseAttributes takes "NAME=value ...", the values in xtext (RFC 3461 section
// 4).
func parseAttributes(argument string) (attributes, bool) {
	told := make(attributes)
	for _, field := range strings.Fields(argument) {
		name, coded, found := strings.Cut(field, "=")
		name = strings.ToUpper(name)
		value, ok := fromXtext(coded)
		if _, twice := told[name]; !found || !ok || twice || len(value) > maxPath || !strings.Contains(" "+xclientNames+" ", " "+name+" ") {
			return nil, false
		}
		if upper := strings.ToUpper(value); upper == notKnown || upper == notNow {
			value = ""
		}
		told[name] = value
	}
	return told, len(told) > 0
}

// fromXtext decodes "+" with two digits behind it. Control characters are no
// part of what an attribute can be.
func fromXtext(coded string) (text string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(coded); i++ {
		c := coded[i]
		if c == '+' {
			if i+3 > len(coded) {
				return "", false
			}
			octet, err := hex.DecodeString(coded[i+1 : i+3])
			if err != nil {
				return "", false
			}
			c = octet[0]
			i += 2
		}
		if c < ' ' || c == 0x7f {
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}
