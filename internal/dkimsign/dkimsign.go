// Package dkimsign is control/dkimsign: which keys sign whose mail.
//
// qmail-start, which opens the keys, qmail-remote, which has messages signed, and
// qmail-dkimkey, which makes keys, import it. The file is the administrator's.
//
// A line is
//
//	domain selector key [expire=days]
//
// domain is that of the From field of messages, or .domain for all domains below
// it; key is the name of a file in control/domainkeys, or in a directory there.
// The most exact domain counts, with all its lines: each is a signature. The
// signature is the domain's, without the dot. A line
//
//	domain -
//
// says that its mail is not signed.
package dkimsign

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"postrider/internal/control"
	"postrider/internal/idn"
)

// KeyDir is where the keys are, below control. Other qmails have theirs there.
const KeyDir = "domainkeys"

// Limits.
const (
	maxDomain   = 253
	maxSelector = 63
	maxKeyName  = 200
	maxEach     = 4 // signatures of a message
	maxDays     = 365
	day         = 24 * time.Hour
)

// Rule is one line: a signature.
type Rule struct {
	Domain   string // that signs, in ASCII
	Selector string
	Key      string // the name of its file
	Lifetime time.Duration
}

// Table is the file. The zero value signs nothing.
type Table struct {
	rules map[string][]Rule // by domain, or .domain
}

// Read reads control/dkimsign.
func Read(dir control.Dir) (Table, error) {
	t := Table{}
	if _, err := dir.Each("dkimsign", t.read); err != nil {
		return Table{}, err
	}
	return t, nil
}

// Parse makes a table of lines.
func Parse(lines []string) (Table, error) {
	t := Table{}
	for _, line := range lines {
		if err := t.read(line); err != nil {
			return Table{}, err
		}
	}
	return t, nil
}

func (t *Table) read(line string) error {
	if err := t.add(line); err != nil {
		return fmt.Errorf("%q: %w", line, err)
	}
	return nil
}

func (t *Table) add(line string) error {
	words := strings.Fields(line)
	if len(words) == 0 {
		return errors.New("it begins with no domain")
	}
	key := idn.Key(words[0])
	domain := strings.TrimPrefix(key, ".")
	if !IsDomain(domain) {
		return errors.New("it begins with no domain")
	}
	before, known := t.rules[key]
	if t.rules == nil {
		t.rules = make(map[string][]Rule)
	}
	if len(words) == 2 && words[1] == "-" {
		if known {
			return errors.New("another line has this domain")
		}
		t.rules[key] = nil
		return nil
	}
	rule, err := parseRule(domain, words[1:])
	switch {
	case err != nil:
		return err
	case known && before == nil:
		return errors.New("another line says that this domain's mail is not signed")
	case len(before) == maxEach:
		return fmt.Errorf("a domain has at most %d signatures", maxEach)
	case slices.ContainsFunc(before, func(r Rule) bool { return r.Selector == rule.Selector }):
		return errors.New("another line has this domain and selector")
	}
	t.rules[key] = append(before, rule)
	return nil
}

func parseRule(domain string, words []string) (Rule, error) {
	if len(words) < 2 {
		return Rule{}, errors.New("it is not: domain selector key")
	}
	rule := Rule{Domain: domain, Selector: strings.ToLower(words[0]), Key: words[1]}
	if !IsSelector(rule.Selector) {
		return rule, errors.New("its selector is none")
	}
	if !IsKeyName(rule.Key) {
		return rule, errors.New("its key is no name of a file in control/" + KeyDir)
	}
	for _, word := range words[2:] {
		value, found := strings.CutPrefix(word, "expire=")
		days, err := strconv.ParseUint(value, 10, 16)
		if !found || err != nil || days == 0 || days > maxDays || rule.Lifetime != 0 {
			return rule, fmt.Errorf("%q is not expire=days, from 1 to %d", word, maxDays)
		}
		rule.Lifetime = time.Duration(days) * day
	}
	return rule, nil
}

// Rules returns those for mail of an author's domain, as idn.Key has it. listed
// is false if no line is about it.
func (t Table) Rules(domain string) (rules []Rule, listed bool) {
	if len(t.rules) == 0 || domain == "" {
		return nil, false
	}
	if rules, listed = t.rules[domain]; listed {
		return rules, true
	}
	for i := range len(domain) {
		if domain[i] != '.' {
			continue
		}
		if rules, listed = t.rules[domain[i:]]; listed {
			return rules, true
		}
	}
	return nil, false
}

// Empty reports whether no mail is signed.
func (t Table) Empty() bool { return len(t.rules) == 0 }

// Keys returns the names of all keys, each once.
func (t Table) Keys() (names []string) {
	for _, rules := range t.rules {
		for _, rule := range rules {
			names = append(names, rule.Key)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// IsDomain reports whether s can be the domain of a signature: two labels or
// more, in ASCII.
func IsDomain(s string) bool {
	return len(s) <= maxDomain && strings.Contains(s, ".") && areLabels(s)
}

// IsSelector reports whether s can be a selector (RFC 6376 section 3.1).
func IsSelector(s string) bool { return len(s) <= maxSelector && areLabels(s) }

func areLabels(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// IsKeyName reports whether s can be the name of a file with a key: "name" or
// "directory/name".
func IsKeyName(s string) bool {
	dir, name, inDir := strings.Cut(s, "/")
	return len(s) <= maxKeyName && isFileName(dir) && (!inDir || isFileName(name))
}

func isFileName(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if (c < 'a' || c > 'z') && (s[i] < '0' || s[i] > '9') && strings.IndexByte("._-", s[i]) < 0 {
			return false
		}
	}
	return s != "" && s[0] != '.'
}
