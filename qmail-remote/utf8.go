package qmailremote

import (
	"net/netip"

	"postrider/internal/address"
	"postrider/internal/idn"
)

// needsUTF8 reports whether the next host must offer SMTPUTF8: an address is not
// in ASCII, or the client said so and the header is not (RFC 6531 section 3.2).
func (m mail) needsUTF8() bool {
	if !isASCII(m.sender.String()) || m.facts.UTF8 && m.body.eightBitHeader {
		return true
	}
	for _, r := range m.recipients {
		if !isASCII(r.String()) {
			return true
		}
	}
	return false
}

// inASCII returns the message for a server without SMTPUTF8: an address whose
// local part is in ASCII has its domain in ASCII, too. refused has a report at
// the place of each recipient that has none such; never is not nil if nothing of
// the message can be sent.
func inASCII(ip netip.Addr, m mail) (part mail, refused []report, never *report) {
	if !m.needsUTF8() {
		return m, nil, nil
	}
	sender, ok := asciiAddress(m.sender)
	if !ok || m.facts.UTF8 && m.body.eightBitHeader {
		return m, nil, noUTF8(ip)
	}
	m.sender = sender
	refused = make([]report, len(m.recipients))
	recipients := make([]address.Address, len(m.recipients))
	var places []int
	for i, r := range m.recipients {
		if recipients[i], ok = asciiAddress(r); ok {
			places = append(places, i)
		} else {
			refused[i] = report{class: rcptNever, text: noUTF8(ip).text}
		}
	}
	m.recipients = recipients
	if len(places) == 0 {
		return m, refused, noRecipientLeft()
	}
	return m.only(places), refused, nil
}

// asciiAddress returns the address with its domain in A-label form.
func asciiAddress(a address.Address) (address.Address, bool) {
	switch {
	case isASCII(a.String()):
		return a, true
	case !isASCII(a.Local()):
		return a, false
	}
	domain, err := idn.ASCII(a.Domain())
	if err != nil {
		return a, false
	}
	a, err = address.New(a.Local() + "@" + domain)
	return a, err == nil
}

func noUTF8(ip netip.Addr) *report {
	return &report{class: failed, text: ip.String() + " does not take addresses or header fields in UTF-8. (#5.6.7)\n"}
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
