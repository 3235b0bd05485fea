package smtpd

import (
	"fmt"
	"strings"

	"postrider/internal/address"
	"postrider/internal/idn"
)

var (
	replyBadHelo   = reply{code: 553, enhanced: "5.7.1", text: "sorry, your HELO host name has been denied (#5.7.1)", rule: "badhelo"}
	replyBadMailTo = reply{code: 553, enhanced: "5.7.1", text: "sorry, your envelope recipient has been denied (#5.7.1)", rule: "badmailto"}
	replyBadRcptTo = reply{code: 553, enhanced: "5.7.1", text: "sorry, your envelope recipient has been denied (#5.7.1)", rule: "badrcptto"}
)

// denied refuses a client's name or a recipient that is in a list, whoever the
// client is (spec section 6.7). The zero reply is consent.
func (s *session) denied(recipient address.Address) reply {
	if len(s.settings.badHelo) > 0 {
		if _, bad := s.settings.badHelo[idn.AddressKey(s.heloName)]; bad {
			return replyBadHelo
		}
	}
	if len(s.settings.badMailTo)+len(s.settings.badRcptTo) == 0 {
		return reply{}
	}
	if !recipient.HasDomain() { // as qmail-send will have it
		if whole, err := address.New(recipient.String() + "@" + s.settings.noAtHost); err == nil {
			recipient = whole
		}
	}
	switch {
	case isListed(s.settings.badMailTo, recipient):
		return replyBadMailTo
	case isListed(s.settings.badRcptTo, recipient):
		return replyBadRcptTo
	}
	return reply{}
}

// isListed looks an address up in a list: whole, and as @domain.
func isListed(list map[string]struct{}, a address.Address) bool {
	if len(list) == 0 {
		return false
	}
	whole := idn.AddressKey(a.String())
	if _, listed := list[whole]; listed {
		return true
	}
	at := strings.LastIndexByte(whole, '@')
	if at < 0 {
		return false
	}
	_, listed := list[whole[at:]]
	return listed
}

// expressionHint is the warning about a line that the regular expressions of
// other qmails (qregex) could be: here it stands for itself, and an
// administrator who comes from there would think that it denies.
func expressionHint(name string, lines []string) string {
	for _, line := range lines {
		if strings.ContainsAny(line, `\^`) || strings.HasPrefix(line, "!") || strings.HasSuffix(line, "$") ||
			strings.Contains(line, ".*") || strings.Contains(line, ".+") {
			return fmt.Sprintf("control/%s: %q looks like a regular expression, but lines are compared as they are", name, line)
		}
	}
	return ""
}
