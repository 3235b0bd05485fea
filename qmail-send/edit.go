package qmailsend

import (
	"postrider/internal/wire/manage"
	"postrider/qmail-send/progress"
)

const (
	// editorCount is how many goroutines change progress files, and editBatch
	// how many of them each is given at a time: between these pieces other work
	// has its turn.
	editorCount = 4
	editBatch   = 500
)

// beginEdit has m changed, which is in no hand; nobody takes it until that is
// done. The caller starts the editors.
func (s *scheduler) beginEdit(m *message, e progress.Edit) {
	m.flags |= loading
	e.Restate = m.is(unsynced)
	s.orders.edits = append(s.orders.edits, e)
}

// startEditors gives edits to the editors that have nothing to do. What comes
// meanwhile goes together.
func (s *scheduler) startEditors() {
	for len(s.orders.edits) > 0 && s.orders.editors < editorCount {
		n := min(len(s.orders.edits), editBatch)
		batch := s.orders.edits[:n:n]
		s.orders.edits = s.orders.edits[n:]
		s.orders.editors++
		s.atWork++
		due := s.clock.Now()
		s.editors.Put(func() {
			done := s.store.Change(batch, due)
			s.post(func() {
				s.atWork--
				s.orders.editors--
				for _, d := range done {
					s.edited(d)
				}
				s.startEditors()
			})
		})
	}
}

// edited takes the result of an edit.
func (s *scheduler) edited(d *progress.Edited) {
	m := s.messages[d.ID]
	if m == nil {
		d.Answer(manage.Missing, "")
		return
	}
	m.flags &^= loading
	if d.Total > 0 {
		m.recipients, m.uid = int32(d.Total), d.UID
		m.flags |= ownerKnown
	}
	if d.Wrote {
		m.flags |= hasInfo
	}
	switch {
	case d.Kept:
		m.flags |= unsynced
	case d.Wrote && d.Outcome != manage.Later:
		m.flags &^= unsynced
	}
	switch {
	case m.is(removing | quarantined):
		d.Answer(manage.Nothing, "it is being removed")
	case d.Outcome == 0, d.Outcome == manage.Nothing && d.Total > 0 && d.Held != m.is(held):
		// What could not be taken back of an earlier order counts as well.
		s.changed(m, d)
	default:
		d.Answer(d.Outcome, "%s", d.Why)
		s.queueAgain(m)
	}
	if m.is(interrupted) {
		s.resume(m)
	}
}

// changed brings m to what is on disk.
func (s *scheduler) changed(m *message, d *progress.Edited) {
	if d.Kind == manage.Delete && len(d.Recipients) == 0 {
		s.discard(m, d.Edit)
		return
	}
	if d.Held {
		m.flags |= held
		s.rest(m)
		d.Answer(manage.Done, "")
		return
	}
	m.flags &^= held
	s.unpark(m)
	m.flags &^= hasAsked
	if d.Kind == manage.Readdress || d.Kind == manage.Reroute {
		m.lane = 0 // it is found out again
	}
	if d.Kind != manage.Hold {
		now := s.now()
		m.flags |= stale
		// What takes recipients away is no attempt for the others.
		again := d.Kind != manage.Delete && d.Kind != manage.Bounce
		if again {
			m.flags &^= restored
		}
		for c := range channels {
			if d.Left > 0 && (m.due[c] == never || again && m.is(attempted)) {
				m.due[c] = now
			}
		}
		if d.Left == 0 || d.Owed > 0 {
			m.due[settling] = now
		}
	}
	s.queueAgain(m)
	d.Answer(manage.Done, "")
}
