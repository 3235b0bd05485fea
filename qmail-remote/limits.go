package qmailremote

import (
	"strconv"
	"strings"
)

// limits are those that a server announces (RFC 9422). Zero is none.
type limits struct {
	mail int // MAILMAX: transactions of a connection
	rcpt int // RCPTMAX: recipients of a transaction
}

// parseLimits reads the parameters of LIMITS. What cannot be understood is no
// limit (RFC 9422 section 3).
func parseLimits(params string) limits {
	var l limits
	for _, p := range strings.Fields(params) {
		name, value, _ := strings.Cut(p, "=")
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil || n == 0 || len(value) > 6 || value[0] == '0' {
			continue
		}
		switch strings.ToUpper(name) {
		case "MAILMAX":
			l.mail = int(n)
		case "RCPTMAX":
			l.rcpt = int(n)
		}
	}
	return l
}

// spent reports whether the connection has had all its transactions.
func (s *session) spent() bool {
	return s.uses >= maxUses || s.ext.limits.mail > 0 && s.uses >= s.ext.limits.mail
}

// chunk cuts from places as many as one transaction may have.
func (s *session) chunk(places []int) []int {
	if most := s.ext.limits.rcpt; most > 0 && len(places) > most {
		return places[:most]
	}
	return places
}
