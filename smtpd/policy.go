package smtpd

import (
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
	case s.settings.badMailTo.Has(recipient):
		return replyBadMailTo
	case s.settings.badRcptTo.Has(recipient):
		return replyBadRcptTo
	}
	return reply{}
}
