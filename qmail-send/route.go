package qmailsend

import "strings"

// channelID is one of qmail's two ways out.
type channelID int

const (
	local channelID = iota
	remote
	channels // how many there are
)

// router decides where a recipient goes. It is never changed after it was
// made: HUP makes a new one.
type router struct {
	locals      map[string]bool   // domains in lower case
	virtual     map[string]string // virtualdomains; keys in lower case
	percentHack map[string]bool   // domains in lower case
	envNoAtHost string
}

// route returns the channel and the rewritten address of an envelope
// recipient, in exactly the order of spec 2.2.
func (r *router) route(recipient string) (channelID, string) {
	at := strings.LastIndexByte(recipient, '@')
	if at < 0 {
		at = len(recipient)
		recipient += "@" + r.envNoAtHost
	}
	for r.percentHack[lower(recipient[at+1:])] {
		percent := strings.LastIndexByte(recipient[:at], '%')
		if percent < 0 {
			break
		}
		recipient = recipient[:percent] + "@" + recipient[percent+1:at]
		at = percent
	}
	if r.locals[lower(recipient[at+1:])] {
		return local, recipient
	}
	if prepend := r.prepend(lower(recipient), at); prepend != "" {
		return local, prepend + "-" + recipient
	}
	return remote, recipient
}

// prepend returns the value of the first virtualdomains line for an address in
// lower case with its @ at the given place; "" means not virtual.
func (r *router) prepend(address string, at int) string {
	if value, found := r.virtual[address]; found {
		return value
	}
	return r.domainPrepend(address[at+1:])
}

// domainPrepend looks up domain, each of its suffixes that begin at a dot, and
// the empty key.
func (r *router) domainPrepend(domain string) string {
	for i := 0; i <= len(domain); i++ {
		if i > 0 && i < len(domain) && domain[i] != '.' {
			continue
		}
		if value, found := r.virtual[domain[i:]]; found {
			return value
		}
	}
	return ""
}

// strip returns a rewritten address without the prepend of a domain, suffix or
// catch-all line of virtualdomains, as bounces show it. qmail does not strip
// that of a user@domain line (spec 2.6).
func (r *router) strip(recipient string) string {
	at := strings.LastIndexByte(recipient, '@')
	if at < 0 {
		return recipient
	}
	prepend := r.domainPrepend(lower(recipient[at+1:]))
	if prepend == "" {
		return recipient
	}
	if rest, found := strings.CutPrefix(recipient, prepend+"-"); found {
		return rest
	}
	return recipient
}

// domainOf returns what follows the last @, in lower case.
func domainOf(address string) string {
	return lower(address[strings.LastIndexByte(address, '@')+1:])
}

// lower changes ASCII letters only: other bytes are opaque (spec 0.3).
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if 'A' <= b[j] && b[j] <= 'Z' {
					b[j] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
