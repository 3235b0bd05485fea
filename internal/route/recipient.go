package route

import (
	"strings"

	"postrider/internal/idn"
)

// Channel is one of qmail's two ways out.
type Channel int

// The channels.
const (
	Local Channel = iota
	Remote
	Channels // how many there are
)

func (c Channel) String() string {
	if c == Local {
		return "local"
	}
	return "remote"
}

// Of returns the channel and the rewritten address of an envelope recipient, in
// exactly the order of spec 2.2. One that SRS has made is first what it stands for.
func (t *Table) Of(recipient string) (Channel, string) {
	if t.srs != nil && t.srs.IsOurs(recipient) {
		if sender, err := t.srs.Reverse(recipient); err == nil {
			recipient = sender
		}
	}
	at := strings.LastIndexByte(recipient, '@')
	if at < 0 {
		at = len(recipient)
		recipient += "@" + t.envNoAtHost
	}
	for t.percentHack[idn.Key(recipient[at+1:])] {
		percent := strings.LastIndexByte(recipient[:at], '%')
		if percent < 0 {
			break
		}
		recipient = recipient[:percent] + "@" + recipient[percent+1:at]
		at = percent
	}
	if t.locals[idn.Key(recipient[at+1:])] {
		return Local, recipient
	}
	if prepend := t.prepend(idn.AddressKey(recipient)); prepend != "" {
		return Local, prepend + "-" + recipient
	}
	return Remote, recipient
}

// prepend returns the value of the first virtualdomains line for the key of an
// address; "" means not virtual.
func (t *Table) prepend(key string) string {
	if value, found := t.virtual[key]; found {
		return value
	}
	return t.domainPrepend(key[strings.LastIndexByte(key, '@')+1:])
}

// domainPrepend looks up domain, each of its suffixes that begin at a dot, and
// the empty key.
func (t *Table) domainPrepend(domain string) string {
	for i := 0; i <= len(domain); i++ {
		if i > 0 && i < len(domain) && domain[i] != '.' {
			continue
		}
		if value, found := t.virtual[domain[i:]]; found {
			return value
		}
	}
	return ""
}

// Strip returns a rewritten address without the prepend of a domain, suffix or
// catch-all line of virtualdomains, as bounces show it. qmail does not strip
// that of a user@domain line (spec 2.6).
func (t *Table) Strip(recipient string) string {
	at := strings.LastIndexByte(recipient, '@')
	if at < 0 {
		return recipient
	}
	prepend := t.domainPrepend(idn.Key(recipient[at+1:]))
	if prepend == "" {
		return recipient
	}
	if rest, found := strings.CutPrefix(recipient, prepend+"-"); found {
		return rest
	}
	return recipient
}

// DomainOf returns what follows the last @, as domains are compared: both
// spellings of an internationalized one are the same.
func DomainOf(address string) string {
	return idn.Key(address[strings.LastIndexByte(address, '@')+1:])
}
