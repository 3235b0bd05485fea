// Package idn makes one of the two spellings of an internationalized domain:
// its A-label form, in ASCII, and its U-label form, in UTF-8 (RFC 5890).
//
// Whoever compares or looks up domains may import it. Its input is hostile.
// Nothing is mapped: a domain that is not in U-label form, with a capital letter
// outside ASCII or a compatibility character, has no other spelling, and is not
// taken for a domain that it only looks like.
package idn

import (
	"errors"
	"strings"

	"golang.org/x/net/idna"
)

// ErrDomain is returned for a domain whose labels are no U-labels.
var ErrDomain = errors.New("not a valid internationalized domain")

// profile checks labels and maps nothing (RFC 5891 section 5).
var profile = idna.New(idna.ValidateLabels(true), idna.CheckJoiners(true), idna.BidiRule(), idna.VerifyDNSLength(false))

// maxDomain is the longest domain name in octets, in either spelling.
const maxDomain = 1002

// ASCII returns the A-label form of a domain, with ASCII letters in lower case.
// A domain in ASCII is only lowered.
func ASCII(domain string) (string, error) {
	lowered, ascii := lower(domain)
	if ascii {
		return lowered, nil
	}
	if len(domain) > maxDomain {
		return "", ErrDomain
	}
	converted, err := profile.ToASCII(lowered)
	if err != nil {
		return "", ErrDomain
	}
	// What is in a label is checked on its way back only.
	if back, err := profile.ToUnicode(converted); err != nil || back != lowered {
		return "", ErrDomain
	}
	if _, ascii := lower(converted); !ascii {
		return "", ErrDomain
	}
	return converted, nil
}

// Key returns what domains are compared by: the A-label form, or for a domain
// that has none its octets, with ASCII letters in lower case. A suffix keeps the
// dots that it begins with.
func Key(domain string) string {
	name := strings.TrimLeft(domain, ".")
	key, err := ASCII(name)
	if err != nil {
		key, _ = lower(name)
	}
	if key == name {
		return domain
	}
	return domain[:len(domain)-len(name)] + key
}

// AddressKey is Key for the domain of an address; of the local part, ASCII
// letters are in lower case. Without an at sign all of it is a domain.
func AddressKey(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return Key(address)
	}
	local, _ := lower(address[:at])
	domain := Key(address[at+1:])
	if len(local)+1+len(domain) == len(address) && address[:at] == local && address[at+1:] == domain {
		return address
	}
	return local + "@" + domain
}

// lower changes ASCII letters only, and reports whether there are no others.
func lower(s string) (lowered string, ascii bool) {
	ascii = true
	change := false
	for i := range len(s) {
		ascii = ascii && s[i] < 0x80
		change = change || 'A' <= s[i] && s[i] <= 'Z'
	}
	if !change {
		return s, ascii
	}
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b), ascii
}
