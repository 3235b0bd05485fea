package qmailsend

import (
	"postrider/internal/esmtp"
	"postrider/internal/figures"
	"postrider/internal/logline"
	"postrider/internal/queuedir"
	"postrider/internal/wire/spawn"
	"postrider/qmail-send/bounce"
	"postrider/qmail-send/links"
	"postrider/qmail-send/reading"
)

// delivery is one recipient that a delivery agent has.
type delivery struct {
	pass  *pass
	index int    // of the recipient
	to    string // as rewritten
	facts esmtp.Recipient
	agent *links.Agent
	began moment
	via   *connection // remote, if its destination is known
}

const (
	// maxJobBytes bounds the recipients of a job so that it fits a packet.
	maxJobBytes = spawn.MaxPacket - spawn.MaxInline - 8<<10
	// tooOld is appended to the report of the last attempt (spec 2.4).
	tooOld = "I'm not going to try again; this message has been in the queue too long.\n"
	// lostText and unreadText are the reports of deliveries that no agent
	// could report about.
	lostText   = "Sorry, the delivery program went away before it was done. (#4.3.0)\n"
	unreadText = "Sorry, the message could not be read from the queue. (#4.3.0)\n"
)

// giveOut fills the free slots of a channel. Passes take turns, a job each.
func (s *scheduler) giveOut(w *way) {
	for !s.exiting && s.serving(w) {
		p, n := w.next()
		if p == nil {
			return
		}
		if p.a.stopped() {
			s.cutShort(p)
			s.settle(p.a)
			continue
		}
		before := p.given
		if w.id == remote {
			var ok bool
			if n, ok = s.choose(p, n, s.now()); !ok {
				s.leftOut(p)
				continue
			}
		}
		s.startJob(p, n)
		if p.given >= bulkPass && !p.bulk {
			p.bulk = true
			w.bulk[p.class]++
		}
		s.ready(p)
		w.ready[p.class].Also(p.flow, p.given-before-1)
		if p.drained() {
			s.leave(p)
			s.settle(p.a)
		}
	}
}

// leave notes that p has nothing more to give out.
func (s *scheduler) leave(p *pass) {
	s.unclaim(p)
	if p.bulk {
		p.bulk = false
		p.way.bulk[p.class]--
	}
	if !p.left && p.class == firsts {
		p.way.opened.add(p.flow, -1)
	}
	p.left = true
}

// cutShort ends the giving out of p, which is in no ring; what it has not
// given out is due again with what was deferred.
func (s *scheduler) cutShort(p *pass) {
	if len(p.window.specs) > 0 || p.window.more {
		p.deferred = true
		again := s.now()
		if !s.exiting && !p.a.m.is(held|interrupted) {
			again = again.Add(queueTrouble)
		}
		p.retryAt = min(p.retryAt, again)
	}
	p.window, p.cut = window{}, true
	s.leave(p)
}

// startJob gives out the next job of p, of at most n recipients.
func (s *scheduler) startJob(p *pass, n int) {
	sp := &p.window.specs[0]
	if sp.Recipients[0].Refused != "" {
		s.refuse(p, sp.Recipients[0])
		sp.Recipients = sp.Recipients[1:]
	} else {
		s.giveJob(p, sp, n)
	}
	if len(sp.Recipients) == 0 {
		p.window.specs[0] = spec{}
		p.window.specs = p.window.specs[1:]
	}
}

