package smtpd

import (
	"net"
	"net/netip"
	"strings"

	"postrider/internal/address"
	"postrider/internal/esmtp"
)

// maxEnvelopeStep bounds how much an envelope grows at once.
const maxEnvelopeStep = 64 << 10

// mail begins a transaction; qmail allows that inside another one, too.
func (s *session) mail(argument string) reply {
	sender, rest, err := parsePath(argument, "FROM")
	if err != nil {
		return syntaxError(err.Error())
	}
	parameters, refused := parseMailParameters(rest, s.takesFacts())
	if refused != nil {
		return *refused
	}
	if refused := s.mayMail(parameters); refused.code != 0 {
		return refused
	}
	if parameters.facts.RequireTLS && !s.secured() {
		return s.refuseRequireTLS()
	}
	if limit := s.sizeLimit(); limit > 0 && parameters.size > limit {
		return replyTooBig
	}
	sender, err = s.localLiteral(sender)
	if err != nil {
		return syntaxError(err.Error())
	}
	if !parameters.facts.UTF8 && !isASCII(sender.String()) {
		return replyNeedsUTF8
	}
	if s.settings.maxMail > 0 && s.mails >= s.settings.maxMail {
		return replyTooManyMails
	}
	if !s.isFiltered() && s.queue.full() {
		return replyQueueFull
	}
	if refused := s.countMail(); refused.code != 0 {
		return refused
	}
	if user := s.loggedIn(); user != "" && s.takesUser() {
		parameters.facts.User = esmtp.Xtext(user)
	}
	if s.peer.relay && s.takesUser() {
		parameters.facts.Origin = esmtp.FromClient
	}
	s.reset()
	if !s.addRecord('F', sender.String()) || !s.addFacts(parameters.facts.Append(nil)) || !s.addClient() {
		return replyNoRoomForRcpt
	}
	s.mails++
	s.utf8, s.binary = parameters.facts.UTF8, parameters.binary
	s.sender = sender.String()
	s.senderBad = s.settings.badMailFrom.Has(sender)
	if s.binary {
		rest = asLines(rest)
	}
	if refused := s.milterMail(sender, rest); refused.code != 0 {
		s.reset()
		return refused
	}
	s.state = mail
	return replySenderOK
}

// rcpt adds a recipient if mail for it is taken.
func (s *session) rcpt(argument string) reply {
	recipient, rest, err := parsePath(argument, "TO")
	if err != nil {
		return syntaxError(err.Error())
	}
	facts, refused := parseRcptParameters(rest, s.takesFacts(), s.utf8)
	if refused != nil {
		return *refused
	}
	if !s.utf8 && !isASCII(recipient.String()) {
		return replyNeedsUTF8
	}
	if recipient, err = s.localLiteral(recipient); err != nil {
		return syntaxError(err.Error())
	}
	if s.senderBad {
		return replyBadMailFrom
	}
	if s.peer.refusal != "" {
		return refusedReply(s.peer.refusal)
	}
	if refused := s.denied(recipient); refused.code != 0 {
		return refused
	}
	if refused := s.mayRelay(&recipient); refused.code != 0 {
		return refused
	}
	if s.recipients >= s.settings.maxRcpt {
		return replyTooManyRcpts
	}
	if refused := s.countRcpt(); refused.code != 0 {
		return refused
	}
	if refused := s.screen(); refused.code != 0 {
		return refused
	}
	if refused := s.verify(recipient); refused.code != 0 {
		return refused
	}
	if refused := s.greylist(recipient); refused.code != 0 {
		return refused
	}
	if refused := s.milterRcpt(recipient, rest); refused.code != 0 {
		return refused
	}
	if !s.peer.relay {
		// Strangers are not told that an address exists, nor whose mail goes on
		// to where.
		facts.Notify = facts.Notify.WithoutSuccess()
	}
	before := len(s.envelope)
	if !s.addFacts(facts.Append(nil)) || !s.addRecord('T', recipient.String()) {
		s.envelope = s.envelope[:before]
		return replyNoRoomForRcpt
	}
	s.recipients++
	s.state = rcpt
	return replyRcptOK
}

// mayRelay applies RELAYCLIENT, else rcpthosts. The zero reply is consent.
func (s *session) mayRelay(recipient *address.Address) reply {
	if s.peer.relay {
		relayed, err := address.New(recipient.String() + s.peer.relaySuffix)
		if err != nil {
			return syntaxError("")
		}
		*recipient = relayed
		return reply{}
	}
	takes, err := s.settings.hosts.Takes(*recipient)
	switch {
	case err != nil:
		s.logProblem("rcpthosts", err)
		return replyHostsUnsure
	case !takes:
		return replyNotRcptHost
	}
	return reply{}
}

// localLiteral gives box@[own address] the name in localiphost (spec 6.1).
func (s *session) localLiteral(path address.Address) (address.Address, error) {
	addr, isLiteral := literal(path.Domain())
	if !isLiteral || !s.settings.hasIPHost || !s.isOwn(addr) {
		return path, nil
	}
	return address.New(path.Local() + "@" + s.settings.localIPHost)
}

// isOwn reports whether addr is an address of this host.
func (s *session) isOwn(addr netip.Addr) bool {
	if addr.IsUnspecified() || addr == s.peer.localIP {
		return true
	}
	// What cannot be listed is not ours: the address is then no rcpthost.
	own, err := net.InterfaceAddrs()
	if err != nil {
		s.logProblem("own addresses", err)
		return false
	}
	for _, a := range own {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Unmap() == addr {
			return true
		}
	}
	return false
}

// addRecord appends a record to the envelope, which is kept in the form the
// queue takes: one byte array, whatever the number of recipients (R42).
func (s *session) addRecord(letter byte, value string) bool {
	if !s.growEnvelope(len(value) + 2) {
		return false
	}
	s.envelope = append(s.envelope, letter)
	s.envelope = append(append(s.envelope, value...), 0)
	return true
}

// addFacts appends records that internal/esmtp has written.
func (s *session) addFacts(records []byte) bool {
	if len(records) == 0 {
		return true
	}
	if !s.growEnvelope(len(records)) {
		return false
	}
	s.envelope = append(s.envelope, records...)
	return true
}

// addClient adds from whom the message comes, which qmail-send wants to know: a
// client that sends very much must not keep out another one.
func (s *session) addClient() bool {
	ip, _, _ := strings.Cut(s.peer.ip, "%")
	if _, err := netip.ParseAddr(ip); err != nil || !s.takesUser() {
		return true
	}
	return s.addRecord(esmtp.RecordClient, ip)
}

// modestEnvelope is for how long envelopes there is room while others have long
// ones: some hundred recipients.
const modestEnvelope = 16 << 10

// growEnvelope makes room for n octets more.
func (s *session) growEnvelope(n int) bool {
	need := len(s.envelope) + n
	if need > cap(s.envelope) {
		grown := max(need, 256, min(2*cap(s.envelope), cap(s.envelope)+maxEnvelopeStep))
		most := int64(maxBorrowed)
		if grown > modestEnvelope {
			most /= 2
		}
		if !s.lent.takeOf(grown-cap(s.envelope), most) {
			return false
		}
		wider := make([]byte, len(s.envelope), grown)
		copy(wider, s.envelope)
		s.envelope = wider
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
