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
func (t *Table) Of(recipient string) (Channel, string) { return t.way(recipient, nil) }

// Reason is a step of Of.
type Reason struct {
	// File is the control file that decided.
	File string
	// Key is the entry in it, as it is compared; empty for a file of one line.
	Key string
	// Address is what the recipient is from there on.
	Address string
}

// Explain is Of, and says by what.
func (t *Table) Explain(recipient string) (c Channel, rewritten string, why []Reason) {
	c, rewritten = t.way(recipient, func(r Reason) { why = append(why, r) })
	return c, rewritten, why
}

// way is Of; note, if it is not nil, is told what decides.
func (t *Table) way(recipient string, note func(Reason)) (Channel, string) {
	if t.srs != nil && t.srs.IsOurs(recipient) {
		if sender, err := t.srs.Reverse(recipient); err == nil {
			recipient = sender
			if note != nil {
				note(Reason{File: "srssecret", Address: recipient})
			}
		}
	}
	at := strings.LastIndexByte(recipient, '@')
	if at < 0 {
		at = len(recipient)
		recipient += "@" + t.envNoAtHost
		if note != nil {
			note(Reason{File: "envnoathost", Address: recipient})
		}
	}
	for t.percentHack[idn.Key(recipient[at+1:])] {
		percent := strings.LastIndexByte(recipient[:at], '%')
		if percent < 0 {
			break
		}
		domain := recipient[at+1:]
		recipient = recipient[:percent] + "@" + recipient[percent+1:at]
		at = percent
		if note != nil {
			note(Reason{File: "percenthack", Key: idn.Key(domain), Address: recipient})
		}
	}
	domain := idn.Key(recipient[at+1:])
	if t.locals[domain] {
		if note != nil {
			note(Reason{File: t.localFile, Key: domain, Address: recipient})
		}
		return Local, recipient
	}
	prepend, key, found := t.prepend(idn.AddressKey(recipient))
	if prepend != "" {
		recipient = prepend + "-" + recipient
	}
	if found && note != nil {
		note(Reason{File: "virtualdomains", Key: key, Address: recipient})
	}
	if prepend != "" {
		return Local, recipient
	}
	return Remote, recipient
}

// prepend returns the value of the first virtualdomains line for the key of an
// address, and the key of that line; "" means not virtual.
func (t *Table) prepend(key string) (prepend, of string, found bool) {
	if value, found := t.virtual[key]; found {
		return value, key, true
	}
	return t.domainPrepend(key[strings.LastIndexByte(key, '@')+1:])
}

// domainPrepend looks up domain, each of its suffixes that begin at a dot, and
// the empty key.
func (t *Table) domainPrepend(domain string) (prepend, of string, found bool) {
	for i := 0; i <= len(domain); i++ {
		if i > 0 && i < len(domain) && domain[i] != '.' {
			continue
		}
		if value, found := t.virtual[domain[i:]]; found {
			return value, domain[i:], true
		}
	}
	return "", "", false
}

// Strip returns a rewritten address without the prepend of a domain, suffix or
// catch-all line of virtualdomains, as bounces show it. qmail does not strip
// that of a user@domain line (spec 2.6).
func (t *Table) Strip(recipient string) string {
	at := strings.LastIndexByte(recipient, '@')
	if at < 0 {
		return recipient
	}
	prepend, _, _ := t.domainPrepend(idn.Key(recipient[at+1:]))
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
