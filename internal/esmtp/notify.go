package esmtp

import "strings"

// Notify is the set of reports that are wanted of a recipient. Zero is what
// nobody asked about: failure, and delay as the host sees fit.
type Notify byte

// The reports. Never excludes the others.
const (
	Never Notify = 1 << iota
	Success
	Failure
	Delay
)

// notifyWords are in the order in which String writes them.
var notifyWords = [...]struct {
	word string
	bit  Notify
}{{"NEVER", Never}, {"SUCCESS", Success}, {"FAILURE", Failure}, {"DELAY", Delay}}

// WantsFailure reports whether a failure is to be told to the sender.
func (n Notify) WantsFailure() bool { return n == 0 || n&Failure != 0 }

// WantsDelay reports whether a delay is to be told to the sender.
func (n Notify) WantsDelay() bool { return n == 0 || n&Delay != 0 }

// WithoutSuccess returns n without the report of success.
func (n Notify) WithoutSuccess() Notify {
	if n == Success {
		return Never
	}
	return n &^ Success
}

// String returns the value of NOTIFY, empty if none was given.
func (n Notify) String() string {
	var words []string
	for _, w := range notifyWords {
		if n&w.bit != 0 {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, ",")
}

// Valid reports whether n is zero or a value that NOTIFY can have.
func (n Notify) Valid() bool { return n == Never || n&^(Success|Failure|Delay) == 0 }

// ParseNotify takes the value of NOTIFY (RFC 3461 section 4.1).
func (r *Recipient) ParseNotify(value string) error {
	var all Notify
	for word := range strings.SplitSeq(upper(value), ",") {
		bit := notifyBit(word)
		if bit == 0 || all&bit != 0 {
			return ErrNotify
		}
		all |= bit
	}
	if !all.Valid() {
		return ErrNotify
	}
	r.Notify = all
	return nil
}

func notifyBit(word string) Notify {
	for _, w := range notifyWords {
		if w.word == word {
			return w.bit
		}
	}
	return 0
}

// ParseOriginal takes the value of ORCPT: an address type, a semicolon and the
// address (RFC 3461 section 4.2), for the type utf-8 in the forms of RFC 6533
// section 3, too.
func (r *Recipient) ParseOriginal(value string) error {
	kind, text, found := strings.Cut(value, ";")
	if !found || !isAtom(kind) || text == "" || len(value) > maxOriginal {
		return ErrOriginal
	}
	if upper(kind) == "UTF-8" {
		if !isUTF8Text(text) {
			return ErrOriginal
		}
	} else if !isXtext(text) {
		return ErrOriginal
	}
	r.Original = value
	return nil
}

// isAtom reports whether s is an atom of letters, digits and hyphens, as the
// types of addresses are.
func isAtom(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return s != ""
}
