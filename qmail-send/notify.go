package qmailsend

import (
	"errors"
	"fmt"

	"postrider/internal/esmtp"
	"postrider/internal/figures"
	"postrider/internal/queuedir"
	"postrider/qmail-send/bounce"
)

// bounce has notices submitted of everything that is to be told: one of the
// failures and one of the successes.
func (s *scheduler) bounce(a *active) {
	failures := bounce.New(s.settings.bounce, a.sender.String())
	failures.Short = a.facts.Return == esmtp.Headers || a.facts.RequireTLS || s.settings.bounceMax > 0 && a.entry.Footer.BodySize > s.settings.bounceMax
	failed := s.report(a, failures)
	failed.Tells, failed.From = []queuedir.RecordKind{queuedir.Failed}, a.bounced
	succeeded := s.report(a, bounce.NewSuccess(s.settings.bounce, a.sender.String()))
	succeeded.Tells, succeeded.From = []queuedir.RecordKind{queuedir.Succeeded, queuedir.Relayed}, a.bounced
	s.submit(a, []bounce.Report{failed, succeeded}, s.bounced)
}

// report returns the report about a that ends where its progress file does.
func (s *scheduler) report(a *active, n bounce.Notice) bounce.Report {
	n.Arrival = s.line.ToWall(a.m.birth, s.clock.Now())
	return bounce.Report{
		ID: a.m.id, Notice: n, To: a.size, Recipients: int(a.m.recipients), Facts: a.facts, Now: s.clock.Now(),
	}
}

// noticeWords are how log lines about notices begin.
var noticeWords = [...]string{bounce.Failure: "bounce", bounce.Double: "bounce", bounce.Delay: "delay", bounce.Success: "success"}

// submit has those reports submitted that tell anything, until one fails; then
// is given their numbers.
func (s *scheduler) submit(a *active, reports []bounce.Report, then func(*active, []bounce.Submitted, error)) {
	a.bouncing = true
	entry := a.entry
	s.atWork++
	s.notices.Put(func() {
		done, err := s.store.submit(entry, reports)
		s.post(func() {
			s.atWork--
			a.bouncing = false
			for _, n := range done {
				s.counts.Add(figures.Notices, int(n.Kind), 1)
				s.logf("%s msg %s qp %s", noticeWords[n.Kind], a.m.id, n.ID)
			}
			then(a, done, err)
			s.settle(a)
		})
	})
}

// bounced takes the result of bounce.
func (s *scheduler) bounced(a *active, done []bounce.Submitted, err error) {
	switch {
	case errors.Is(err, queuedir.ErrDamaged), errors.Is(err, queuedir.ErrTorn):
		a.damaged = err
	case err != nil:
		s.trouble(fmt.Errorf("bounce of %s: %w", a.m.id, err), "warning: trouble injecting bounce message, will try later")
		a.m.due[settling] = s.now().Add(queueTrouble)
		s.waiting[settling].put(a.m)
	case len(done) == 0: // of what a former run had owed, nothing has a text
		a.progress.Bounced(queuedir.Discarded)
	default:
		a.progress.Bounced(done[len(done)-1].ID)
	}
}

// discards reports whether failures of a make no bounce: those of a double
// bounce never, those of a bounce if doublebounceto is empty.
func (s *scheduler) discards(a *active) bool {
	return a.sender.String() == bounce.DoubleSender || a.sender.IsNull() && s.settings.bounce.DoubleTo == ""
}

func (s *scheduler) discardLine(a *active) string {
	kind := "double"
	if a.sender.String() == bounce.DoubleSender {
		kind = "triple"
	}
	return kind + " bounce: discarding bounce/" + a.m.id.String()
}
