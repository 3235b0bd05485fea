package inject

import (
	"postrider/internal/enqueue"
	"postrider/internal/esmtp"
)

// facts is what sendmail's -N, -R and -V say of the message (RFC 3461). A queue
// program does not get it.
type facts struct {
	message   esmtp.Message
	recipient esmtp.Recipient // the same for all
}

// take takes the argument of a flag; the last one of its kind counts.
func (f *facts) take(e effect, value string) error {
	switch e {
	case notify:
		return f.recipient.ParseNotify(value)
	case returns:
		return f.message.ParseReturn(value)
	default:
		return f.message.ParseEnvelopeID(value)
	}
}

// ofMessage follows the sender in the envelope.
func (f *facts) ofMessage(s *enqueue.Submission) error {
	if f.message.Return != 0 {
		if err := s.Fact(esmtp.RecordReturn, f.message.Return.String()); err != nil {
			return err
		}
	}
	if f.message.EnvelopeID != "" {
		return s.Fact(esmtp.RecordEnvelopeID, f.message.EnvelopeID)
	}
	return nil
}

// ofRecipient stands before each recipient.
func (f *facts) ofRecipient(s *enqueue.Submission) error {
	if f.recipient.Notify == 0 {
		return nil
	}
	return s.Fact(esmtp.RecordNotify, f.recipient.Notify.String())
}
