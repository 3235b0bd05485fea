package qmtp

import (
	"io"

	"postrider/internal/address"
	"postrider/internal/netstring"
)

// First octets of a message of QMTP.
const (
	linesLF   = '\n'
	linesCRLF = '\r'
)

// serveQMTP takes messages until the client leaves.
func serveQMTP(s *session) error {
	for {
		switch err := s.qmtpMessage(); err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

// qmtpMessage takes one message and answers for each of its recipients.
func (s *session) qmtpMessage() error {
	text, err := s.next()
	if err != nil {
		return err
	}
	if text.Left() == 0 {
		return netstring.ErrSyntax
	}
	mode, err := text.ReadByte()
	if err != nil {
		return err
	}
	if mode != linesLF && mode != linesCRLF {
		return netstring.ErrSyntax
	}
	m := s.begin()
	defer m.end()
	err = m.readText(text, mode == linesCRLF)
	if err == nil {
		err = m.readSender(s.in, answerBadSender)
	}
	if err == nil {
		err = m.readRecipients()
	}
	if err != nil {
		return m.interrupted(err)
	}
	result := m.finish()
	for _, v := range m.verdicts {
		a := result
		if v != accepted {
			a = verdicts[v]
		}
		if err := s.say(a); err != nil {
			return err
		}
	}
	for range m.tooMany {
		if err := s.say(answerTooManyRcpts); err != nil {
			return err
		}
	}
	return nil
}

// readRecipients reads the netstring of recipients, and notes a verdict on each.
func (m *message) readRecipients() error {
	all, err := netstring.Open(m.in, maxLength)
	if err != nil {
		return err
	}
	for all.Left() > 0 {
		text, ok, err := m.readAddress(all)
		if err != nil {
			return err
		}
		if len(m.verdicts) >= m.settings.maxRcpt {
			m.countRefusal(answerTooManyRcpts.rule)
			if m.tooMany++; m.tooMany > max(m.settings.maxRcpt, maxSurplus) {
				return errTooMany
			}
			continue
		}
		v := cannot
		if ok {
			if v, err = m.judge(text); err != nil {
				return err
			}
		}
		if err := m.note(v, text); err != nil {
			return err
		}
	}
	return all.Close()
}

// note remembers the verdict on a recipient.
func (m *message) note(v verdict, text string) error {
	if len(m.verdicts) == cap(m.verdicts) {
		grown := max(64, 2*cap(m.verdicts))
		if !m.lent.take(grown - cap(m.verdicts)) {
			return errNoMemory
		}
		m.verdicts = append(make([]verdict, 0, grown), m.verdicts...)
	}
	m.verdicts = append(m.verdicts, v)
	if v != accepted {
		m.logRefusedRecipient(text, verdicts[v])
	}
	return nil
}

// judge says whether mail for a recipient is taken, and if so adds it.
func (m *message) judge(text string) (verdict, error) {
	recipient, err := address.New(text)
	if err != nil || len(text)+len(m.peer.relaySuffix) > maxAddress {
		return cannot, nil
	}
	if v := m.denied(recipient); v != accepted {
		return v, nil
	}
	if !m.peer.relay {
		takes, err := m.settings.hosts.Takes(recipient)
		switch {
		case err != nil:
			m.logProblem("rcpthosts", err)
			return hostsUnsure, nil
		case !takes:
			return notRcptHost, nil
		}
	} else if recipient, err = address.New(text + m.peer.relaySuffix); err != nil {
		return cannot, nil
	}
	v, err := m.verify(recipient)
	if v == accepted && err == nil {
		m.addRecipient(recipient)
	}
	return v, err
}

// denied looks a recipient up in the lists of those for whom no mail is taken,
// whoever the client is.
func (m *message) denied(recipient address.Address) verdict {
	if len(m.settings.badMailTo)+len(m.settings.badRcptTo) == 0 {
		return accepted
	}
	if !recipient.HasDomain() { // as qmail-send will have it
		if whole, err := address.New(recipient.String() + "@" + m.settings.noAtHost); err == nil {
			recipient = whole
		}
	}
	switch {
	case m.settings.badMailTo.Has(recipient):
		return badMailTo
	case m.settings.badRcptTo.Has(recipient):
		return badRcptTo
	}
	return accepted
}
