package smtpd

import (
	"time"

	"postrider/internal/smtpwire"
)

// incoming is a message on its way from the client into the queue. It is
// handed on while it arrives, but for a short one, which goes in one piece.
type incoming struct {
	*session
	decoder smtpwire.Decoder
	hops    hopCounter
	limit   int64 // 0 is none
	size    int64 // octets stored, without our Received line
	failure error // the queue failed; the rest is read and dropped
	dropped bool  // the message is refused; the rest is read and dropped
}

// data answers DATA; the message comes next.
func (s *session) data(string) reply {
	if s.peer.filter != "" && s.filterMissing {
		return replyNoFilter
	}
	text := s.lent.borrow(smallBuffer)
	if text == nil || !s.in.widen() {
		s.lent.back(text)
		return replyNoRoom
	}
	submission, err := s.queue.begin()
	if err != nil {
		s.lent.back(text)
		s.logProblem("queue", err)
		return replyNoQueue
	}
	s.submission, s.text = submission, text
	s.state = message
	return replyGoAhead
}

// receive reads the message that follows 354 and answers it.
func (s *session) receive() (reply, error) {
	s.text = s.appendReceived(s.text, s.clock.Now())
	m := &incoming{session: s, limit: s.sizeLimit()}
	for !m.decoder.Ended() {
		if len(s.in.unused()) == 0 {
			if err := m.read(); err != nil {
				return m.interrupted(err)
			}
		}
		s.in.use(m.take(s.in.unused()))
	}
	r := m.finish()
	s.reset()
	return r, nil
}

// read waits for more of the message.
func (m *incoming) read() error {
	if err := m.flush(m.settings.timeout); err != nil {
		return err
	}
	wait := m.settings.timeout
	if m.decoder.Flaw() != smtpwire.NoFlaw {
		wait = min(wait, flawedIdle)
	}
	if err := m.setDeadline(wait); err != nil {
		return err
	}
	if m.size >= largeBuffer {
		m.in.enlarge()
	}
	if err := m.in.fill(); err != nil {
		return m.readError(err)
	}
	return nil
}

// interrupted ends a message that did not end. A client that waits in vain
// for an answer to its own wrong end mark gets it with the hang-up.
func (m *incoming) interrupted(err error) (reply, error) {
	if flaw := m.decoder.Flaw(); err == errTimeout && flaw != smtpwire.NoFlaw {
		r := flawReply(flaw).hangingUp()
		m.logMessage(m.size, "", r)
		return r, nil
	}
	m.logInterrupted(m.size, err)
	return reply{}, err
}

// take decodes a piece and returns how much of it belongs to the message.
func (m *incoming) take(piece []byte) int {
	used := 0
	for used < len(piece) && !m.decoder.Ended() {
		room := cap(m.text) - len(m.text) - smtpwire.MaxHeld
		if room <= 0 {
			m.makeRoom()
			continue
		}
		before := len(m.text)
		part := piece[used:min(len(piece), used+room)]
		var n int
		m.text, n = m.decoder.Append(m.text, part)
		used += n
		m.inspect(m.text[before:])
	}
	return used
}

// inspect applies the rules to what was just decoded.
func (m *incoming) inspect(decoded []byte) {
	m.size += int64(len(decoded))
	m.hops.add(decoded)
	tooBig := m.limit > 0 && m.size > m.limit
	if !m.dropped && (tooBig || m.hops.hops >= maxHops || m.decoder.Flaw() != smtpwire.NoFlaw) {
		m.drop()
	}
	if m.dropped {
		m.text = m.text[:0]
	}
}

// drop gives up the message; what still comes of it is read and forgotten.
func (m *incoming) drop() {
	m.dropped = true
	m.submission.abort()
	m.submission = nil
}

// makeRoom empties the full buffer: into a larger one while the message is
// short, else into the queue.
func (m *incoming) makeRoom() {
	if cap(m.text) < largeBuffer {
		if large := m.lent.borrow(largeBuffer); large != nil {
			small := m.text
			m.text = append(large, small...)
			m.lent.back(small)
			return
		}
	}
	if m.failure = m.submission.write(m.text); m.failure != nil {
		m.drop()
	}
	m.text = m.text[:0]
}

// finish answers the end of the message, in qmail's order of tests.
func (m *incoming) finish() reply {
	var r reply
	id := ""
	switch {
	case m.decoder.Flaw() != smtpwire.NoFlaw:
		r = flawReply(m.decoder.Flaw())
	case m.hops.hops >= maxHops:
		r = replyTooManyHop
	case m.limit > 0 && m.size > m.limit:
		r = replyTooBig
	case m.failure != nil:
		r = queueReply(m.failure)
	default:
		r, id = m.commit()
	}
	m.logMessage(m.size, id, r)
	return r
}

// commit hands the rest of the message over and waits until it is queued.
func (m *incoming) commit() (reply, string) {
	submission := m.submission
	m.submission = nil
	id, err := submission.commit(m.text, m.envelope)
	if err != nil {
		m.logProblem("queue", err)
		return queueReply(err), ""
	}
	m.queued++
	m.idleCommands = 0
	return acceptedReply(m.clock.Now().Truncate(time.Second).Unix(), id), id
}
