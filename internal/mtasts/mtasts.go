// Package mtasts reads what a domain says by MTA-STS (RFC 8461): the record in
// the DNS that there is a policy, and the policy.
//
// qmail-mtasts and qmail-remote import it. All of its input is hostile.
package mtasts

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"postrider/internal/idn"
)

const (
	// MaxPolicy is the most bytes of a policy (RFC 8461 section 3.2).
	MaxPolicy = 64 << 10
	// MaxMX is the most patterns of a policy.
	MaxMX = 100

	// maxAge is the longest that a policy may be kept, a year, in seconds.
	maxAge   = 31557600
	maxID    = 32
	maxName  = 253
	version  = "STSv1"
	wildcard = "*."
)

// Mode is what a policy asks for.
type Mode byte

// The modes.
const (
	None    Mode = 'n' // nothing
	Testing Mode = 't' // what is not as it should be is told, and mail goes all the same
	Enforce Mode = 'e' // no mail goes where it is not as it should be
)

var modes = map[string]Mode{"none": None, "testing": Testing, "enforce": Enforce}

func (m Mode) String() string {
	for word, mode := range modes {
		if mode == m {
			return word
		}
	}
	return "unknown"
}

// Policy is what a domain wants of who brings it mail.
type Policy struct {
	Mode   Mode
	MX     []string // names of hosts in lower case; "*.name" is one label more
	MaxAge time.Duration
}

// ParseRecord returns the id in the TXT records of _mta-sts.DOMAIN. Without one
// there is no policy (RFC 8461 section 3.1).
func ParseRecord(texts []string) (id string, found bool) {
	var record string
	for _, text := range texts {
		if first, _, _ := strings.Cut(text, ";"); strings.TrimRight(first, " \t") != "v="+version {
			continue
		}
		if found {
			return "", false // nobody knows which of them counts
		}
		record, found = text, true
	}
	if !found {
		return "", false
	}
	_, fields, _ := strings.Cut(record, ";")
	for field := range strings.SplitSeq(fields, ";") {
		if value, ok := strings.CutPrefix(strings.Trim(field, " \t"), "id="); ok {
			return value, isID(value)
		}
	}
	return "", false
}

func isID(s string) bool {
	if s == "" || len(s) > maxID {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// Parse reads a policy. Of a key that comes again only the first counts, but
// for mx; keys that are not known do not count (RFC 8461 section 3.2).
func Parse(text string) (p Policy, err error) {
	if len(text) > MaxPolicy {
		return p, fmt.Errorf("it has more than %d bytes", MaxPolicy)
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		if line == "" {
			continue
		}
		key, value, found := strings.Cut(line, ":")
		if !found {
			return p, errors.New("a line has no colon")
		}
		value = strings.TrimLeft(value, " \t")
		if seen[key] && key != "mx" {
			continue
		}
		if len(seen) < MaxMX {
			seen[key] = true
		}
		if err := p.set(key, value); err != nil {
			return p, err
		}
	}
	switch {
	case !seen["version"]:
		return p, errors.New("it has no version")
	case !seen["mode"]:
		return p, errors.New("it has no mode")
	case !seen["max_age"]:
		return p, errors.New("it has no max_age")
	case len(p.MX) == 0 && p.Mode != None:
		return p, errors.New("it names no mail exchanger")
	}
	return p, nil
}

func (p *Policy) set(key, value string) error {
	switch key {
	case "version":
		if value != version {
			return fmt.Errorf("its version is %.20q", value)
		}
	case "mode":
		mode, known := modes[value]
		if !known {
			return fmt.Errorf("its mode is %.20q", value)
		}
		p.Mode = mode
	case "max_age":
		seconds, err := strconv.ParseUint(value, 10, 63)
		if err != nil || len(value) > 10 {
			return fmt.Errorf("its max_age is %.20q", value)
		}
		p.MaxAge = time.Duration(min(seconds, maxAge)) * time.Second
	case "mx":
		if len(p.MX) == MaxMX {
			return fmt.Errorf("it names more than %d mail exchangers", MaxMX)
		}
		name, ok := Pattern(value)
		if !ok {
			return fmt.Errorf("its mail exchanger %.100q is no host", value)
		}
		p.MX = append(p.MX, name)
	}
	return nil
}

// Pattern returns a name of a policy as it is kept here, if it is one.
func Pattern(value string) (name string, ok bool) {
	value = strings.TrimSuffix(value, ".")
	rest, star := strings.CutPrefix(value, wildcard)
	rest, ok = Domain(rest)
	if star {
		rest = wildcard + rest
	}
	return rest, ok
}

// Domain returns a domain as the DNS has it, if it is one.
func Domain(value string) (name string, ok bool) {
	name = idn.Key(value)
	if len(name) > maxName {
		return "", false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, notInName) {
			return "", false
		}
	}
	return name, true
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// Allows reports whether a mail exchanger is one of the policy's (RFC 8461
// section 4.1).
func (p Policy) Allows(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	_, above, _ := strings.Cut(host, ".")
	for _, name := range p.MX {
		if name == host {
			return true
		}
		if rest, star := strings.CutPrefix(name, wildcard); star && rest == above {
			return true
		}
	}
	return false
}
