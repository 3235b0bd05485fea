package smtpd

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"postrider/internal/address"
	"postrider/internal/idn"
)

const (
	// maxPath is the longest address taken from the network (spec 6.2).
	maxPath = 899
	// maxDomain is the longest domain name (RFC 1035 section 2.3.4).
	maxDomain = 255
)

// Why an argument of MAIL or RCPT is refused.
var (
	errNoAddress  = errors.New("no address")
	errKeyword    = errors.New("FROM:<address> or TO:<address> expected")
	errRoute      = errors.New("the source route does not end")
	errUnended    = errors.New("the address does not end")
	errBehind     = errors.New("a blank is missing behind the address")
	errByte       = errors.New("the address holds a character that is not allowed")
	errDomain     = errors.New("the domain is not valid")
	errPathLength = errors.New("")
)

// parsePath splits the argument of MAIL (keyword FROM) or RCPT (keyword TO)
// into the address, without quotes, and the parameters behind it.
//
// It takes the forms that qmail takes (spec section 6.3): blanks around the
// colon, no colon before "<", no brackets at all, a source route, a missing
// ">" at the end of the line, "MAIL" alone for the empty sender. It does not
// take what could be read in two ways: another keyword, an unfinished quote or
// route, blanks in an address that does not end.
func parsePath(argument, keyword string) (path address.Address, parameters string, err error) {
	if argument == "" && keyword == "FROM" {
		return address.Address{}, "", nil
	}
	text, end, err := cutKeyword(argument, keyword)
	if err != nil {
		return address.Address{}, "", err
	}
	if text, err = cutRoute(text); err != nil {
		return address.Address{}, "", err
	}
	plain, rest, err := unquote(text, end)
	if err != nil {
		return address.Address{}, "", err
	}
	if rest != "" && rest[0] != ' ' {
		return address.Address{}, "", errBehind
	}
	if err := checkPath(plain); err != nil {
		return address.Address{}, "", err
	}
	path, err = address.New(plain)
	if err != nil {
		return address.Address{}, "", errDomain
	}
	return path, strings.Trim(rest, " "), nil
}

// cutKeyword returns what stands behind "FROM:<" or "FROM:", and the byte that
// ends the address there.
func cutKeyword(argument, keyword string) (text string, end byte, err error) {
	if before, text, found := strings.Cut(argument, "<"); found {
		before = strings.TrimRight(before, " ")
		before = strings.TrimRight(strings.TrimSuffix(before, ":"), " ")
		if before != "" && !strings.EqualFold(before, keyword) {
			return "", 0, errKeyword
		}
		return text, '>', nil
	}
	before, text, found := strings.Cut(argument, ":")
	if !found || !strings.EqualFold(strings.TrimRight(before, " "), keyword) {
		return "", 0, errKeyword
	}
	if text = strings.TrimLeft(text, " "); text == "" && keyword != "FROM" {
		return "", 0, errNoAddress
	}
	return text, ' ', nil
}

// cutRoute removes a source route, which is ignored (RFC 5321 appendix C).
func cutRoute(text string) (string, error) {
	if !strings.HasPrefix(text, "@") {
		return text, nil
	}
	route, rest, found := strings.Cut(text, ":")
	if !found || strings.ContainsAny(route, "> \"\\") {
		return "", errRoute
	}
	return rest, nil
}

// unquote removes quotes and backslashes up to the unquoted byte end.
func unquote(text string, end byte) (plain, rest string, err error) {
	var b strings.Builder
	quoted, blank := false, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == end && !quoted:
			return b.String(), text[i+1-endLen(end):], nil
		case c == '\\':
			if i++; i == len(text) {
				return "", "", errUnended
			}
			b.WriteByte(text[i])
		case c == '"':
			quoted = !quoted
		default:
			blank = blank || c == ' ' && !quoted
			b.WriteByte(c)
		}
	}
	if quoted || blank || end == '>' && b.Len() == 0 {
		return "", "", errUnended
	}
	return b.String(), "", nil
}

// endLen is 1 for a blank that ends an address: it stays, as the blank in
// front of the parameters.
func endLen(end byte) int {
	if end == ' ' {
		return 1
	}
	return 0
}

// checkPath refuses what must not get into an envelope. The local part may
// hold any printable character; other octets than ASCII must be UTF-8, without
// control characters and what ends lines there.
func checkPath(plain string) error {
	if len(plain) > maxPath {
		return errPathLength
	}
	if !utf8.ValidString(plain) {
		return errByte
	}
	for _, c := range plain {
		if unicode.IsControl(c) || c == '\u2028' || c == '\u2029' {
			return errByte
		}
	}
	at := strings.LastIndexByte(plain, '@')
	if at < 0 {
		return nil
	}
	return checkDomain(plain[at+1:])
}

func checkDomain(domain string) error {
	if domain == "" || len(domain) > maxDomain || domain[0] == '.' || strings.Contains(domain, "..") {
		return errDomain
	}
	literal := domain[0] == '['
	if literal != (domain[len(domain)-1] == ']') {
		return errDomain
	}
	if literal {
		domain = domain[1 : len(domain)-1]
	} else if _, err := idn.ASCII(domain); err != nil {
		return errDomain
	}
	for i := range len(domain) {
		c := domain[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c >= 0x80 && !literal:
		case literal && (c == ':' || c == '%'):
		default:
			return errDomain
		}
	}
	return nil
}
