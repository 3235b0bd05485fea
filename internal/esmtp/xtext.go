package esmtp

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// isXtext reports whether s is xtext: printable ASCII without "+" and "=", and
// "+" with two upper-case hexadecimal digits (RFC 3461 section 4). What such a
// pair spells is not looked at: it is handed on, never decoded.
func isXtext(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return false
			}
			i += 2
		case c <= ' ' || c == '=' || c >= 0x7f:
			return false
		}
	}
	return true
}

// isUTF8Text reports whether s is utf-8-addr-xtext or utf-8-addr-unitext: ASCII
// and UTF-8, where \x{HEX} spells a character (RFC 6533 section 3).
func isUTF8Text(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for s != "" {
		if rest, found := strings.CutPrefix(s, `\x{`); found {
			digits, after, closed := strings.Cut(rest, "}")
			if !closed || !isCharacter(digits) {
				return false
			}
			s = after
			continue
		}
		if c := s[0]; c <= ' ' || c == '=' || c == '+' || c == '\\' || c == 0x7f {
			return false
		}
		s = s[1:]
	}
	return true
}

// isCharacter reports whether digits are those of a character: 2 to 6 upper-case
// hexadecimal ones.
func isCharacter(digits string) bool {
	if len(digits) < 2 || len(digits) > 6 {
		return false
	}
	for i := range len(digits) {
		if !isHex(digits[i]) {
			return false
		}
	}
	value, err := strconv.ParseUint(digits, 16, 32)
	return err == nil && utf8.ValidRune(rune(value))
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

// Xtext writes any text as xtext.
func Xtext(s string) string {
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && c != '+' && c != '=' {
			b = append(b, c)
		} else {
			b = append(b, '+', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}
