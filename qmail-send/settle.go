package qmailsend

import (
	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
)

// settle does what is next for a message in hand, after anything has happened
// to it: end passes, write results, bounce, remove, or let it wait.
func (s *scheduler) settle(a *active) {
	if a.writing || a.bouncing || a.m.active != a {
		return
	}
	for _, p := range a.passes {
		if p != nil {
			s.endPass(p)
		}
	}
	if a.stuck {
		if s.exiting && !a.inHand() { // the last try
			a.stuck = false
			s.write(a)
		}
		return
	}
	if a.inHand() {
		s.keepUp(a)
		return
	}
	if a.damaged != nil && a.progress.Len() > 0 { // what is known first
		s.write(a)
		return
	}
	if a.damaged != nil {
		s.release(a)
		s.quarantine(a.m, a.damaged)
		return
	}
	s.settleRest(a)
}

// settleRest decides about a message of which nothing is outstanding.
func (s *scheduler) settleRest(a *active) {
	failures := a.owed + a.progress.ToTell()
	switch {
	case a.left == 0 && failures == 0:
		s.remove(a)
	case failures > 0 && s.discards(a):
		s.log.Line(s.discardLine(a))
		if a.left == 0 {
			s.remove(a)
			return
		}
		a.progress.Bounced(queuedir.Discarded)
		s.write(a)
	case a.progress.Len() > 0:
		s.write(a) // also what a bounce will be made of
	case a.owed > 0 && a.m.due[settling] == never:
		s.bounce(a)
	case a.delays > 0 && !s.exiting:
		s.tell(a)
	case !a.noted && a.owed == 0, !a.noted && a.m.due[settling] != never:
		s.write(a) // the time of the next attempt
	default:
		s.release(a)
	}
}

// endPass ends p if it has nothing left to do.
func (s *scheduler) endPass(p *pass) {
	if p.outstanding > 0 || p.filling {
		return
	}
	if s.exiting || p.a.stopped() {
		s.unstall(p)
		p.way.ready[p.class].remove(p)
		s.cutShort(p)
	}
	if !p.drained() {
		return
	}
	s.leave(p)
	m, c := p.a.m, p.way.id
	p.a.passes[c] = nil
	s.countLoss(p)
	if p.only == nil && !p.cut {
		m.heard = max(m.heard, p.ages)
	}
	s.setDue(p, s.now())
}

// setDue lets the message of p, which has ended, wait for what is left.
func (s *scheduler) setDue(p *pass, now moment) {
	m, c := p.a.m, p.way.id
	due := never
	if p.deferred {
		due = p.retryAt
	}
	switch {
	case p.rests && p.given == 0 && p.aside == nil && !p.deferred:
		due = now // nothing of it goes there any more
	case p.rests:
		due = min(due, p.restAt)
	}
	if p.asideMore {
		due = min(due, s.settings.retry.Usual(c).Next(m.birth, p.began))
	}
	if d := p.aside.resolved(); d != nil {
		s.park(m, d, p.class, now, due)
		p.a.noted = p.a.noted || !p.a.begun
		return
	}
	if due != never {
		m.due[c] = due
		s.waiting[c].put(m)
	}
	if d := p.dead.resolved(); d != nil && d.standing == down && !m.is(several) && len(d.asked) < maxAsked {
		m.flags |= hasAsked
		d.asked = append(d.asked, m)
	}
}

// keepUp sees to it that results do not wait too long, nor become too many,
// while deliveries of the message go on.
func (s *scheduler) keepUp(a *active) {
	switch {
	case a.progress.Len() >= flushCount:
		s.write(a)
	case a.progress.Len() > 0 && a.flushAt == never:
		a.flushAt = s.now().Add(flushDelay)
		s.flushes = append(s.flushes, a)
	}
}

// flushDue writes results that have waited long enough, and tries again to
// write those that could not be.
func (s *scheduler) flushDue(now moment) {
	for len(s.flushes) > 0 {
		a := s.flushes[0]
		wanted := a.m.active == a && !a.writing && !a.stuck && a.progress.Len() > 0
		if wanted && a.flushAt > now {
			break
		}
		s.flushes = s.flushes[1:]
		a.flushAt = never
		if wanted {
			s.write(a)
		}
	}
	for len(s.stuck) > 0 && s.stuck[0].stuckUntil <= now {
		a := s.stuck[0]
		s.stuck = s.stuck[1:]
		if a.m.active == a && a.stuck {
			a.stuck = false
			s.write(a)
		}
	}
}

// resumeAt is nextDue for whoever knows nothing of destinations: our successor.
func (m *message) resumeAt(now moment) moment {
	if m.is(parked) {
		return now
	}
	return m.nextDue()
}

// nextDue returns when the message is due in any queue.
func (m *message) nextDue() moment {
	return min(m.due[local], m.due[remote], m.due[settling])
}

// remove asks the spool to remove a message of which nothing is left to do.
func (s *scheduler) remove(a *active) {
	s.logf("end msg %s", a.m.id)
	a.m.flags |= removing
	s.removals++
	s.release(a)
	for q := range s.waiting {
		s.waiting[q].drop(a.m)
		a.m.due[q] = never
	}
	s.ask(entries.Message{Kind: entries.Remove, ID: a.m.id})
	if s.spool == nil {
		s.noteDone(a.m)
	}
}

// noteDone writes down that a message is done that nobody can remove now: until
// then only memory knows, and our death would have it all delivered again.
func (s *scheduler) noteDone(m *message) {
	if m.is(keeping) {
		return
	}
	m.flags |= keeping | hasInfo
	s.atWork++
	s.recorders.Put(func() {
		s.keepDone(m.id, int(m.recipients))
		s.post(func() {
			s.atWork--
			m.flags &^= keeping
			if m.is(forgotten) { // it was removed meanwhile
				s.unlinkInfo(m.id, s.store.Unlink)
			}
		})
	})
}

// release lets go of a message in hand.
func (s *scheduler) release(a *active) {
	a.entry.Close()
	a.m.active = nil
	delete(s.actives, a)
	s.letGo(a.m, a.orders)
}
