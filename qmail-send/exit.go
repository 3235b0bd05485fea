package qmailsend

import (
	"time"

	"postrider/internal/destinations"
	"postrider/internal/queuedir"
	"postrider/internal/route"
	"postrider/qmail-send/progress"
)

const (
	// exitLimit is how long running deliveries are waited for after the parent
	// went away.
	exitLimit = 10 * time.Second
	// removeLimit is how long removals are waited for when all else is done.
	removeLimit = 2 * time.Second
)

// terminate is TERM: nothing new starts, running deliveries are waited for, at
// most for limit unless that is 0 (spec 2.7).
func (s *scheduler) terminate(limit time.Duration) {
	if limit > 0 {
		s.exitBy = min(s.exitBy, s.now().Add(limit))
	}
	if s.exiting {
		return
	}
	s.exiting = true
	for a := range s.actives {
		s.settle(a)
	}
}

// flush is ALRM: everything that waits is due now.
func (s *scheduler) flush() {
	now := s.now()
	s.askAll()
	for c := range channels {
		s.waiting[c].allDue(now)
	}
}

// reread is HUP: locals and virtualdomains as they are now, both or neither;
// the rest is that of first; and destinations. It waits for the disk, and thus
// runs outside the scheduler.
func (s *scheduler) reread(first *route.Table) {
	routes, failed, err := first.Reread(s.control)
	s.post(func() {
		if err != nil {
			s.trouble(err, "alert: unable to reread control/%s", failed)
			return
		}
		s.settings.routes = routes.WithSRS(s.settings.routes.SRS())
	})
	rules, rulesErr := destinations.Read(s.control)
	s.post(func() {
		if rulesErr != nil {
			s.trouble(rulesErr, "alert: unable to reread control/%s", destinations.File)
			return
		}
		s.destinations.apply(rules, s.now())
	})
}

// tryExit ends the scheduler once everything is in order, or time is up.
func (s *scheduler) tryExit(now moment) {
	if now < s.exitBy {
		if len(s.deliveries) > 0 || len(s.actives) > 0 || s.atWork > 0 {
			return
		}
		if s.removals > 0 && s.spool != nil {
			s.exitBy = min(s.exitBy, now.Add(removeLimit))
			return
		}
	}
	s.keepState()
	s.exitDone = true
}

// keepState writes what only memory knows: due times that are not on disk,
// and that messages are done whose removal was not confirmed.
func (s *scheduler) keepState() {
	for a := range s.actives {
		if a.progress.Len() > 0 && !a.writing {
			lines, tried := a.progress.Seal(a.size - a.synced)
			r := progress.Record{ID: a.m.id, Lines: lines, Tried: tried, Size: a.size, Rewrite: a.rewrite, Due: s.clock.Now()}
			if _, err := s.store.Write(r); err != nil {
				s.trouble(err, "warning: trouble marking %s; message will be delivered twice!", s.infoName(a.m.id))
			}
		}
	}
	now := s.clock.Now()
	for _, m := range s.messages {
		switch {
		case m.is(removing):
			s.keepDone(m.id, int(m.recipients))
		case m.is(stale) && m.is(hasInfo) && m.nextDue() != never:
			if err := s.store.Touch(m.id, s.line.ToWall(m.resumeAt(s.line.At(now)), now)); err != nil {
				s.trouble(err, "warning: unable to utime %s; message will be retried too soon", s.infoName(m.id))
			}
		}
	}
}

// keepDone records that every recipient of a message is finished.
func (s *scheduler) keepDone(id queuedir.ID, recipients int) {
	done, err := s.store.progress(id, recipients)
	if err == nil {
		var rest []int
		for i := range recipients {
			if !done.Finished.Has(i) {
				rest = append(rest, i)
			}
		}
		r := progress.Record{ID: id, Lines: done.Mend(queuedir.AppendDelivered(nil, rest)), Size: done.Size, Due: s.clock.Now()}
		_, err = s.store.Write(r)
	}
	if err != nil {
		s.trouble(err, "warning: trouble marking %s; message will be delivered twice!", s.infoName(id))
	}
}
