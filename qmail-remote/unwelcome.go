package qmailremote

import (
	"slices"
	"strings"
)

// addressWords are what servers say when they refuse because of the address
// that a connection comes from: it has no name or is on a list. A wrong guess
// costs one more connection, from another address.
var addressWords = []string{
	"ptr", "reverse", "rdns", "fcrdns",
	"rbl", "dnsbl", "dnsrbl", "blacklist", "blacklisted", "blocklist", "blocklisted", "blackhole", "denylist", "denylisted",
	"spamhaus", "spamcop", "barracudacentral", "sorbs", "uceprotect", "senderscore",
	"reputation",
}

// addressCodes are enhanced codes that say so: no name of the address (RFC 7372).
var addressCodes = []string{".7.25"}

// blamesAddress reports whether a refusal is about the address that we come
// from, so that another one may be better.
func blamesAddress(text string) bool {
	if len(text) < 3 || text[0] != '4' && text[0] != '5' {
		return false
	}
	if words := strings.Fields(text[3:min(len(text), 40)]); len(words) > 0 && isEnhanced(strings.TrimPrefix(words[0], "-")) {
		for _, code := range addressCodes {
			if strings.HasSuffix(words[0], code) {
				return true
			}
		}
	}
	for word := range strings.FieldsFuncSeq(strings.ToLower(text), endsWord) {
		if slices.Contains(addressWords, word) {
			return true
		}
	}
	return false
}

// endsWord is true for what separates words.
func endsWord(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }

// unwelcome reports whether a message went nowhere because of our address: then
// it may be sent from another one in the same attempt.
func (o outcome) unwelcome() bool {
	if o.message.unwelcome {
		return true
	}
	blamed := false
	for _, r := range o.recipients {
		if r.class == rcptTaken {
			return false
		}
		blamed = blamed || r.unwelcome
	}
	return blamed && o.message.class != accepted
}
