package qmailsend

import (
	"slices"

	"postrider/internal/queuedir"
	"postrider/qmail-send/progress"
)

func (s *scheduler) keepProgress(id queuedir.ID) {
	s.atWork++
	s.recorders.Put(func() {
		err := s.store.Keep(id)
		s.post(func() {
			s.atWork--
			if err != nil {
				s.trouble(err, "warning: unable to rename %s", s.infoName(id))
			}
		})
	})
}

// writing is what a recorder has of a message.
type writing struct {
	record  progress.Record
	results progress.Unwritten // that it tells of,
	orders  []progress.Edit    // and these
	final   bool               // nothing of the message is under way
}

// write has a's results written to its progress file.
func (s *scheduler) write(a *active) {
	w := writing{results: a.progress, orders: a.orders, final: !a.inHand()}
	a.progress, a.orders = progress.Unwritten{}, nil
	lines, tried := w.results.Seal(a.size - a.synced)
	due := s.now()
	if w.final {
		due = a.m.resumeAt(due)
		if due == never {
			due = s.now()
		}
	}
	a.writing = true
	a.m.flags |= hasInfo
	w.record = progress.Record{
		ID: a.m.id, Lines: lines, Tried: tried, Size: a.size, Rewrite: a.rewrite, Due: s.line.ToWall(due, s.clock.Now()),
	}
	s.atWork++
	s.recorders.Put(func() {
		noDue, err := s.store.Write(w.record)
		s.post(func() { s.written(a, w, noDue, err) })
	})
}

// written takes the result of write.
func (s *scheduler) written(a *active, w writing, noDue bool, err error) {
	s.atWork--
	a.writing = false
	if err != nil {
		s.writeFailed(a, w, err)
		return
	}
	a.rewrite = false
	if covered := w.results.Covered(); covered > 0 {
		a.owed, a.bounced = 0, a.size+int64(covered)
	}
	a.owed += w.results.ToTell()
	if a.size += int64(len(w.record.Lines)); len(w.record.Lines) > 0 {
		a.synced = a.size
		a.m.flags &^= unsynced
		a.unkept = len(a.orders) > 0 // since then
	}
	a.size += int64(len(w.record.Tried))
	s.orderWritten(a, w.orders, nil)
	if w.final {
		a.noted = true
		a.m.flags &^= stale
		if noDue {
			s.logf("warning: unable to utime %s; message will be retried too soon", s.infoName(a.m.id))
		}
	}
	s.settle(a)
}

// writeFailed keeps the results in memory; nothing new starts for the message
// until they could be written.
func (s *scheduler) writeFailed(a *active, w writing, err error) {
	s.trouble(err, "warning: trouble writing to %s; will try again later", s.infoName(a.m.id))
	s.orderWritten(a, w.orders, err)
	if w.results.Len() == 0 { // nothing is lost but the time of the next attempt, and why
		a.noted = true
		s.settle(a)
		return
	}
	if s.exiting && !a.inHand() {
		s.logf("warning: trouble marking %s; message will be delivered twice!", s.infoName(a.m.id))
		s.release(a)
		return
	}
	w.results.Add(a.progress)
	s.orderWritten(a, a.orders, err) // they came meanwhile
	a.progress, a.orders = w.results, nil
	a.rewrite = true
	a.stuck = true
	a.stuckUntil = s.now().Add(queueTrouble)
	s.stuck = append(s.stuck, a)
	if len(s.stuck) == maxStuck {
		s.logf("alert: results of %d messages cannot be written to info; nothing new starts until they can: is the disk full?", maxStuck)
	}
	s.putOff(a.m, err)
	s.settle(a)
}

// writeStuck has results that could not be written tried again before their
// time.
func (s *scheduler) writeStuck(a *active) {
	if a.stuck {
		s.unstick(a)
		s.write(a)
	}
}

// unstick takes a out of those whose results could not be written.
func (s *scheduler) unstick(a *active) {
	a.stuck = false
	s.stuck = slices.DeleteFunc(s.stuck, func(other *active) bool { return other == a })
}
