package dotqmail

import (
	"iter"
	"strings"
)

const (
	prefix = ".qmail"
	// defaultWord ends the name of a file for all extensions that begin as it.
	defaultWord = "default"
)

// Candidate is one file that may hold the instructions for an address.
type Candidate struct {
	Name string
	// Default is the value of the variable DEFAULT if this file is taken,
	// nil if it then is not set.
	Default *string
}

// Candidates yields the names of the instruction files for an extension, in
// the order in which they are looked for. A part of the extension ends at a
// dash, and at the bytes of breaks, which are neither letters nor dots.
func Candidates(dash, ext, breaks string) iter.Seq[Candidate] {
	return func(yield func(Candidate) bool) {
		safe := safeExt(ext)
		exact := Candidate{Name: prefix + dash + safe}
		if strings.HasSuffix(safe, defaultWord) {
			rest := ext[len(ext)-len(defaultWord):]
			exact.Default = &rest
		}
		if !yield(exact) {
			return
		}
		for i := len(safe); i >= 0; i-- {
			if i > 0 && safe[i-1] != '-' && strings.IndexByte(breaks, safe[i-1]) < 0 {
				continue
			}
			rest := ext[i:]
			if !yield(Candidate{prefix + dash + safe[:i] + defaultWord, &rest}) {
				return
			}
		}
	}
}

// OwnerNames returns the file whose existence makes LOCAL-owner the sender of
// forwards, and the one that makes the sender depend on each recipient.
func OwnerNames(dash, ext string) (owner, each string) {
	owner = prefix + dash + safeExt(ext) + "-owner"
	return owner, owner + "-" + defaultWord
}

// safeExt is an extension as file names have it: lower case, ':' for '.', so
// that it can lead nowhere.
func safeExt(ext string) string {
	b := []byte(ext)
	for i, c := range b {
		switch {
		case c == '.':
			b[i] = ':'
		case 'A' <= c && c <= 'Z':
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
