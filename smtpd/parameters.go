package smtpd

import (
	"math"
	"strings"

	"postrider/internal/esmtp"
)

// maxSizeDigits is the longest value of SIZE (RFC 1870 section 3).
const maxSizeDigits = 20

// mailParameters are the parameters of MAIL.
type mailParameters struct {
	size  int64 // 0 if not given
	facts esmtp.Message
	auth  bool // AUTH was given: who has sent it first, which says nothing here
	// binary: BODY=BINARYMIME was given (RFC 3030 section 3).
	binary bool
}

// parseMailParameters reads the parameters of MAIL. It is strict: what is not
// understood was not advertised either. facts says that those which the queue
// must keep are. refused is nil if all is well.
func parseMailParameters(text string, facts bool) (p mailParameters, refused *reply) {
	refused = eachParameter(text, false, func(keyword, value string, hasValue bool) *reply {
		switch {
		case keyword == "SIZE":
			size, ok := parseSize(value)
			if !ok {
				return refuse(501, "SIZE needs a number of at most 20 digits")
			}
			p.size = size
			return nil
		case keyword == "BODY":
			p.binary = strings.EqualFold(value, bodyBinary)
			return checkBody(value)
		case keyword == "AUTH":
			p.auth = true
			if _, ok := fromXtext(value); !ok || value == "" {
				return refuse(501, "AUTH needs an address in xtext")
			}
			return nil
		case keyword == "SMTPUTF8" && facts:
			if hasValue {
				return refuse(501, esmtp.ErrUTF8.Error())
			}
			p.facts.UTF8 = true
			return nil
		case keyword == "REQUIRETLS" && facts:
			if hasValue {
				return refuse(501, esmtp.ErrNoValue.Error())
			}
			p.facts.RequireTLS = true
			return nil
		case keyword == "RET" && facts:
			return wrong(p.facts.ParseReturn(value))
		case keyword == "ENVID" && facts:
			return wrong(p.facts.ParseEnvelopeID(value))
		}
		return refuse(555, "unrecognised parameter")
	})
	return p, refused
}

// bodyBinary is the value of BODY for messages of which lines are to be made.
const bodyBinary = "BINARYMIME"

func checkBody(value string) *reply {
	for _, known := range [...]string{"7BIT", "8BITMIME", bodyBinary} {
		if strings.EqualFold(value, known) {
			return nil
		}
	}
	return refuse(555, "BODY may be 7BIT, 8BITMIME or BINARYMIME")
}

// parseRcptParameters reads the parameters of RCPT, those of RFC 3461 if facts
// says that they are advertised; utf8 that MAIL said SMTPUTF8.
func parseRcptParameters(text string, facts, utf8 bool) (r esmtp.Recipient, refused *reply) {
	if text == "" {
		return r, nil
	}
	refused = eachParameter(text, utf8, func(keyword, value string, _ bool) *reply {
		switch {
		case keyword == "NOTIFY" && facts:
			return wrong(r.ParseNotify(value))
		case keyword == "ORCPT" && facts:
			return wrong(r.ParseOriginal(value))
		}
		return refuse(555, "unrecognised parameter")
	})
	return r, refused
}

// wrong is the reply to a value that has an error.
func wrong(err error) *reply {
	if err == nil {
		return nil
	}
	return refuse(501, err.Error())
}

// eachParameter calls take for each parameter until one is refused.
func eachParameter(text string, utf8 bool, take func(keyword, value string, hasValue bool) *reply) *reply {
	seen := ""
	for _, item := range strings.Fields(text) {
		keyword, value, hasValue := strings.Cut(item, "=")
		keyword = strings.ToUpper(keyword)
		if !isKeyword(keyword) || hasValue && !isValue(value, utf8) {
			return refuse(501, "that is no parameter")
		}
		if strings.Contains(seen, " "+keyword+" ") {
			return refuse(501, "a parameter is given twice")
		}
		if refused := take(keyword, value, hasValue); refused != nil {
			return refused
		}
		seen += " " + keyword + " "
	}
	return nil
}

// refuse returns the reply to a wrong parameter.
func refuse(code int, why string) *reply {
	return &reply{code: code, enhanced: "5.5.4", text: why + " (#5.5.4)"}
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

// isValue reports whether s is an esmtp-value; with utf8 in the wider sense of
// RFC 6531 section 3.3.
func isValue(s string, utf8 bool) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == '=' || s[i] == 127 || s[i] > 127 && !utf8 {
			return false
		}
	}
	return s != ""
}
