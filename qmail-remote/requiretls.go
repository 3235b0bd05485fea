package qmailremote

import (
	"context"
	"net/netip"
	"strings"
)

// A message with REQUIRETLS (RFC 8689) goes by verified TLS, to a host whose
// name is vouched for and that will keep to that, too, or not at all. Trouble of
// the connection is temporary as ever; a host that answers and cannot have the
// message is not tried again for it, and if none of a domain can, it fails.

// promise returns what a connection to a target must have for such a message.
func (p *tlsPlan) promise(ctx context.Context, t target, host string) (*security, *report) {
	if t.protocol == qmtp {
		return nil, noRequireTLS(t.addr.Addr())
	}
	want := p.byLine(t, host)
	if want != nil && want.level == inPlain {
		return nil, unkept("7.10", "The sender asks for TLS, and "+printable(p.asker())+" for none.")
	}
	if want == nil || want.level == encrypted {
		var fault *report
		if want, fault = p.vouched(ctx, t, host); fault != nil {
			return nil, fault
		}
	}
	// Old versions of TLS are not what the sender thinks of (section 4.2.1).
	want.require, want.old = true, false
	want.key = "requiretls " + want.key
	return want, nil
}

// vouched asks for a certificate of the host, if it is certain that it takes the
// mail of the domain: the administrator names it, or a signed zone, or the
// domain's MTA-STS policy.
func (p *tlsPlan) vouched(ctx context.Context, t target, host string) (*security, *report) {
	if host == "" {
		return nil, unkept("7.10", t.addr.Addr().String()+" has no name that its certificate could be for, as REQUIRETLS asks.")
	}
	want, fault := p.askDNS(ctx, t, host)
	if fault != nil || want != nil && want.level == byDNS {
		return want, fault
	}
	named := &security{level: byAuthority, by: "REQUIRETLS", word: "name", sni: host, names: []string{host}, key: "name " + host}
	if t.route {
		return named, nil
	}
	switch authentic, err := p.authenticExchanger(ctx, host); {
	case err != nil:
		return nil, lookupFailed(host, err)
	case authentic:
		return named, nil
	}
	sts, fault := p.askSTS(t, host)
	switch {
	case fault != nil:
		return nil, fault
	case sts == nil:
		return nil, unkept("7.30", "Neither signed DNS records nor a policy of MTA-STS say that "+printable(host)+" takes the mail of "+
			printable(p.domain)+", as REQUIRETLS asks.")
	}
	sts.trial = false
	return sts, nil
}

// keepsPromise returns why a session that has begun cannot have what is wanted.
func (s *session) keepsPromise(want *security) *report {
	if want.require && (s.tls == nil || !s.ext.requireTLS) {
		return noRequireTLS(s.ip())
	}
	return nil
}

// unkept says why a host cannot have a message with REQUIRETLS. code is the
// enhanced code without its class: journey.end decides about that.
func unkept(code, text string) *report {
	return &report{class: deferred, text: text + " (#4." + code + ")\n", tls: true, never: code}
}

// fault is that of a host that does not have what is wanted: with REQUIRETLS it
// cannot have the message, and else it may mend that.
func (w *security) fault(text, code, never string) *report {
	if w.require {
		return unkept(never, text)
	}
	return tlsFault(text + " (#4." + code + ")\n")
}

func noRequireTLS(ip netip.Addr) *report {
	return unkept("7.30", ip.String()+" does not offer REQUIRETLS, which the sender asks for.")
}

// count notes a target that cannot have the message whenever it is asked.
func (j *journey) count(fault *report) {
	if fault.never != "" {
		j.never++
	}
}

// end is what becomes of a message that no target settled. Where all were asked
// and none can have it, the sender has to hear of it (RFC 8689 section 4.2.1).
func (j *journey) end() outcome {
	code := j.last.message.never
	if code == "" || j.never < len(j.targets) {
		return j.last
	}
	o := j.last
	o.message.class = failed
	o.message.text = strings.Replace(o.message.text, "(#4."+code+")", "(#5."+code+")", 1)
	return o
}

// waived reports whether the sender rather has the message arrive than kept from
// those whom policies of the recipient's domain are about: "TLS-Required: No"
// (RFC 8689 section 4.3). What the administrator asks for stays.
func (p *tlsPlan) waived() bool {
	if p.body == nil {
		return false
	}
	if p.waiver == nil {
		said := p.saysNo()
		p.waiver = &said
	}
	return *p.waiver
}

// saysNo looks for the field TLS-Required; one that is there twice, or that
// cannot be read, says nothing.
func (p *tlsPlan) saysNo() bool {
	h, err := p.client.header(p.ctx, p.body)
	if err != nil {
		return false
	}
	value, one := h.Only("tls-required")
	return one && strings.EqualFold(strings.TrimSpace(value), "no")
}
