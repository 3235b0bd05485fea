package address

import "strings"

// Quote puts the local part of s in quotation marks if RFC 5321 needs them
// there (spec section 0.3). Without "@" all of s is the local part; the empty
// string stays empty.
func Quote(s string) string {
	if s == "" {
		return ""
	}
	local, domain := s, ""
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		local, domain = s[:at], s[at:]
	}
	if !needsQuotes(local) {
		return s
	}

	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for i := 0; i < len(local); i++ {
		switch local[i] {
		case '\r', '\n', '"', '\\':
			b.WriteByte('\\')
		}
		b.WriteByte(local[i])
	}
	b.WriteByte('"')
	b.WriteString(domain)
	return b.String()
}

// needsQuotes reports whether local is anything else than a dot-string of
// RFC 5321 section 4.1.2.
func needsQuotes(local string) bool {
	if local == "" || local[0] == '.' || local[len(local)-1] == '.' {
		return true
	}
	for i := 0; i < len(local); i++ {
		c := local[i]
		if c == '.' && local[i+1] == '.' { // the last byte is no dot
			return true
		}
		if c != '.' && !PlainByte(c) {
			return true
		}
	}
	return false
}

// PlainByte reports whether c is atext of RFC 5322 section 3.2.3: such bytes, and
// dots between them, need no quotes.
func PlainByte(c byte) bool { return plain[c] }

// plain is the table of PlainByte.
var plain = func() (t [256]bool) {
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for c := byte('0'); c <= '9'; c++ {
		t[c] = true
	}
	for _, c := range []byte("!#$%&'*+-/=?^_`{|}~") {
		t[c] = true
	}
	return t
}()
