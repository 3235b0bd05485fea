package qmailsend

import (
	"errors"
	"io/fs"
	"math"
	"time"

	"postrider/internal/figures"
	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
	"postrider/qmail-send/fair"
	"postrider/qmail-send/progress"
	"postrider/qmail-send/reading"
)

// loadTicket says for which queue a message is read, and as what.
type loadTicket struct {
	queue queueID
	class class
	flow  fair.Flow // whose it was when its turn came

	to   *destination // that has room for it, if that is known
	only bool         // nothing else is given out of it,
	rest moment       // but from then on
}

// topUp has messages read until enough are ready for the channel's slots.
func (s *scheduler) topUp(w *way, now moment) {
	if !s.mayStart() || !s.serving(w) {
		return
	}
	q := &s.waiting[w.id]
	if w.id == remote {
		s.serveReady(w, now)
	}
	passed := 0
	for w.hasRoomForNew() && passed < maxParked {
		var may func(fair.Flow) bool
		if !w.hasRoom(firsts) {
			may = func(f fair.Flow) bool { return w.opened[f] == 0 }
		}
		m := q.nextFirst(may)
		if m == nil {
			break
		}
		if !s.readOrPark(m, w, firsts, now) {
			passed++
		}
	}
	for w.hasRoom(retries) && passed < maxParked {
		m := q.nextDue(now)
		if m == nil {
			break
		}
		if !s.readOrPark(m, w, retries, now) {
			passed++
		}
	}
	s.again = s.again || passed == maxParked
}

// readOrPark takes a message in hand whose turn it is; false: it is parked.
func (s *scheduler) readOrPark(m *message, w *way, k class, now moment) bool {
	t := loadTicket{queue: queueID(w.id), class: k, flow: m.flow}
	if w.id == remote {
		var parks bool
		if t.to, parks = s.gate(m, k, now); parks {
			return false
		}
	}
	s.activate(m, t, now)
	return true
}

// settleDue reads messages that wait for nothing but a bounce or removal.
func (s *scheduler) settleDue(now moment) {
	for s.mayStart() && s.loads < maxSettling {
		m := s.waiting[settling].nextDue(now)
		if m == nil {
			return
		}
		s.activate(m, loadTicket{queue: settling, class: retries, flow: m.flow}, now)
	}
}

// activate takes m, which left its queue, in hand.
func (s *scheduler) activate(m *message, t loadTicket, now moment) {
	if t.queue == queueID(remote) {
		m.flags &^= parked | hasAsked
	}
	switch {
	case m.is(forgotten | removing | quarantined):
	case m.is(loading):
		// It is being read for another queue and will be found due for this.
	case m.active != nil:
		s.openFurther(m.active, t, now)
	case s.waitsAlone(m):
		m.due[t.queue] = now.Add(lostRetry)
		s.wait(m, channelID(t.queue), false)
	case m.is(uncertain):
		m.flags |= loading
		s.count(t, +1)
		s.asked[m.id] = t
		s.spool.Ask(entries.Message{Kind: entries.Query, ID: m.id})
	default:
		m.flags |= loading
		s.count(t, +1)
		s.load(m, t)
	}
}

func (s *scheduler) count(t loadTicket, n int) {
	s.claim(t.to, n)
	if t.queue == settling {
		s.loads += n
	} else {
		s.ways[t.queue].loading[t.class] += n
		if t.class == firsts {
			s.ways[t.queue].opened.add(t.flow, int32(n))
		}
	}
}

func (s *scheduler) load(m *message, t loadTicket) {
	id, hasInfo, check, routes := m.id, m.is(hasInfo), !m.is(justWritten), s.settings.routes
	m.flags &^= justWritten
	s.readers.Put(func() {
		got, err := s.store.load(id, hasInfo, check, routes)
		s.post(func() { s.loaded(m, t, got, err) })
	})
}

