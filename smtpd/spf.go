package smtpd

import (
	"postrider/internal/header"
	"postrider/internal/smtpwire"
	"postrider/internal/wire/policy"
)

// The levels of control/spfbehavior (spec section 6.7). Each has what those
// before it have.
const (
	spfNote     = 1 // the result is noted
	spfUnsure   = 2 // mail is put off while the result cannot be found out
	spfFail     = 3
	spfSoftFail = 4
	spfNeutral  = 5
	spfNone     = 6
)

// spfLevels is from which level on a result refuses mail.
var spfLevels = map[policy.Result]int{
	policy.TempError: spfUnsure, policy.Fail: spfFail, policy.SoftFail: spfSoftFail,
	policy.Neutral: spfNeutral, policy.None: spfNone, policy.PermError: spfNone,
}

var (
	replySPFUnsure = reply{code: 451, enhanced: "4.7.24", text: "SPF lookup failure (#4.7.24)", rule: "spfbehavior"}
	replySPF       = reply{code: 550, enhanced: "5.7.23", rule: "spfbehavior"}
)

// spfWords say what a result means.
var spfWords = map[policy.Result]string{
	policy.None:      "the domain does not say who may send for it",
	policy.Neutral:   "the domain does not say whether the client may send for it",
	policy.Pass:      "the client may send for the domain",
	policy.Fail:      "the client may not send for the domain",
	policy.SoftFail:  "the client should not send for the domain",
	policy.TempError: "what the domain says cannot be found out now",
	policy.PermError: "what the domain says cannot be understood",
}

// has reports whether the result is that of a transaction.
func (k *standing) has(helo, sender string) bool {
	return k.hasResult && k.helo == helo && k.sender == sender
}

// askSender checks the sender of the transaction. The zero reply is consent.
func (s *session) askSender(c checks, known *standing) reply {
	if !known.has(s.heloName, s.sender) {
		known.hasResult = false
		result, err := s.policy.within(senderWait).Sender(s.client, s.heloName[:min(len(s.heloName), policy.MaxHelo)], s.sender)
		if err != nil {
			s.logUnasked("spfbehavior", err)
			if c.spf >= spfUnsure {
				return replySPFUnsure
			}
			return reply{}
		}
		known.hasResult, known.helo, known.sender, known.result = true, s.heloName, s.sender, result
	}
	level, refuses := spfLevels[known.result]
	switch {
	case !refuses || c.spf < level:
		return reply{}
	case known.result == policy.TempError:
		return replySPFUnsure
	}
	r := replySPF
	r.text = "SPF " + known.result.String() + " for the domain of your envelope sender: " + spfWords[known.result] + " (#5.7.23)"
	return r
}

// spfResult returns that of the transaction, if there is one.
func (s *session) spfResult() (result policy.Result, found bool) {
	c, known := s.checks()
	if known == nil || c.spf == 0 || !known.has(s.heloName, s.sender) {
		return 0, false
	}
	return known.result, true
}

// annotate puts what was found out behind the Received line. Without memory for
// that it is left out.
func (s *session) annotate() {
	var line []byte
	if result, found := s.spfResult(); found {
		line = s.appendReceivedSPF(line, result)
	}
	line = s.appendResults(line)
	if len(line) == 0 {
		return
	}
	if cap(s.text)-len(s.text) < len(line)+smtpwire.MaxHeld {
		larger := s.lent.borrow(smallBuffer)
		if larger == nil {
			return
		}
		tiny := s.text
		s.text = append(larger, tiny...)
		s.lent.back(tiny)
	}
	s.text = append(s.text, line...)
}

// appendReceivedSPF appends the header field of RFC 7208 section 9.1.
func (s *session) appendReceivedSPF(b []byte, result policy.Result) []byte {
	identity, sender := "mailfrom", s.sender
	if sender == "" {
		identity = "helo"
	}
	b = append(append(b, "Received-SPF: "...), result.String()...)
	b = append(b, " ("...)
	b = header.AppendSafe(b, s.peer.local)
	b = append(append(append(b, ": "...), spfWords[result]...), ")\n  client-ip="...)
	b = header.AppendSafe(b, s.peer.ip)
	b = append(b, "; envelope-from=\""...)
	b = appendQuoted(b, sender)
	b = append(b, "\";\n  helo="...)
	b = header.AppendSafe(b, s.heloName)
	b = append(b, "; receiver="...)
	b = header.AppendSafe(b, s.peer.local)
	return append(append(append(b, "; identity="...), identity...), ";\n"...)
}

// appendQuoted appends s as the inside of a quoted string.
func appendQuoted(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c > '~':
			b = append(b, '?')
		default:
			b = append(b, c)
		}
	}
	return b
}
