// Package tlspolicy reads control/tlspolicy, which says how mail to other
// hosts is protected on its way.
//
// qmail-remote imports it. The file is the administrator's; a line in it that
// is not understood is an error and never ignored, because mail would go with
// less protection than was asked for.
//
// # Format
//
// A line is "domain:level words". The domain is that of recipients, ".suffix"
// stands for all below it, and nothing for all others, as in smtproutes; of
// two lines for one domain neither counts: that is an error. Levels:
//
//	none                 no TLS
//	may                  TLS if it is offered; nobody is verified
//	encrypt              TLS; nobody is verified
//	verify [name ...]    a certificate that this system trusts, for one of the
//	                     names; ".name" stands for all names below. Without a
//	                     name: for the relay in smtproutes, else for the domain
//	                     or a name below it
//	dane                 what the DNS asks for (RFC 7672); may where it does not
//	dane-only            no mail where the DNS does not ask for it
//	pin hash ...         a certificate with one of these keys: SHA-256 of its
//	                     SubjectPublicKeyInfo, in hexadecimal digits
//
// The word "oldtls" behind a level allows TLS 1.0 and 1.1.
package tlspolicy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"postrider/internal/control"
	"postrider/internal/idn"
)

// File is the name of the control file.
const File = "tlspolicy"

const (
	maxWords = 64
	maxName  = 253
	oldTLS   = "oldtls"
)

// Level is how much protection mail must have.
type Level int

// The levels; the package comment says what each means.
const (
	May Level = iota
	None
	Encrypt
	Verify
	DANE
	DANEOnly
	Pin
)

var levels = map[string]Level{
	"may": May, "none": None, "encrypt": Encrypt, "verify": Verify, "dane": DANE, "dane-only": DANEOnly, "pin": Pin,
}

// Hash is that of a public key.
type Hash [sha256.Size]byte

// Policy is what a line says.
type Policy struct {
	Level Level
	Names []string // Verify: in lower case; ".name" is all below
	Pins  []Hash   // Pin
	Old   bool     // TLS 1.0 and 1.1 will do
	// Line is the line, for people. It is empty where no line is for the domain.
	Line string
}

// Table is all policies.
type Table struct {
	byDomain map[string]Policy
}

// Read reads the file; without one there is no policy for anybody.
func Read(dir control.Dir) (Table, error) {
	t := Table{byDomain: make(map[string]Policy)}
	_, err := dir.Each("tlspolicy", func(line string) error {
		if err := t.add(line); err != nil {
			return fmt.Errorf("%.100q: %w", line, err)
		}
		return nil
	})
	if err != nil {
		return Table{}, err
	}
	return t, nil
}

// For returns the policy for a domain: of the domain itself, then of each of
// its suffixes from a dot on, then the one for all others.
func (t Table) For(domain string) Policy {
	if len(t.byDomain) == 0 {
		return Policy{}
	}
	domain = idn.Key(domain)
	for i := 0; i <= len(domain); i++ {
		if i > 0 && i < len(domain) && domain[i] != '.' {
			continue
		}
		if p, found := t.byDomain[domain[i:]]; found {
			return p
		}
	}
	return Policy{}
}

func (t Table) add(line string) error {
	domain, rest, found := strings.Cut(line, ":")
	if !found {
		return errors.New("there is no colon")
	}
	domain = idn.Key(domain)
	if domain != "" && !isName(strings.TrimPrefix(domain, ".")) {
		return errors.New("the domain is none")
	}
	if _, again := t.byDomain[domain]; again {
		return errors.New("there is a line for this domain already")
	}
	p, err := parse(strings.Fields(rest))
	if err != nil {
		return err
	}
	p.Line = domain + ":" + strings.Join(strings.Fields(rest), " ")
	t.byDomain[domain] = p
	return nil
}

func parse(words []string) (p Policy, err error) {
	if len(words) == 0 {
		return p, errors.New("there is no level")
	}
	if len(words) > maxWords {
		return p, fmt.Errorf("there are more than %d words", maxWords)
	}
	level, known := levels[words[0]]
	if !known {
		return p, fmt.Errorf("%.20q is no level", words[0])
	}
	p.Level, words = level, words[1:]
	if i := slices.Index(words, oldTLS); i >= 0 && level != None {
		p.Old, words = true, slices.Delete(words, i, i+1)
	}
	switch {
	case level == Verify:
		p.Names, err = names(words)
	case level == Pin:
		p.Pins, err = pins(words)
	case len(words) > 0:
		err = fmt.Errorf("%.20q is not understood here", words[0])
	}
	return p, err
}

func names(words []string) ([]string, error) {
	var all []string
	for _, word := range words {
		name := idn.Key(word)
		if !isName(strings.TrimPrefix(name, ".")) {
			return nil, fmt.Errorf("%.20q is no name of a host", word)
		}
		all = append(all, name)
	}
	return all, nil
}

func pins(words []string) ([]Hash, error) {
	if len(words) == 0 {
		return nil, errors.New("there is no hash of a key")
	}
	all := make([]Hash, len(words))
	for i, word := range words {
		sum, err := hex.DecodeString(strings.ReplaceAll(word, ":", ""))
		if err != nil || len(sum) != sha256.Size {
			return nil, fmt.Errorf("%.20q is no SHA-256 in hexadecimal digits", word)
		}
		copy(all[i][:], sum)
	}
	return all, nil
}

// isName reports whether a certificate could have the name.
func isName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, notInName) {
			return false
		}
	}
	return true
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
