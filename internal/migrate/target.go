package migrate

import (
	"strings"
)

// TargetKind is what kind of thing an address leads to.
type TargetKind int

// The kinds of targets.
const (
	Forward TargetKind = iota // to the address Text
	Rest                      // to what is left of the local part, at the domain Text; what is before its @ goes in front
	Box                       // the file Text: a Maildir with a slash at its end, else an mbox
	Run                       // the program line Text, for a shell
	Hand                      // LMTP, Text as behind +lmtp
	Refuse                    // for good; Text is what the sender is told
	Throw                     // away
)

// Target is one of the things that an address leads to.
type Target struct {
	Kind TargetKind
	Text string
}

// Lower folds ASCII letters only: local parts are bytes.
func Lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// Split takes an address apart at its last @.
func Split(address string) (local, domain string) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address, ""
	}
	return address[:at], address[at+1:]
}
