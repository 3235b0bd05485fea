package smtpd

import (
	"bytes"
	"slices"
	"time"

	"postrider/internal/authresults"
	"postrider/internal/header"
	"postrider/internal/smtpwire"
)

// incoming is a message on its way from the client into the queue. It is
// handed on while it arrives, but for a short one, which goes in one piece.
type incoming struct {
	*session
	decoder smtpwire.Decoder      // of DATA
	chunks  smtpwire.ChunkDecoder // of BDAT
	forged  *authresults.Remover  // of fields in our name; nil: there is no such name
	hops    header.HopCounter
	pace    pace
	limit   int64 // 0 is none
	octets  int64 // of chunks, as they came
	size    int64 // octets stored, without our Received line
	line    int   // octets of the last line so far
	long    bool  // a line was too long
	begun   bool  // the text has an octet
	failure error // the queue failed; the rest is read and dropped
	dropped bool  // the message is refused; the rest is read and dropped
}

// data answers DATA; the message comes next.
func (s *session) data(string) reply {
	if s.binary {
		return replyNeedsBdat
	}
	if r := s.beginText(); r.code != 0 {
		return r
	}
	s.state = message
	return replyGoAhead
}

// beginText prepares for the text of a message; the zero reply is consent.
func (s *session) beginText() reply {
	if refused := s.milterData(); refused.code != 0 {
		return refused
	}
	text := s.lent.borrow(tinyBuffer)
	if text == nil {
		return replyNoRoom
	}
	submission, err := s.intake()
	if err != nil {
		s.lent.back(text)
		if err == errNoFilter {
			return replyNoFilter
		}
		s.logProblem("queue", err)
		return replyNoQueue
	}
	s.submission, s.text = submission, text
	return reply{}
}

// newIncoming begins the message with our Received line, and what was found out
// about its sender.
func (s *session) newIncoming() *incoming {
	s.text = s.appendReceived(s.text, s.clock.Now())
	s.annotate()
	s.incoming = incoming{session: s, limit: s.sizeLimit(), pace: newPace(), forged: s.newRemover()}
	return &s.incoming
}

// receive reads the message that follows 354 and answers it.
func (s *session) receive() (reply, error) {
	m := s.newIncoming()
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
	allowed := min(wait, m.pace.left(m.settings.timeout, m.settings.minRate))
	if allowed <= 0 {
		return errSlow
	}
	if err := m.setDeadline(allowed); err != nil {
		return err
	}
	if m.in.filled {
		m.in.widen() // without memory it takes more reads
	}
	if m.size >= largeBuffer {
		m.in.enlarge()
	}
	if err := m.in.fill(); err != nil {
		err = m.readError(err)
		if err == errTimeout && allowed < wait {
			err = errSlow
		}
		return err
	}
	m.pace.octets += int64(len(m.in.unused()))
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
		room := m.room() - smtpwire.MaxHeld
		if room <= 0 {
			m.makeRoom()
			continue
		}
		before := len(m.text)
		part := piece[used:min(len(piece), used+room)]
		var n int
		m.text, n = m.decoder.Append(m.text, part)
		used += n
		m.inspect(before)
	}
	return used
}

// inspect applies the rules to what was just decoded, behind the first octets of
// the text.
func (m *incoming) inspect(before int) {
	if !m.begun && len(m.text) > before {
		m.begun = true
		m.keepApart(before)
	}
	if m.forged != nil {
		m.text = m.forged.Rewrite(m.text, before)
	}
	m.judge(m.text[before:])
}

// keepApart puts an empty line in front of a message that begins with white
// space: its first line would continue the last of ours. There is room for that.
func (m *incoming) keepApart(before int) {
	if header.Continues(string(m.text[before : before+1])) {
		m.text = slices.Insert(m.text, before, '\n')
	}
}

// judge applies the rules to what will be stored.
func (m *incoming) judge(decoded []byte) {
	m.size += int64(len(decoded))
	m.hops.Add(decoded)
	if m.settings.maxLine > 0 {
		m.measure(decoded)
	}
	if !m.dropped && m.verdict().code != 0 {
		m.drop()
	}
	if m.dropped {
		m.text = m.text[:0]
	}
}

// measure looks for lines over the limit.
func (m *incoming) measure(decoded []byte) {
	for {
		lf := bytes.IndexByte(decoded, '\n')
		if lf < 0 {
			m.line += len(decoded)
		} else {
			m.line += lf
		}
		m.long = m.long || m.line > m.settings.maxLine
		if lf < 0 {
			return
		}
		m.line = 0
		decoded = decoded[lf+1:]
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
	next := largeBuffer
	if cap(m.text) < smallBuffer {
		next = smallBuffer
	}
	if cap(m.text) < next {
		if larger := m.lent.borrow(next); larger != nil {
			full := m.text
			m.text = append(larger, full...)
			m.lent.back(full)
			return
		}
	}
	if m.failure = m.submission.write(m.text); m.failure != nil {
		m.drop()
	}
	m.text = m.text[:0]
}

// finish answers the end of the message.
func (m *incoming) finish() reply {
	m.endResults()
	r := m.verdict()
	id := ""
	if r.code == 0 {
		r, id = m.commit()
	}
	m.logMessage(m.size, id, r)
	return r
}

// verdict is why the message is refused, in qmail's order of tests; the zero
// reply is consent so far.
func (m *incoming) verdict() reply {
	switch {
	case m.decoder.Flaw() != smtpwire.NoFlaw:
		return flawReply(m.decoder.Flaw())
	case m.hops.Hops >= header.MaxHops:
		return replyTooManyHop
	case m.limit > 0 && m.counted() > m.limit:
		return replyTooBig
	case m.hops.Header > m.settings.maxHeader && m.settings.maxHeader > 0:
		return replyLongHeader
	case m.long:
		return replyLongText
	case m.converter != nil && m.converter.Err() != nil:
		return inconvertibleReply(m.converter.Err())
	case m.failure != nil:
		return m.notQueued(m.failure)
	}
	return reply{}
}

// commit hands the rest of the message over and waits until it is queued.
func (m *incoming) commit() (reply, string) {
	submission := m.submission
	m.submission = nil
	id, err := submission.commit(m.text, m.envelope)
	if err != nil {
		return m.notQueued(err), ""
	}
	m.queued++
	m.idleCommands, m.errors = 0, 0
	return acceptedReply(m.clock.Now().Truncate(time.Second).Unix(), id), id
}
