package qmailremote

import "context"

// maxFurther is how many connections more a message may take whose recipients
// a server wants in several transactions and ends connections between them.
const maxFurther = 20

// transactions sends the message and gives the session back. A server that
// takes only some recipients at a time gets the others in further transactions
// (RFC 5321 section 4.5.3.1.10, RFC 9422).
func (c *client) transactions(ctx context.Context, set *settings, s *session, m mail) (outcome, state) {
	s.limits = s.ext.limits.within(m.limits)
	part, all := m, len(m.recipients)
	first := all
	if most := s.limits.rcpt; most > 0 && most < all {
		first = most
		part = m.only(places(first))
	}
	o, st := s.transact(ctx, part)
	if st == unchunked {
		s, o, st = c.withoutChunks(ctx, set, s, part, o)
	}
	s.noteTLS(&o)
	if st == refused {
		c.pool.retire(s) // it may be the connection that is not wanted any more
		return o, st
	}
	if first < all && st == settled {
		o = o.widened(s, first, all)
	}
	if st == settled && o.message.class == accepted {
		s = c.further(ctx, set, s, m, &o)
		if o.message.text == "" {
			o.message = *givingUp(s.ip())
		}
	}
	c.pool.put(s)
	return o, st
}

// further sends the message to the recipients for whom there was no room. It
// returns the session that it used last.
func (c *client) further(ctx context.Context, set *settings, s *session, m mail, o *outcome) *session {
	connections := 0
	for later := o.crowded(); len(later) > 0; later = o.crowded() {
		if s.broken || !m.body.again() || ctx.Err() != nil {
			break
		}
		if s.spent() {
			if connections++; connections > maxFurther {
				break
			}
			fresh, fault, err := c.connect(ctx, set, s.key, s.want)
			if err != nil || fault != nil {
				break
			}
			c.pool.retire(s)
			s = fresh
			s.limits = s.ext.limits.within(m.limits)
		}
		now := s.chunk(later)
		next, nextState := s.transact(ctx, m.only(now))
		if nextState != settled {
			break // what was said about them stands: they are tried later
		}
		s.noteTLS(&next)
		o.fold(next, now)
	}
	return s
}

// widened is the outcome for the first recipients as one for all of them: each
// has its own report, and the others have still to be sent. The message's report
// has no text until somebody was taken.
func (o outcome) widened(s *session, first, all int) outcome {
	wide := outcome{message: report{class: accepted}, recipients: make([]report, all)}
	for i := range wide.recipients {
		wide.recipients[i] = report{class: rcptLater, text: manyRecipients(s), crowded: true}
	}
	wide.fold(o, places(first))
	return wide
}

// places are the first n places of a list.
func places(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

func manyRecipients(s *session) string {
	return s.ip().String() + " takes a few recipients at a time, and ended the connection before this one. (#4.5.3)\n"
}
