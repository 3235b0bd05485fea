package qmailsend

import (
	"bytes"
	"os"

	"postrider/internal/logline"
	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
	"postrider/qmail-send/fair"
	"postrider/qmail-send/links"
)

// attachSpool begins to use f. Nothing is outstanding on a fresh link: what
// was asked is asked again, and the queue is scanned.
func (s *scheduler) attachSpool(f *os.File) error {
	l, err := links.NewSpool(f)
	if err != nil {
		return err
	}
	s.post(func() {
		if s.spool != nil {
			s.spoolLost(s.spool)
		}
		s.spool = l
		l.Run(heard{s})
		for _, m := range s.messages {
			switch {
			case m.is(removing):
				s.ask(entries.Message{Kind: entries.Remove, ID: m.id})
			case m.is(quarantined):
				s.askQuarantine(m)
			}
		}
		s.Scan()
	})
	return nil
}

// ask sends a request, or leaves it to attachSpool if the spool is away.
func (s *scheduler) ask(m entries.Message) {
	if s.spool != nil {
		s.spool.Ask(m)
	}
}

func (s *scheduler) askQuarantine(m *message) {
	s.ask(entries.Message{Kind: entries.Quarantine, ID: m.id, Torn: m.is(torn)})
}

// spoolLost takes back what the spool was asked.
func (s *scheduler) spoolLost(l *links.Spool) {
	if s.spool != l {
		return
	}
	l.Close()
	s.spool = nil
	if !s.exiting {
		s.log.Line("warning: lost qmail-spool connection; nothing new starts until it is back")
	}
	for _, m := range s.messages {
		if m.is(removing) {
			s.noteDone(m)
		}
	}
	now := s.now()
	for id, t := range s.asked {
		delete(s.asked, id)
		m := s.messages[id]
		if m == nil {
			continue
		}
		s.count(t, -1)
		m.flags &^= loading
		if t.queue != settling {
			m.due[t.queue] = min(m.due[t.queue], now)
			s.wait(m, channelID(t.queue), t.class == firsts)
		}
		if m.is(interrupted) {
			s.resume(m)
		}
	}
}

func (s *scheduler) answers(l *links.Spool, batch []entries.Message) {
	if s.spool != l {
		return
	}
	for _, m := range batch {
		switch m.Kind {
		case entries.Announced:
			s.announced(m)
		case entries.Scan:
			s.Scan()
		case entries.Committed:
			s.committed(m.ID)
		case entries.NotCommitted:
			s.notCommitted(m.ID)
		case entries.Removed:
			s.removed(m.ID)
		case entries.Quarantined:
			if known := s.messages[m.ID]; known != nil && known.is(quarantined) {
				s.forget(known)
			}
		}
	}
}

// announced takes a new message, which goes before all that waits.
func (s *scheduler) announced(a entries.Message) {
	m := s.messages[a.ID]
	if m == nil {
		m = newMessage(a.ID, s.birth(a.ID), justWritten)
		m.uid = a.UID
		m.flags |= ownerKnown
		s.messages[a.ID] = m
		for c := range channels {
			m.due[c] = m.birth
		}
		s.firstLook(m, a)
		for c := range channels {
			if m.due[c] != never {
				s.waiting[c].enqueue(m)
			}
		}
		return
	}
	if !m.is(uncertain) {
		return
	}
	m.flags &^= uncertain
	if t, asking := s.asked[a.ID]; asking {
		delete(s.asked, a.ID)
		s.load(m, t)
	}
}

// firstLook uses the envelope of an announcement: for the log, and to know
// which channels the message waits for. Without one it waits for both.
func (s *scheduler) firstLook(m *message, a entries.Message) {
	if len(a.Envelope) == 0 {
		m.flow, m.weight = s.settings.senders.Flow(queuedir.Head{UID: a.UID})
		return
	}
	envelope, err := queuedir.NewEnvelopeReader(bytes.NewReader(a.Envelope))
	if err != nil {
		return // reading the entry will tell
	}
	s.logNew(m, a.Size, envelope.Head.Sender.String(), a.UID)
	m.flow, m.weight = s.settings.senders.Flow(envelope.Head)
	m.noteSender(envelope.Head.Sender.String(), envelope.Head.Bulk)
	var wanted [channels]bool
	n := 0
	for ; !wanted[local] || !wanted[remote] || !m.is(several); n++ {
		recipient, err := envelope.Next()
		if err != nil {
			break
		}
		c, rewritten := s.settings.routes.Of(recipient.String())
		if lane := s.settings.senders.Key(fair.DestinationOf(c, rewritten)); !wanted[c] && (c == remote || m.lane == 0) {
			m.lane = lane
		} else if c == remote && lane != m.lane {
			m.flags |= several
		}
		wanted[c] = true
	}
	if n == 0 {
		return // no recipient: it is read to be removed
	}
	for c := range channels {
		if !wanted[c] {
			m.due[c] = never
		}
	}
}

func (s *scheduler) logNew(m *message, size int64, sender string, uid uint32) {
	m.flags |= logged
	s.logf("new msg %s", m.id)
	s.logf("info msg %s: bytes %d from <%s> qp %s uid %d", m.id, size, logline.Safe(sender), m.id, uid)
}

// birth is when a message arrived, on our time; a clock that was set back
// since does not make it unborn.
func (s *scheduler) birth(id queuedir.ID) moment {
	now := s.clock.Now()
	return min(s.line.FromWall(id.Time(), now), s.line.At(now))
}

func (s *scheduler) committed(id queuedir.ID) {
	t, asking := s.asked[id]
	m := s.messages[id]
	if !asking || m == nil {
		return
	}
	delete(s.asked, id)
	m.flags &^= uncertain
	s.load(m, t)
}

// notCommitted drops a message that a scan found too early or too late; if it
// is committed later it is announced.
func (s *scheduler) notCommitted(id queuedir.ID) {
	t, asking := s.asked[id]
	m := s.messages[id]
	if !asking || m == nil {
		return
	}
	delete(s.asked, id)
	s.count(t, -1)
	m.flags &^= loading
	s.forget(m)
}

// removed ends the life of a message: its progress file goes last.
func (s *scheduler) removed(id queuedir.ID) {
	m := s.messages[id]
	if m == nil || !m.is(removing) {
		return
	}
	s.removals--
	s.forget(m)
	if m.is(hasInfo) && !m.is(keeping) {
		s.unlinkInfo(id, s.store.Unlink)
	}
}

func (s *scheduler) unlinkInfo(id queuedir.ID, unlink func(queuedir.ID) error) {
	s.atWork++
	s.recorders.Put(func() {
		err := unlink(id)
		s.post(func() {
			s.atWork--
			if err != nil {
				s.trouble(err, "warning: unable to unlink %s", s.infoName(id))
			}
		})
	})
}
