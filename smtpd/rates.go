package smtpd

import (
	"net/netip"
	"time"

	"postrider/internal/sessionlimit"
)

// allowance is how much one client may do; 0 is no limit.
type allowance struct {
	connections int // a minute
	messages    int // an hour
	recipients  int // an hour
}

// unset is a number that a rule of tcp.smtp does not give.
const unset = -1

// newAllowance reads the variables with which a rule replaces the numbers of
// the control files: their names in capitals.
func newAllowance(get func(name string) (value string, set bool)) allowance {
	number := func(name string) int {
		if text, set := get(name); set {
			return int(leadingNumber(text))
		}
		return unset
	}
	return allowance{number("RATECONNSMTP"), number("RATEMAILSMTP"), number("RATERCPTSMTP")}
}

// or returns what is set of a, and of b what is not.
func (a allowance) or(b allowance) allowance {
	return allowance{orElse(a.connections, b.connections), orElse(a.messages, b.messages), orElse(a.recipients, b.recipients)}
}

// orElse returns n, or what counts where that is unset.
func orElse(n, otherwise int) int {
	if n == unset {
		return otherwise
	}
	return n
}

var (
	replyManyConnects = reply{code: 421, enhanced: "4.7.0", text: "too many connections a minute from your address, try again later (#4.7.0)", hangUp: true, rule: "rateconnsmtp"}
	replyManyMails    = reply{code: 450, enhanced: "4.7.1", text: "too many messages an hour from you, try again later (#4.7.1)", rule: "ratemailsmtp"}
	replyManyRcpts    = reply{code: 450, enhanced: "4.7.1", text: "too many recipients an hour from you, try again later (#4.7.1)", rule: "ratercptsmtp"}
)

// rates counts what clients do.
type rates struct {
	connections, messages, recipients sessionlimit.Meter
}

// connect counts a connection. The zero reply is consent, here and below.
func (r *rates) connect(client netip.Addr, a allowance, now time.Time) reply {
	if r.connections.Take(sessionlimit.Party{Addr: sessionlimit.Customer(client)}, a.connections, time.Minute, now) {
		return reply{}
	}
	return replyManyConnects
}

// countMail counts a transaction.
func (s *session) countMail() reply {
	if s.rates == nil {
		return reply{}
	}
	return s.counted(&s.rates.messages, s.peer.allowance.or(s.settings.allowance).messages, replyManyMails)
}

// countRcpt counts a recipient.
func (s *session) countRcpt() reply {
	if s.rates == nil {
		return reply{}
	}
	return s.counted(&s.rates.recipients, s.peer.allowance.or(s.settings.allowance).recipients, replyManyRcpts)
}

func (s *session) counted(m *sessionlimit.Meter, limit int, refusal reply) reply {
	if limit <= 0 || m.Take(s.party(), limit, time.Hour, s.clock.Now()) {
		return reply{}
	}
	return refusal
}
