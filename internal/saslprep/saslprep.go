// Package saslprep brings names and passwords into the form by which they are
// compared (RFC 4013): what somebody types has more than one spelling in
// Unicode, and clients that speak SCRAM send, or compute with, this one (RFC
// 5802 sections 2.2 and 5.1).
//
// Who takes passwords from clients or writes them may import it. Its input is
// hostile, and bounded by the caller; time is linear.
//
// RFC 8265 has another form, OpaqueString, which keeps compatibility characters
// apart that SASLprep makes one. It is not used: proofs of clients are made from
// the form of RFC 4013.
package saslprep

import (
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
)

// Prepare returns the form of s that counts. ASCII is in it. What has none,
// since it has characters that may not be in a name or a password or is no
// UTF-8, stays as it is: it is still the same password.
func Prepare(s string) string {
	if isASCII(s) || !utf8.ValidString(s) {
		return s
	}
	prepared, err := stringprep.SASLprep.Prepare(s)
	if err != nil || prepared == "" {
		return s
	}
	return prepared
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
