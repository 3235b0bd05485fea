package qmtp

import (
	"io"

	"postrider/internal/address"
	"postrider/internal/netstring"
)

// serveQMQP takes one message and answers it.
func serveQMQP(s *session) error {
	request, err := s.next()
	if err == io.EOF {
		return nil
	}
	if err != nil {
		return err
	}
	m := s.begin()
	defer m.end()
	if err := m.readRequest(request); err != nil {
		return m.interrupted(err)
	}
	return s.say(m.finish())
}

// readRequest reads the message, its sender and its recipients.
func (m *message) readRequest(request *netstring.String) error {
	text, err := netstring.Open(request, maxLength)
	if err == nil {
		err = m.readText(text, false)
	}
	if err == nil {
		err = m.readSender(request, answerBadAddress)
	}
	if err != nil {
		return inside(err)
	}
	for request.Left() > 0 {
		text, ok, err := m.readAddress(request)
		if err != nil {
			return inside(err)
		}
		recipient, err := address.New(text)
		switch {
		case !ok || err != nil:
			m.refuse(answerBadAddress)
		case m.recipients >= m.settings.maxRcpt:
			m.refuse(answerTooManyForAll)
		default:
			m.addRecipient(recipient)
		}
	}
	return request.Close()
}

// inside is what an error means that was met inside a netstring: its end came
// too early.
func inside(err error) error {
	if err == io.EOF {
		return netstring.ErrSyntax
	}
	return err
}
