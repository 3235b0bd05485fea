package smtpd

import (
	"math"
	"strings"
)

// maxSizeDigits is the longest value of SIZE (RFC 1870 section 3).
const maxSizeDigits = 20

// mailParameters are the parameters of MAIL.
type mailParameters struct {
	size int64 // 0 if not given
}

// parseMailParameters reads the parameters of MAIL. It is strict: what is not
// understood was not advertised either. refused is nil if all is well.
func parseMailParameters(text string) (p mailParameters, refused *reply) {
	seen := ""
	for _, item := range strings.Fields(text) {
		keyword, value, hasValue := strings.Cut(item, "=")
		keyword = strings.ToUpper(keyword)
		if !isKeyword(keyword) || hasValue && !isValue(value) {
			return p, refuse(501, "that is no parameter")
		}
		if strings.Contains(seen, " "+keyword+" ") {
			return p, refuse(501, "a parameter is given twice")
		}
		switch keyword {
		case "SIZE":
			size, ok := parseSize(value)
			if !ok {
				return p, refuse(501, "SIZE needs a number of at most 20 digits")
			}
			p.size = size
		case "BODY":
			if !strings.EqualFold(value, "7BIT") && !strings.EqualFold(value, "8BITMIME") {
				return p, refuse(555, "BODY may be 7BIT or 8BITMIME")
			}
		default:
			return p, refuse(555, "unrecognised parameter")
		}
		seen += " " + keyword + " "
	}
	return p, nil
}

// refuse returns the reply to a wrong parameter.
func refuse(code int, why string) *reply {
	return &reply{code, "5.5.4", why + " (#5.5.4)", false}
}

// parseSize reads a decimal number; one that does not fit is the largest one.
func parseSize(s string) (int64, bool) {
	if s == "" || len(s) > maxSizeDigits {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	return leadingNumber(s), true
}

// leadingNumber returns the number that s begins with, 0 if none, and the
// largest int64 for whatever does not fit.
func leadingNumber(s string) int64 {
	var n int64
	for i := 0; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
		digit := int64(s[i] - '0')
		if n > (math.MaxInt64-digit)/10 {
			return math.MaxInt64
		}
		n = n*10 + digit
	}
	return n
}

// isKeyword reports whether s is an esmtp-keyword (RFC 5321 section 4.1.2).
func isKeyword(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' && i > 0) {
			return false
		}
	}
	return s != ""
}

// isValue reports whether s is an esmtp-value.
func isValue(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == '=' || s[i] >= 127 {
			return false
		}
	}
	return s != ""
}
