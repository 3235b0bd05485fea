package qmailsend

import (
	"fmt"
	"slices"

	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
	"postrider/internal/wire/manage"
	"postrider/qmail-send/progress"
	"postrider/qmail-send/reading"
)

// An order changes a message (internal/wire/manage). One that is in no hand is
// changed on disk, by edit.go, while it counts as being read. Of one that is in
// hand deliveries may be under way, which nobody can call back: it can be held
// and deleted, what is under way goes on to its end. All else waits until the
// message is let go of, which happens at once if nothing is under way. An order
// for one whose results could not be written has that tried again, and is
// answered "later" if it fails: nobody waits for the time of the next try.

// orders is what has not been done of orders.
type orders struct {
	pending map[queuedir.ID][]progress.Edit // until the message is let go of
	leaving map[queuedir.ID][]progress.Edit // until it is removed
	edits   []progress.Edit                 // until an editor is free
	editors int                             // at work
}

func newOrders() orders {
	return orders{pending: make(map[queuedir.ID][]progress.Edit), leaving: make(map[queuedir.ID][]progress.Edit)}
}

// orderNames are how orders are logged.
var orderNames = map[manage.Kind]string{
	manage.Hold: "hold", manage.Release: "release", manage.TryNow: "try now", manage.Delete: "delete", manage.Bounce: "bounce",
	manage.Readdress: "change a recipient of", manage.Reroute: "reroute",
}

// Take begins to do an order.
func (s *scheduler) Take(o *progress.Order) {
	if len(o.Targets) == 1 {
		s.logf("order of uid %d: %s msg %s", o.From.UID, orderNames[o.Kind], o.Targets[0].ID)
	} else {
		s.logf("order of uid %d: %s %d messages", o.From.UID, orderNames[o.Kind], len(o.Targets))
	}
	for _, t := range o.Targets {
		s.takeOne(progress.Edit{Order: o, Target: t})
	}
	s.startEditors()
}

func (s *scheduler) takeOne(e progress.Edit) {
	m := s.messages[e.ID]
	switch {
	case m == nil && s.mayBeFound(e.ID):
		e.Answer(manage.Later, "qmail-send is still finding out what is in the queue")
	case m == nil, !mayHave(e.From, m):
		e.Answer(manage.Missing, "")
	case m.is(removing):
		e.Answer(manage.Nothing, "it is being removed")
	case m.is(quarantined):
		e.Answer(manage.Refused, "it is damaged and is being set aside")
	case s.exiting:
		e.Answer(manage.Later, "qmail-send is stopping")
	case e.Kind == manage.TryNow:
		s.tryNow(m, e)
	case m.active != nil && m.active.outstanding() > 0:
		s.orderInHand(m.active, e)
	case m.active != nil && s.needsNoResults(m.active, e):
		s.unstick(m.active)
		s.release(m.active)
		s.discard(m, e)
	case m.active != nil || m.is(loading):
		m.flags |= interrupted
		s.orders.pending[m.id] = append(s.orders.pending[m.id], e)
		if m.active != nil {
			s.writeStuck(m.active)
			s.settle(m.active)
		}
	default:
		s.beginEdit(m, e)
	}
}

// needsNoResults reports whether e can be done though the results of a could not
// be written: all of it goes, and they with it. Where the disk is full, that makes
// room.
func (s *scheduler) needsNoResults(a *active, e progress.Edit) bool {
	return a.stuck && !a.inHand() && e.Kind == manage.Delete && len(e.Recipients) == 0 && s.spool != nil
}

// mayBeFound reports whether a message that is not known may be in the queue
// nevertheless: nobody has looked there since qmail-spool was away, or could.
func (s *scheduler) mayBeFound(id queuedir.ID) bool {
	return s.spool == nil || s.scan.running && (s.scan.again || id.BucketIndex() >= s.scan.bucket) ||
		slices.Contains(s.scan.failed, id.BucketIndex())
}

// tryNow makes a message due. That is not written down: after a crash it is
// due when it would have been.
func (s *scheduler) tryNow(m *message, e progress.Edit) {
	now := s.now()
	switch {
	case m.is(held):
		e.Answer(manage.Refused, "it is held: release it")
		return
	case m.active != nil:
		e.Answer(manage.Nothing, "it is in hand now")
		return
	case !m.is(attempted) && !m.is(parked):
		e.Answer(manage.Nothing, "it waits for its first attempt")
		return
	}
	s.unpark(m)
	for q := range m.due {
		if m.due[q] != never {
			m.due[q] = min(m.due[q], now)
		}
	}
	m.flags |= stale | urgent
	m.flags &^= restored
	if !m.is(loading) {
		s.queueAgain(m)
	}
	e.Answer(manage.Done, "")
}

// queueAgain puts a message that is in no hand where it is due.
func (s *scheduler) queueAgain(m *message) {
	for q := range m.due {
		switch {
		case m.due[q] == never:
			s.waiting[q].drop(m)
		case queueID(q) != settling && !m.is(attempted):
			s.waiting[q].enqueue(m)
		default:
			s.waiting[q].put(m)
		}
	}
}

// outstanding returns how many deliveries of a are under way.
func (a *active) outstanding() (n int) {
	for _, p := range a.passes {
		if p != nil {
			n += p.outstanding
		}
	}
	return n
}

// stopped reports whether nothing more of a is to be given out.
func (a *active) stopped() bool {
	return a.stuck || a.damaged != nil || a.cancelled || a.m.is(held|interrupted)
}

