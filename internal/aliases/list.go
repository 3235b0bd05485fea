package aliases

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is what a target is.
type Kind int

// The kinds of targets.
const (
	Address  Kind = iota // user@domain, without quotes
	Name                 // a name without a domain
	Escaped              // \name: the user, and no alias of that name
	Program              // Text is for the shell
	File                 // an mbox, or with a slash at its end a Maildir
	Include              // a list of addresses
	Compiled             // one that fastforward's newinclude made
	Bare                 // a program that does not want the lines of preline
)

// Target is one of those that mail goes to.
type Target struct {
	Kind Kind
	Text string
}

// maxTarget is the longest target.
const maxTarget = 4096

var (
	errQuote   = errors.New("a quote or a parenthesis that does not end")
	errEmpty   = errors.New("an address is empty")
	errBlank   = errors.New("a blank in an address, or a comma is missing")
	errControl = errors.New("a control character")
	errTooLong = fmt.Errorf("more than %d bytes", maxTarget)
)

const includeWord = ":include:"

// Parse reads a list of targets with commas between them. Empty places in it
// mean nothing.
func Parse(list string) ([]Target, error) {
	var targets []Target
	for list != "" {
		raw, rest, err := cut(list)
		if err != nil {
			return nil, err
		}
		list = rest
		if raw = strings.Trim(raw, " \t\r\n"); raw == "" {
			continue
		}
		t, err := target(raw)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", shorten(raw), err)
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// ParseLines reads a .forward file or an :include: list: a list on each line, and
// lines that begin with '#' are comments.
func ParseLines(text string) ([]Target, error) {
	var all []Target
	number := 0
	for line := range strings.Lines(text) {
		number++
		if line = strings.Trim(line, " \t\r\n"); line == "" || line[0] == '#' {
			continue
		}
		targets, err := Parse(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		all = append(all, targets...)
	}
	return all, nil
}

func shorten(s string) string { return s[:min(len(s), 60)] }

// cut returns what comes before the first comma that separates, and the rest.
func cut(list string) (first, rest string, err error) {
	depth, quoted, bracket := 0, false, false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '\\':
			i++
		case c == '"' && depth == 0:
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth > 0:
		case c == '<':
			bracket = true
		case c == '>':
			bracket = false
		case c == ',' && !bracket:
			return list[:i], list[i+1:], nil
		}
	}
	if quoted || depth > 0 || bracket {
		return "", "", errQuote
	}
	return list, "", nil
}

// target reads one target without blanks around it.
func target(raw string) (Target, error) {
	if len(raw) > maxTarget {
		return Target{}, errTooLong
	}
	if i := strings.IndexFunc(raw, isControl); i >= 0 {
		return Target{}, errControl
	}
	// Quotes around all of it, or behind the bar, are for the commas and
	// blanks inside.
	plain := raw
	if inner, all := quotedWhole(raw); all {
		plain = inner
	}
	switch {
	case plain[0] == '|':
		return program(strings.TrimLeft(plain[1:], " \t"))
	case plain[0] == '/':
		return Target{File, plain}, nil
	case len(plain) >= len(includeWord) && strings.EqualFold(plain[:len(includeWord)], includeWord):
		path := strings.Trim(plain[len(includeWord):], " \t")
		if inner, all := quotedWhole(path); all {
			path = inner
		}
		if !strings.HasPrefix(path, "/") {
			return Target{}, errors.New("the name of a list has to begin with a slash")
		}
		return Target{Include, path}, nil
	case plain[0] == ':':
		return Target{}, errors.New("a word that is not known")
	case plain[0] == '\\' && !strings.Contains(plain, "@"):
		return mailbox(Escaped, plain[1:])
	}
	return mailbox(Address, raw)
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

func program(line string) (Target, error) {
	if inner, all := quotedWhole(line); all {
		line = inner
	}
	if line == "" {
		return Target{}, errors.New("no program")
	}
	return Target{Program, line}, nil
}

// quotedWhole returns what is inside the quotes if s is one quoted string.
func quotedWhole(s string) (inner string, all bool) {
	if len(s) < 3 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", false
	}
	inner = s[1 : len(s)-1]
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		switch c := inner[i]; {
		case c == '"':
			return "", false
		case c == '\\' && i+1 == len(inner):
			return "", false // it quotes the quote
		case c == '\\' && (inner[i+1] == '"' || inner[i+1] == '\\'):
			i++
			b.WriteByte(inner[i])
		default: // \joe, and a backslash for the shell, stay
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

// mailbox reads an address in any of the forms of a header: with comments, in
// angle brackets behind a phrase, with a quoted local part.
func mailbox(kind Kind, raw string) (Target, error) {
	var b strings.Builder
	depth, quoted, blank, at := 0, false, false, -1
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '\\' && i+1 < len(raw):
			i++
			if depth == 0 {
				b.WriteByte(raw[i])
			}
		case c == '"' && depth == 0:
			quoted = !quoted
		case quoted:
			b.WriteByte(c)
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth > 0:
		case c == '<': // what came before was a phrase
			end := strings.LastIndexByte(raw, '>')
			if end < i || strings.ContainsRune(raw[i+1:end], '<') {
				return Target{}, errQuote
			}
			return mailbox(kind, strings.Trim(raw[i+1:end], " \t"))
		case c == ' ' || c == '\t':
			blank = blank || b.Len() > 0
			continue
		case c == '@':
			at = b.Len()
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
		if blank && depth == 0 && c != ')' {
			if strings.ContainsRune(raw[i:], '<') {
				blank = false // a phrase
				continue
			}
			return Target{}, errBlank
		}
	}
	text := b.String()
	switch {
	case text == "" || at == 0 || at == len(text)-1:
		return Target{}, errEmpty
	case at < 0 && kind == Address:
		kind = Name
	}
	return Target{kind, text}, nil
}
