package qmailremote

import (
	"strconv"
	"strings"

	"postrider/internal/destinations"
)

// limits are those that a server announces (RFC 9422), or control/destinations
// has. Zero is none.
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

// limitsOf is what control/destinations says.
func limitsOf(l destinations.Limits) limits { return limits{mail: l.Messages, rcpt: l.Recipients} }

// within returns the limits that keep both.
func (l limits) within(other limits) limits {
	return limits{mail: lower(l.mail, other.mail), rcpt: lower(l.rcpt, other.rcpt)}
}

// lower returns the lower of two limits.
func lower(a, b int) int {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// spent reports whether the connection has had all its transactions.
func (s *session) spent() bool {
	return s.last || s.uses >= maxUses || s.limits.mail > 0 && s.uses >= s.limits.mail
}

// chunk cuts from places as many as one transaction may have.
func (s *session) chunk(places []int) []int {
	if most := s.limits.rcpt; most > 0 && len(places) > most {
		return places[:most]
	}
	return places
}