// giveJob gives a job of the first recipients of sp to its agent.
func (s *scheduler) giveJob(p *pass, sp *spec, n int) {
	n = min(n, len(sp.Recipients), spawn.MaxRecipients)
	now := s.now()
	j := links.Job{Entry: p.a.entry, Job: spawn.Job{ID: p.a.m.id, Host: sp.Host, Relay: sp.Relay, Sender: p.a.sender, Facts: p.a.facts}}
	if p.a.guide.VERP { // then sp has one recipient
		j.Sender = sp.Recipients[0].Sender
	}
	if p.a.forwarded && p.way.id == remote {
		j.Sender = s.settings.rewriting.sender(j.Sender)
	}
	ag := s.agents.Choose(p.way.id, sp.worker())
	var deliveries []*delivery
	for size := 0; n > 0 && size < maxJobBytes; n-- {
		it := sp.Recipients[0]
		sp.Recipients = sp.Recipients[1:]
		number := s.startDelivery(p, it, ag)
		deliveries = append(deliveries, s.deliveries[number])
		r := spawn.Recipient{Delivery: number, Address: it.Address, Facts: it.Facts}
		size += spawn.RecipientSize(r)
		j.Recipients = append(j.Recipients, r)
	}
	s.countAttempt(p)
	if p.way.id == remote {
		if via := s.connect(p, sp, len(deliveries), now); via != nil {
			j.Probe = via.to.probing
			for _, d := range deliveries {
				d.via = via
			}
		}
	}
	ag.Put(j)
}

func (s *scheduler) startDelivery(p *pass, it reading.Recipient, ag *links.Agent) uint64 {
	p.begin()
	s.lastDelivery++
	s.deliveries[s.lastDelivery] = &delivery{pass: p, index: it.Index, to: it.Shown, facts: it.Facts, agent: ag, began: s.now()}
	p.outstanding++
	p.given++
	p.way.inFlight++
	s.counts.Set(figures.DeliveriesRunning, int(p.way.id), int64(p.way.inFlight))
	p.way.busy[p.class]++
	p.way.under.add(p.flow, +1)
	s.logf("starting delivery %d: msg %s to %s %s", s.lastDelivery, p.a.m.id, p.way.id, logline.Safe(it.Shown))
	s.status()
	return s.lastDelivery
}

// refuse fails or defers a recipient that no agent can be given.
func (s *scheduler) refuse(p *pass, it reading.Recipient) {
	r := spawn.Result{Delivery: s.startDelivery(p, it, nil), Class: spawn.Failure, Text: it.Refused}
	if it.Later {
		r.Class = spawn.Deferral
	}
	s.finishDelivery(expired(p, r))
}

// expired returns what r means for a message that is too old for another try.
func expired(p *pass, r spawn.Result) spawn.Result {
	if r.Class == spawn.Deferral && p.dying {
		r.Class = spawn.Failure
		r.Text += tooOld
	}
	return r
}

// results takes the results that an agent reported. A delivery that it was not
// given breaks the protocol: the agent is dropped.
func (s *scheduler) results(ag *links.Agent, results []spawn.Result) {
	for _, r := range results {
		d := s.deliveries[r.Delivery]
		if d == nil || d.agent != ag {
			s.log.Line("warning: internal error: delivery report out of range")
			s.agentLost(ag)
			return
		}
		a := d.pass.a
		s.finishDelivery(expired(d.pass, r))
		s.settle(a)
	}
}

// finishDelivery takes the result of a delivery that is known (spec 2.4).
func (s *scheduler) finishDelivery(r spawn.Result) {
	d := s.deliveries[r.Delivery]
	delete(s.deliveries, r.Delivery)
	p := d.pass
	p.outstanding--
	p.way.inFlight--
	p.way.busy[p.class]--
	p.way.under.add(p.flow, -1)
	s.countDelivery(d, r.Class)
	if d.via != nil {
		s.heardOf(d.via, r, s.now())
	}
	switch r.Class {
	case spawn.Success, spawn.PassedOn:
		s.logf("delivery %d: success: %s", r.Delivery, logline.Safe(r.Text))
		p.a.finish(d.index)
		s.noteSuccess(d, r)
	case spawn.Failure:
		s.logf("delivery %d: failure: %s", r.Delivery, logline.Safe(r.Text))
		p.a.finish(d.index)
		text := "" // the sender does not want to know
		if d.facts.Notify.WantsFailure() && !p.a.cancelled {
			text = bounce.Paragraph(s.settings.routes.Strip(d.to), r.Text)
		}
		p.a.progress.Failed(d.index, s.clock.Now(), text)
	default:
		s.logf("delivery %d: deferral: %s", r.Delivery, logline.Safe(r.Text))
		p.a.progress.Tried(p.a.size, d.index, s.clock.Now(), r.Text)
		s.retryLater(p, d, r.Text)
		if p.telling && d.facts.Notify.WantsDelay() {
			p.a.noteDelayed(d.index, s.clock.Now(), bounce.Paragraph(s.settings.routes.Strip(d.to), r.Text))
		}
	}
	s.status()
}

