package qmailsend

import (
	"slices"
	"time"

	"postrider/internal/wire/spawn"
	"postrider/qmail-send/fair"
	"postrider/qmail-send/reading"
)

// Whose turn it is, way.go says; here it is decided what of that may go to its
// destination now. A message for one destination is not read before it may: it
// is parked, in the heap of those that are due later, and in the queue of its
// destination. Of a message for many, what may not go now waits in hand for a
// short while, and else is set aside: the message is parked with the rest of it.
//
// A message that is parked counts as due: it has no attempt, and its times do not
// change. Only when its sender is to hear something, of a delay or the end, is it
// read; what still may not go then has the result that the destination's last
// delivery had.

const (
	// stallFor is how long a pass waits in hand for a job to end, and maxStalled
	// how many passes do.
	stallFor   = 10 * time.Second
	maxStalled = 64
	// maxParked is how many messages are parked before others have a turn.
	maxParked = 1000
	// maxSaid bounds what is kept of a report.
	maxSaid = 500
	// busyText is the report of a message that had no turn for a long time.
	busyText = "Sorry, more mail waits for that destination than may go there at a time; this message has not had its turn yet. (#4.4.5)\n"
)

// gate decides whether a message whose turn it is on the remote channel is read
// now: for which destination, if that is known; or else it parks it.
func (s *scheduler) gate(m *message, k class, now moment) (d *destination, parks bool) {
	if m.is(loading) || m.active != nil {
		return nil, false
	}
	return s.gateRead(m, k, now)
}

// park lets m wait for d, at most until due or until its sender is to hear.
func (s *scheduler) park(m *message, d *destination, k class, now, due moment) {
	m.flags |= parked
	m.due[remote] = max(now+1, min(due, s.speakAt(m, d, now)))
	s.waiting[remote].put(m)
	d.wait(m, k)
	s.destinations.schedule(d, now)
}

// unpark makes a message that was parked due.
func (s *scheduler) unpark(m *message) {
	if m.is(parked) {
		m.flags &^= parked
		s.waiting[remote].drop(m)
		m.due[remote] = s.now()
	}
}

// serveReady has messages read for destinations that have room, one each in
// turn.
func (s *scheduler) serveReady(w *way, now moment) {
	t := s.destinations
	for idle := 0; t.ready.Len() > idle; {
		may := [classes]bool{w.hasRoomForReady(firsts), w.hasRoomForReady(retries)}
		if !may[firsts] && !may[retries] {
			return
		}
		d := t.ready.Pop()
		d.isReady = false
		if d.successor != nil || d.waits == 0 {
			continue
		}
		if !d.mayClaim(now, t.share) {
			if d.readyAt() > now {
				t.schedule(d, now)
			}
			continue // or else the end of a job wakes it
		}
		m, k := d.nextWaiting(may)
		t.wake(d)
		if m == nil { // none of a class that has room
			idle++
			continue
		}
		idle = 0
		s.readFor(m, d, k, now)
	}
}

// readFor has a message read that has waited for d.
func (s *scheduler) readFor(m *message, d *destination, k class, now moment) {
	t := loadTicket{queue: queueID(remote), class: k, flow: m.flow, to: d}
	if m.is(several) && !s.mustSpeak(m, now) {
		t.only, t.rest = true, m.due[remote]
	}
	s.waiting[remote].drop(m)
	m.due[remote] = now
	s.activate(m, t, now)
}

// gateRead is gate for a message that was read for another queue, or before it was
// known where it goes.
func (s *scheduler) gateRead(m *message, k class, now moment) (d *destination, parks bool) {
	if m.lane == 0 || m.is(several|urgent) {
		return nil, false
	}
	d = s.destinations.of(m.lane, now)
	switch {
	case d == nil, d.mayClaim(now, s.destinations.share):
		return d, false
	case s.mustSpeak(m, now):
		return nil, false
	}
	s.park(m, d, k, now, never)
	return nil, true
}

// direct notes what a pass is for.
func (s *scheduler) direct(p *pass, t loadTicket, now moment) {
	m := p.a.m
	m.flags &^= parked
	p.urgent, m.flags = m.is(urgent), m.flags&^urgent
	p.speaks, p.ages = s.mustSpeak(m, now), s.agesReached(m, now)
	if t.to = t.to.resolved(); t.to == nil {
		return
	}
	if t.only && !p.speaks {
		p.only, p.restAt = t.to, t.rest
	}
	p.claims = t.to
	p.claims.claims++
}

// noteDestination notes where a message goes, as far as was read of it.
func (s *scheduler) noteDestination(m *message, read reading.Section) {
	if len(read.Groups) == 0 {
		return
	}
	m.flags &^= several
	m.lane = s.keyOf(&read.Groups[0])
	if read.More || slices.ContainsFunc(read.Groups, func(g reading.Group) bool { return s.keyOf(&g) != m.lane }) {
		m.flags |= several
	}
}

// nextTry returns when m is tried next, as far as is known, for people.
func (s *scheduler) nextTry(m *message, now moment) moment {
	if !m.is(parked) {
		return m.nextDue()
	}
	at := now
	if d := s.destinations.byDomain[m.lane]; d != nil && d.readyAt() != never {
		at = max(at, d.readyAt())
	}
	return at
}