// orderInHand does what can be done for a message while deliveries are under
// way. What is done and not on disk yet is written once more: the answer "nothing
// to do" is a promise, too.
func (s *scheduler) orderInHand(a *active, e progress.Edit) {
	switch {
	case a.unkept:
	case e.Kind == manage.Hold && a.m.is(held), e.Kind == manage.Delete && a.cancelled:
		e.Answer(manage.Nothing, "%s", underWay(a))
		return
	case e.Kind == manage.Release && !a.m.is(held):
		e.Answer(manage.Nothing, "it is not held")
		return
	}
	switch {
	case e.Kind == manage.Hold:
		a.m.flags |= held
		s.noteOrder(a, e.Record(queuedir.Held, nil), e)
	case e.Kind == manage.Release:
		a.m.flags &^= held
		s.noteOrder(a, e.Record(queuedir.Released, nil), e)
	case e.Kind == manage.Delete && len(e.Recipients) == 0:
		a.cancelled = true
		for i := range int(a.m.recipients) {
			a.finish(i)
		}
		if a.owed+a.progress.ToTell() > 0 { // nobody hears of these, too
			a.progress.Bounced(queuedir.Discarded)
		}
		s.noteOrder(a, e.Record(queuedir.Cancelled, nil), e)
	default:
		e.Answer(manage.Later, "%s: hold it, or try again", underWay(a))
	}
}

func underWay(a *active) string {
	if n := a.outstanding(); n != 1 {
		return fmt.Sprintf("%d deliveries are under way and go on", n)
	}
	return "a delivery is under way and goes on"
}

// noteOrder has lines written to the progress file of a message in hand, and e
// answered when they are durable.
func (s *scheduler) noteOrder(a *active, lines []byte, e ...progress.Edit) {
	a.progress.Ordered(lines)
	a.orders = append(a.orders, e...)
	a.unkept = true
	s.writeStuck(a)
	if !a.writing {
		s.write(a)
	}
	s.settle(a)
}

// orderWritten answers the orders of a message in hand that are written down,
// or are not because of err.
func (s *scheduler) orderWritten(a *active, done []progress.Edit, err error) {
	for _, e := range done {
		switch {
		case err != nil:
			e.Answer(manage.Later, "it is done, but cannot be written down and is forgotten if qmail-send ends now: %v", err)
		case a.outstanding() > 0:
			e.Answer(manage.Done, "%s", underWay(a))
		default:
			e.Answer(manage.Done, "")
		}
	}
}

// putOff answers the orders that wait until m is let go of, when err keeps it in
// hand.
func (s *scheduler) putOff(m *message, err error) {
	for _, e := range s.orders.pending[m.id] {
		e.Answer(manage.Later, "its results cannot be written down: %v", err)
	}
	delete(s.orders.pending, m.id)
	m.flags &^= interrupted
}

// letGo is called when nobody has m in hand any more.
func (s *scheduler) letGo(m *message, unwritten []progress.Edit) {
	if len(unwritten) > 0 { // it is done, and about to be removed
		s.orders.leaving[m.id] = append(s.orders.leaving[m.id], unwritten...)
	}
	if m.is(held) {
		s.rest(m)
	}
	if m.is(interrupted) {
		s.resume(m)
	}
}

// rest takes m out of all queues.
func (s *scheduler) rest(m *message) {
	m.flags &^= parked | hasAsked
	for q := range s.waiting {
		s.waiting[q].drop(m)
		m.due[q] = never
	}
}

// resume does the orders that have waited for m.
func (s *scheduler) resume(m *message) {
	waiting := s.orders.pending[m.id]
	delete(s.orders.pending, m.id)
	m.flags &^= interrupted
	for _, e := range waiting {
		s.takeOne(e)
	}
	s.startEditors()
}

// interruptsLoad gives m, which was read, to the orders that wait for it.
func (s *scheduler) interruptsLoad(m *message, t loadTicket, got *reading.Message) bool {
	if !m.is(interrupted) {
		return false
	}
	if got != nil {
		got.Entry.Close()
	}
	if m.due[t.queue] == never {
		m.due[t.queue] = s.now()
	}
	s.queueAgain(m)
	s.resume(m)
	return true
}

// foundHeld leaves m alone, of which its progress file says that it is held.
func (s *scheduler) foundHeld(m *message, got *reading.Message) {
	got.Entry.Close()
	m.recipients = int32(got.Recipients)
	m.flags |= held
	s.rest(m)
}

// wasForgotten answers what waited for a message that is no longer there.
func (s *scheduler) wasForgotten(m *message) {
	for _, e := range s.orders.leaving[m.id] {
		if e.Kind == manage.Delete {
			e.Answer(manage.Done, "")
		} else {
			e.Answer(manage.Nothing, "all of it was done meanwhile")
		}
	}
	for _, e := range s.orders.pending[m.id] {
		e.Answer(manage.Missing, "")
	}
	delete(s.orders.leaving, m.id)
	delete(s.orders.pending, m.id)
	delete(s.suspects, m)
}

// discard has a message removed that is in no hand, as e wants.
func (s *scheduler) discard(m *message, e progress.Edit) {
	if s.spool == nil {
		e.Answer(manage.Later, "qmail-spool is away")
		s.queueAgain(m)
		return
	}
	s.logf("end msg %s", m.id)
	s.rest(m)
	m.flags |= removing
	s.removals++
	s.orders.leaving[m.id] = append(s.orders.leaving[m.id], e)
	s.ask(entries.Message{Kind: entries.Remove, ID: m.id})
}