// retryLater notes when a recipient of p that was deferred is tried again; the
// earliest of them counts for all.
func (s *scheduler) retryLater(p *pass, d *delivery, report string) {
	first := !p.deferred
	p.deferred = true
	birth := p.a.m.birth
	cv := s.settings.retry.After(p.way.id, d.to, report)
	p.retryAt = min(p.retryAt, cv.Next(birth, p.began))
	p.noteDead(d, first)
	if p.telling {
		p.a.lastTry = max(p.a.lastTry, cv.NotBefore(birth, birth.Add(s.settings.lifetimes.of(p.a))+1))
	}
}

// noteSuccess notes a success, which the sender hears of if he said so.
func (s *scheduler) noteSuccess(d *delivery, r spawn.Result) {
	a := d.pass.a
	nobody := a.sender.IsNull() || a.sender.String() == bounce.DoubleSender
	if a.cancelled || r.Class == spawn.PassedOn || d.facts.Notify&esmtp.Success == 0 || nobody {
		a.progress.Delivered(d.index)
		return
	}
	kind := queuedir.Succeeded
	if d.pass.way.id == remote {
		kind = queuedir.Relayed
	}
	a.progress.Succeeded(kind, d.index, s.clock.Now(), bounce.Paragraph(s.settings.routes.Strip(d.to), r.Text))
}

// deferDelivery ends a delivery that nobody tried to the end: temporary even
// if the message is too old.
func (s *scheduler) deferDelivery(number uint64, text string, retryAt moment) *active {
	p := s.deliveries[number].pass
	p.retryAt = min(p.retryAt, retryAt)
	s.finishDelivery(spawn.Result{Delivery: number, Class: spawn.Deferral, Text: text})
	return p.a
}

// lostAt returns when a delivery is tried again whose agent went away: soon,
// unless that happened at the last attempt too.
func (s *scheduler) lostAt(m *message) moment {
	if m.losses > 0 {
		return never
	}
	return s.now().Add(lostRetry)
}

// agentLost defers everything that ag had.
func (s *scheduler) agentLost(ag *links.Agent) {
	if !s.agents.Remove(ag) {
		return
	}
	ag.Close()
	if !s.exiting {
		s.logf("warning: lost %s connection; its deliveries are deferred", ag.Name)
	}
	touched := make(map[*active]bool)
	for number, d := range s.deliveries {
		if d.agent == ag {
			d.pass.lost = true
			touched[s.deferDelivery(number, lostText, s.lostAt(d.pass.a.m))] = true
		}
	}
	for a := range touched {
		s.settle(a)
	}
}

// jobFailed defers a job whose message could not be opened, and sets the
// message aside if it is damaged.
func (s *scheduler) jobFailed(ag *links.Agent, j spawn.Job, err error, damaged bool) {
	var a *active
	for _, r := range j.Recipients {
		if d := s.deliveries[r.Delivery]; d != nil && d.agent == ag {
			a = s.deferDelivery(r.Delivery, unreadText, s.now().Add(queueTrouble))
		}
	}
	if a == nil {
		return
	}
	if damaged {
		a.damaged = err
	} else {
		s.trouble(err, "warning: unable to open %s; will try again later", s.entryName(a.m.id))
	}
	s.settle(a)
}
