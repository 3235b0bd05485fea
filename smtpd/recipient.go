package smtpd

import (
	"postrider/internal/address"
	"postrider/internal/idn"
	"postrider/internal/sessionlimit"
	"postrider/internal/wire/lookup"
)

var (
	replyNoMailbox     = reply{code: 550, enhanced: "5.1.1", text: "sorry, no mailbox here by that name (#5.1.1)", rule: "verifyrcpt"}
	replyRcptUnsure    = reply{code: 451, enhanced: "4.3.0", text: "unable to verify that recipient now, try again later (#4.3.0)", rule: "verifyrcpt"}
	replyTooManyBadTos = reply{code: 421, enhanced: "4.3.0", text: "too many invalid addresses, goodbye (#4.3.0)", hangUp: true, rule: "maxbadrcpt"}
	// For good, though the owner may make room: the sender learns it now and
	// not after days of attempts, and so do chkuser's (spec section 6.7).
	replyMailboxFull = reply{code: 552, enhanced: "5.2.2", text: "sorry, recipient mailbox is full (#5.2.2)", rule: "verifyrcpt"}
)

// party is who is metered.
func (s *session) party() sessionlimit.Party {
	if user := s.loggedIn(); user != "" {
		return sessionlimit.Party{User: idn.AddressKey(user)} // whoever checks it may take it in any case of letters
	}
	return sessionlimit.Party{Addr: sessionlimit.Customer(s.client)}
}

// verify refuses a recipient that has no mailbox, or of whom that is not
// known. The zero reply is consent.
func (s *session) verify(recipient address.Address) reply {
	policy := s.settings.mailboxes
	if s.mailboxes == nil || !policy.Asks(s.peer.relay) {
		return reply{}
	}
	s.named.Who = s.party()
	found, err := s.mailboxes.Check(policy, &s.named, recipient, s.clock.Now())
	if err != nil {
		s.logProblem("verifyrcpt", err)
	}
	switch {
	case found.TooMany:
		return replyTooManyBadTos
	case found.Verdict == lookup.Exists:
		return reply{}
	case found.Verdict == lookup.Unknown:
		r := replyNoMailbox
		r.wait = found.Pause
		return r
	case found.Verdict == lookup.Full:
		return replyMailboxFull
	}
	return replyRcptUnsure // qmail-lookup has logged why
}