// loaded takes what a reader found of m.
func (s *scheduler) loaded(m *message, t loadTicket, got *reading.Message, err error) {
	s.count(t, -1)
	m.flags &^= loading
	now := s.now()
	if s.interruptsLoad(m, t, got) {
		return
	}
	if err != nil {
		s.loadFailed(m, t, now, err)
		return
	}
	if m.is(forgotten) {
		got.Entry.Close()
		return
	}
	m.uid = got.Head.UID
	m.flags |= ownerKnown
	m.noteSender(got.Head.Sender.String(), got.Head.Bulk)
	if got.Progress.Held {
		s.foundHeld(m, got)
		return
	}
	if !m.is(logged) {
		s.logNew(m, got.Entry.Footer.BodySize, got.Head.Sender.String(), got.Head.UID)
	}
	a := &active{
		m: m, entry: got.Entry, sender: got.Head.Sender, facts: got.Head.Facts, guide: got.Guide,
		finished: got.Progress.Finished,
		left:     got.Recipients - got.Progress.Delivered - got.Progress.Failed,
		owed:     got.Progress.Unbounced, bounced: got.Progress.Bounced, size: got.Progress.Size, synced: got.Progress.Synced,
		flushAt: never, noted: m.is(hasInfo), told: toldIn(got.Progress), unkept: m.is(unsynced),
	}
	a.forwarded = s.settings.rewriting.wanted(got.Head)
	a.bulk = got.Head.Bulk
	if m.flow == fair.Unknown {
		m.flow, m.weight = s.settings.senders.Flow(got.Head)
	}
	m.active = a
	m.recipients = int32(got.Recipients)
	s.noteHeard(m, a.told[remote])
	s.noteDestination(m, got.Sections[remote])
	s.actives[a] = struct{}{}
	s.waiting[settling].drop(m)
	m.due[settling] = never
	s.openPasses(a, t, got, now)
	s.settle(a)
}

// openPasses starts the passes that are due.
func (s *scheduler) openPasses(a *active, t loadTicket, got *reading.Message, now moment) {
	m := a.m
	if m.is(restored) && got.Sections[local].Undone && got.Sections[remote].Undone {
		// One mtime stands for both: it is the earlier one, that of local.
		m.due[remote] = s.settings.retry.Restored(m.birth, m.due[local], remote)
	}
	m.flags &^= restored
	fresh := !m.is(attempted)
	for c := range channels {
		q := &s.waiting[c]
		first := fresh || m.place[c] == inLine || t.queue == queueID(c) && t.class == firsts
		if !got.Sections[c].Undone {
			q.drop(m)
			m.due[c] = never
			continue
		}
		if m.due[c] == never { // routed otherwise than before (HUP)
			m.due[c] = now
		}
		if m.due[c] > now || !s.serving(s.ways[c]) || s.exiting {
			s.wait(m, c, first)
			continue
		}
		q.drop(m)
		k := retries
		if first {
			k = firsts
		}
		if c == remote && t.to == nil {
			var parks bool
			if t.to, parks = s.gateRead(m, k, now); parks {
				a.noted = a.noted || !a.begun
				continue
			}
		}
		s.startPass(a, s.ways[c], k, windowOf(got.Sections[c]), t, now)
	}
}

// wait puts m back into a channel's queue.
func (s *scheduler) wait(m *message, c channelID, first bool) {
	if first {
		s.waiting[c].enqueue(m)
	} else {
		s.waiting[c].put(m)
	}
}

// startPass begins a pass; its first window was read, or is empty with more.
func (s *scheduler) startPass(a *active, w *way, k class, first window, t loadTicket, now moment) {
	p := &pass{
		a: a, way: w, class: k, window: first, began: now, retryAt: never, due: a.m.due[w.id],
		dying: now > a.m.birth.Add(s.settings.lifetimes.of(a)),
		flow:  a.m.flow, weight: a.m.weight,
	}
	if w.id == remote {
		s.direct(p, t, now)
	}
	if k == firsts {
		w.opened.add(p.flow, +1)
	}
	if first.more {
		p.cursor = a.guide.Cursor(a.entry, w.id, a.finished)
	}
	if !p.dying {
		age := s.toTell(a, w.id, now)
		a.startTelling(w.id, age)
		p.telling = age > 0
	}
	a.m.due[w.id] = never
	a.passes[w.id] = p
	s.ready(p)
}

// begin notes that p gives something out.
func (p *pass) begin() {
	p.a.noted, p.a.begun = false, true
	p.a.m.flags |= attempted
}

// countAttempt counts an attempt of p, once. Those of an earlier run follow from
// when this one was due.
func (s *scheduler) countAttempt(p *pass) {
	if p.begun {
		return
	}
	p.begun = true
	m, c := p.a.m, p.way.id
	if m.attempts == 0 && !m.is(triedBefore) {
		s.counts.Observe(figures.QueueWait, int(c), int64(s.now()-m.birth)/int64(time.Microsecond))
	}
	if m.is(triedBefore) && p.due != never {
		m.attempts = uint16(min(s.settings.retry.Usual(c).Attempts(m.birth, p.due), math.MaxUint16))
	}
	m.flags &^= triedBefore
	if m.attempts < math.MaxUint16 {
		m.attempts++
	}
}

