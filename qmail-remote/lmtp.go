package qmailremote

import (
	"errors"
)

// helloVerb begins a session (RFC 5321 section 4.1.1.1, RFC 2033 section 4.1).
func (s *session) helloVerb() string {
	if s.key.protocol == lmtp {
		return "LHLO"
	}
	return "EHLO"
}

// messageByLMTP sends the message. The server answers once for each recipient
// that it took, in their order (RFC 2033 section 4.2).
func (s *session) messageByLMTP(b *body, release func() bool, o outcome) (outcome, state) {
	if r, st, sent := s.messageSent(b, false, release); !sent {
		if st == gone {
			return whole(&r), gone
		}
		o.message = r
		return o, settled
	}
	o.message = *givingUp(s.ip())
	for i := range o.recipients {
		if o.recipients[i].class != rcptTaken {
			continue
		}
		s.await(stepEnd)
		reply, err := s.reply()
		closing := errors.Is(err, errClosing)
		if err != nil && !closing || err == nil && 300 <= reply.Code && reply.Code < 400 {
			// What was not answered may have been taken.
			s.broken = true
			return lostByLMTP(s, o, i, reply.Text), settled
		}
		if reply.Code < 400 {
			o.message = *messageAccepted(s.ip(), reply)
			continue
		}
		o.recipients[i] = notDelivered(s, reply.Text, reply.Code)
		if closing {
			return closedByLMTP(s, o, i+1, reply.Text), settled
		}
	}
	s.reset = false
	return o, settled
}

// notDelivered is the report for a recipient that was taken and then not served.
func notDelivered(s *session, said string, code int) report {
	r := report{class: rcptLater, text: s.ip().String() + " failed after I sent the message.\n" + remoteSaid(said)}
	if code >= 500 {
		r.class = rcptNever
	}
	return r
}

// lostByLMTP is the outcome when the connection ended before the answer for
// recipient from.
func lostByLMTP(s *session, o outcome, from int, said string) outcome {
	for i := from; i < len(o.recipients); i++ {
		if o.recipients[i].class == rcptTaken {
			o.recipients[i] = report{class: rcptLater, text: died(s.ip(), true, said).text}
		}
	}
	return o
}

// closedByLMTP is the outcome when the server said in place of the answer for
// the recipient before from that it closes the connection: nobody else has the
// message.
func closedByLMTP(s *session, o outcome, from int, said string) outcome {
	for i := from; i < len(o.recipients); i++ {
		if o.recipients[i].class == rcptTaken {
			o.recipients[i] = notDelivered(s, said, codeClosing)
		}
	}
	return o
}
