package showctl

import (
	"io/fs"
	"os"
	"slices"
	"strings"

	"postrider/internal/dkimsign"
	"postrider/internal/settings"
)

var errNotExist = fs.ErrNotExist

// others are files in control that are no settings, and are used.
var others = []string{"servercert.pem", "servercerts", "clientcert.pem", dkimsign.KeyDir, "morercpthosts"}

// foreign are settings of qmail's other distributions, with what to do instead.
var foreign = map[string]string{
	"concurrencyincoming": "concurrencysmtp is the setting here.",
	"dh512.pem":           "TLS here needs no such file.", "dh1024.pem": "TLS here needs no such file.", "dh2048.pem": "TLS here needs no such file.",
	"rsa512.pem": "TLS here needs no such file.", "rsa2048.pem": "TLS here needs no such file.",
	"tlsclientciphers": "TLS here has the ciphers that Go gives.",
	"dkimkeys":         "Name the keys in control/dkimsign.", "signaturedomains": "Name the domains in control/dkimsign.",
	"spfrules": "SPF here has no rules of its own.", "spfguess": "SPF here guesses nothing.", "spfexp": "SPF here has a text of its own.",
	"defaultdelivery": "The argument of qmail-start says it.", "logger": "The arguments of qmail-start say it.",
	"queueextra": "Mail is not copied.", "bigbrother": "Mail is not copied.", "conf-split": "The queue here has its own form.",
}

// strangers finds what in control no program reads.
func (i *inspector) strangers() {
	entries, err := os.ReadDir(string(i.dir))
	if err != nil {
		i.unreadable(string(i.dir), err)
		return
	}
	tokens := i.tokens()
	for _, e := range entries {
		name := e.Name()
		_, known := settings.Named(name)
		if known || strings.HasPrefix(name, ".") || slices.Contains(others, name) || slices.Contains(tokens, name) {
			continue
		}
		if mend, known := foreign[name]; known {
			i.warn(name, 0, "no program of this suite reads it", mend)
			continue
		}
		if of := copyOf(name); of != "" {
			i.warn(name, 0, "no program reads it: it looks like a copy of "+of, "Move it elsewhere.")
			continue
		}
		if like := nearest(name); like != "" {
			i.errorIn(name, 0, "no program reads it", "Is "+like+" meant? Rename it, or remove it.")
			continue
		}
		i.warn(name, 0, "no program reads it", "Move it elsewhere.")
	}
}

// tokens are the files that logins name.
func (i *inspector) tokens() (names []string) {
	for _, s := range settings.All() {
		if s.Secret == settings.Public || s.Name == "srssecret" {
			continue
		}
		lines, _, err := i.dir.List(s.Name)
		if err != nil {
			continue // told already
		}
		for _, line := range lines {
			if at := strings.LastIndex(line, "||"); at >= 0 {
				names = append(names, line[at+2:])
			}
		}
	}
	return names
}

// copyOf returns the setting of which a name is that of a copy, or "".
func copyOf(name string) string {
	for _, s := range settings.All() {
		rest, of := strings.CutPrefix(name, s.Name)
		if of && rest != "" && strings.ContainsAny(rest[:1], "~.-_+ 0123456789") {
			return s.Name
		}
	}
	return ""
}

// nearest returns the setting that a name was probably meant to be, or "".
func nearest(name string) string {
	best, least := "", 3 // changes
	for _, s := range settings.All() {
		if len(s.Name) < 4 {
			continue
		}
		if n := changes(strings.ToLower(name), s.Name); n < least {
			best, least = s.Name, n
		}
	}
	return best
}

// changes returns how many letters differ between two words: the distance of
// Levenshtein.
func changes(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			before, row[j] = row[j], min(row[j]+1, row[j-1]+1, before+cost)
		}
	}
	return row[len(b)]
}