// openFurther starts a pass of a message that is in hand for the other channel.
func (s *scheduler) openFurther(a *active, t loadTicket, now moment) {
	if t.queue == settling {
		return // it is settled in any case
	}
	w := s.ways[t.queue]
	if a.stopped() || a.bouncing || a.passes[w.id] != nil {
		a.m.due[w.id] = now.Add(queueTrouble)
		s.waiting[w.id].put(a.m)
		return
	}
	s.startPass(a, w, t.class, window{more: true}, t, now)
}

// ready puts p where its next recipients come from.
func (s *scheduler) ready(p *pass) {
	switch {
	case len(p.window.specs) > 0:
		p.lane = p.a.m.lane
		if p.way.id == remote {
			p.lane = s.settings.senders.Lane(p.window.specs[0].Host)
		}
		p.way.ready[p.class].push(p)
	case p.window.more && !s.exiting:
		s.fill(p)
	}
}

// fill has the next window of p read.
func (s *scheduler) fill(p *pass) {
	p.filling = true
	p.way.filling[p.class]++
	cursor, from := p.cursor, p.window.next
	s.readers.Put(func() {
		w, err := cursor.Next(from)
		s.post(func() { s.filled(p, w, err) })
	})
}

func (s *scheduler) filled(p *pass, w reading.Section, err error) {
	p.filling = false
	p.way.filling[p.class]--
	p.window = windowOf(w)
	switch {
	case errors.Is(err, queuedir.ErrDamaged), errors.Is(err, queuedir.ErrTorn):
		p.a.damaged = err
		p.window = window{}
	case err != nil:
		s.trouble(err, "warning: trouble reading %s; will try again later", s.entryName(p.a.m.id))
		p.window = window{}
		p.deferred = true
		p.retryAt = min(p.retryAt, s.now().Add(queueTrouble))
	}
	s.ready(p)
	s.settle(p.a)
}

// loadFailed decides what becomes of a message that cannot be read.
func (s *scheduler) loadFailed(m *message, t loadTicket, now moment, err error) {
	if m.is(forgotten) {
		return
	}
	switch {
	case errors.Is(err, progress.ErrFile) && errors.Is(err, queuedir.ErrDamaged):
		s.quarantine(m, err)
	case errors.Is(err, progress.ErrFile):
		s.trouble(err, "warning: trouble reading %s; will try again later", s.infoName(m.id))
		s.later(m, t, now)
	case errors.Is(err, queuedir.ErrDamaged), errors.Is(err, queuedir.ErrTorn):
		s.quarantine(m, err)
	case errors.Is(err, fs.ErrNotExist):
		if m.is(logged) {
			s.logf("warning: unable to open %s: it is gone", s.entryName(m.id))
		}
		s.forget(m)
	default:
		s.trouble(err, "warning: unable to open %s; will try again later", s.entryName(m.id))
		s.later(m, t, now)
	}
}

// later lets m wait after trouble with the queue itself, for all for which its
// turn has come meanwhile.
func (s *scheduler) later(m *message, t loadTicket, now moment) {
	again := now.Add(queueTrouble)
	m.due[t.queue] = again
	for q := range s.waiting {
		if m.due[q] != never && m.place[q] == nowhere {
			m.due[q] = max(m.due[q], again)
			s.waiting[q].put(m)
		}
	}
}

// quarantine asks the spool to set m aside. Other messages go on (R17).
func (s *scheduler) quarantine(m *message, err error) {
	s.logf("alert: message %s is damaged and is set aside: %v", m.id, err)
	for q := range s.waiting {
		s.waiting[q].drop(m)
		m.due[q] = never
	}
	if m.is(hasInfo) {
		s.keepProgress(m.id)
	}
	m.flags |= quarantined
	// One that has a progress file was acknowledged, whatever its end says.
	if errors.Is(err, queuedir.ErrTorn) && !m.is(hasInfo) {
		m.flags |= torn
	}
	s.askQuarantine(m)
}

func (s *scheduler) entryName(id queuedir.ID) string { return "new/" + id.Bucket() + "/" + id.String() }
func (s *scheduler) infoName(id queuedir.ID) string  { return "info/" + id.Bucket() + "/" + id.String() }
