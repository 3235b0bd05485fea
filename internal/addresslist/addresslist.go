// Package addresslist is lists of addresses that mail is not taken from, or
// for: badmailfrom and its siblings (spec sections 6.1 and 6.7).
//
// Network daemons import it. Lines are the administrator's, addresses are
// hostile.
package addresslist

import (
	"fmt"
	"strings"

	"postrider/internal/address"
	"postrider/internal/idn"
)

// List has whole addresses, @domains, and host names, by idn.AddressKey.
type List map[string]struct{}

// New makes a list of the lines of a control file.
func New(lines []string) List {
	list := make(List, len(lines))
	for _, line := range lines {
		list[idn.AddressKey(line)] = struct{}{}
	}
	return list
}

// Has looks an address up: whole, and as @domain.
func (l List) Has(a address.Address) bool {
	_, listed := l.Find(a)
	return listed
}

// Find is Has, and says by which idn.AddressKey.
func (l List) Find(a address.Address) (key string, listed bool) {
	if len(l) == 0 {
		return "", false
	}
	whole := idn.AddressKey(a.String())
	if _, listed := l[whole]; listed {
		return whole, true
	}
	at := strings.LastIndexByte(whole, '@')
	if at < 0 {
		return "", false
	}
	_, listed = l[whole[at:]]
	return whole[at:], listed
}

// ExpressionHint is the warning about a line that the regular expressions of
// other qmails (qregex) could be: here it stands for itself, and an
// administrator who comes from there would think that it denies.
func ExpressionHint(name string, lines []string) string {
	for _, line := range lines {
		if strings.ContainsAny(line, `\^`) || strings.HasPrefix(line, "!") || strings.HasSuffix(line, "$") ||
			strings.Contains(line, ".*") || strings.Contains(line, ".+") {
			return fmt.Sprintf("control/%s: %q looks like a regular expression, but lines are compared as they are", name, line)
		}
	}
	return ""
}