// leftOut goes on with a pass of which nothing could be given out now.
func (s *scheduler) leftOut(p *pass) {
	if p.stalledAt != nil {
		return
	}
	s.ready(p)
	if p.drained() {
		s.leave(p)
		s.settle(p.a)
	}
}

// worker returns what chooses among the qmail-remote workers: one keeps the
// connections to a destination.
func (sp *spec) worker() string {
	if sp.to != nil && sp.to.hosts != "" {
		return sp.to.hosts
	}
	return sp.Host
}

// claim counts n more messages that are read for d.
func (s *scheduler) claim(d *destination, n int) {
	if d = d.resolved(); d == nil {
		return
	}
	d.claims += n
	if n < 0 {
		s.destinations.wake(d)
	}
}

// unclaim notes that p has given out something, or will not.
func (s *scheduler) unclaim(p *pass) {
	if p.claims != nil {
		s.claim(p.claims, -1)
		p.claims = nil
	}
}

// destinationOf returns the destination of a job; nil: there is none, or no room
// to know it.
func (s *scheduler) destinationOf(sp *spec, now moment) *destination {
	if sp.to = sp.to.resolved(); sp.to == nil && sp.Recipients[0].Refused == "" {
		sp.to = s.destinations.ofSpec(s.keyOf(&sp.Group), sp.Domain(), sp.Name(), now)
	}
	return sp.to
}

// keyOf returns what stands for the domain of a job.
func (s *scheduler) keyOf(g *reading.Group) uint32 {
	if g.Relay != "" {
		return s.settings.senders.Key("\x00" + g.Relay)
	}
	return s.settings.senders.Key(g.Host)
}

// choose brings a job of p to the front that may go now, and returns of how many
// of at most n recipients. If there is none, p waits in hand, or has nothing left
// of its window.
func (s *scheduler) choose(p *pass, n int, now moment) (most int, ok bool) {
	specs := p.window.specs
	kept := specs[:0]
	var busy *destination
	for i := range specs {
		sp := specs[i]
		d := s.destinationOf(&sp, now)
		v := s.verdictFor(p, &sp, d, now)
		switch {
		case v == goes:
			p.window.specs = append(append(kept, sp), specs[i+1:]...)
			last := len(kept)
			p.window.specs[0], p.window.specs[last] = p.window.specs[last], p.window.specs[0]
			return s.roomFor(d, n), true
		case v == soon && (busy == d || s.stallable(p, d)):
			busy = d
			kept = append(kept, sp)
		case p.only != nil && p.only.resolved() != d:
			p.rests = true
		case p.speaks:
			s.answerFor(p, &sp, d)
		default:
			p.setAside(d)
		}
	}
	clear(specs[len(kept):])
	p.window.specs = kept
	if busy != nil {
		s.stall(p, kept[0].to, now)
	}
	return 0, false
}

// verdictFor says whether a job of p may go to d.
func (s *scheduler) verdictFor(p *pass, sp *spec, d *destination, now moment) verdict {
	switch {
	case d == nil:
		return goes
	case p.only != nil && p.only.resolved() != d:
		return later
	}
	v := d.may(now, s.destinations.share)
	if v == later && p.urgent && d.jobs == 0 && now >= d.nextAt() {
		return goes // an operator wants to know
	}
	return v
}

// roomFor returns how many of n recipients a job to d may have.
func (s *scheduler) roomFor(d *destination, n int) int {
	if d == nil {
		return n
	}
	n = min(n, s.destinations.share-d.slots)
	if most := d.rule.Recipients; most > 0 {
		n = min(n, most)
	}
	return max(n, 1)
}

// setAside notes that p leaves something for d out.
func (p *pass) setAside(d *destination) {
	switch {
	case p.aside == nil:
		p.aside = d
	case p.aside.resolved() != d:
		p.asideMore = true
	}
}

// answerFor gives the recipients of a job the result that the destination's
// last delivery had: nobody is asked again, and their sender hears of it.
func (s *scheduler) answerFor(p *pass, sp *spec, d *destination) {
	text := busyText
	if d.standing != well && d.said != "" {
		text = d.said
	}
	for _, it := range sp.Recipients {
		r := spawn.Result{Delivery: s.startDelivery(p, it, nil), Class: spawn.Deferral, Text: text}
		s.finishDelivery(expired(p, r))
	}
}

// releaseWaiting makes the messages that wait for d due when they would be by
// their age.
func (s *scheduler) releaseWaiting(d *destination) {
	now := s.now()
	for {
		m, _ := d.nextWaiting([classes]bool{true, true})
		if m == nil {
			return
		}
		m.flags &^= parked
		m.due[remote] = max(now, s.settings.retry.Usual(remote).NotBefore(m.birth, now))
		s.waiting[remote].put(m)
	}
}

// askAll has all destinations asked again, and forgets who waits for them: that
// is found out anew.
func (s *scheduler) askAll() {
	now := s.now()
	for d := range s.destinations.all {
		d.askNow()
		d.waiting, d.waits = [classes]*fair.Queue[*message]{}, 0
		s.destinations.schedule(d, now)
		s.resumeStalled(d, now)
	}
	for _, m := range s.waiting[remote].dues {
		m.flags &^= parked
	}
}
