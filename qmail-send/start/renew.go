package start

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"postrider/internal/wire/parent"
)

const (
	// lookInterval is how often it is looked whether a process that was started
	// works: nothing that it says is read.
	lookInterval = 50 * time.Millisecond
	// settleTime is how long that may take before it is worth a line.
	settleTime = 30 * time.Second
	// lullTime is how long the spool may go on until large messages that arrive
	// slowly are there.
	lullTime = time.Minute
)

// renewal replaces the processes of the program before, step by step. Who
// serves clients is first: if the new one does not come up, the one before
// goes on, and so does everybody else. Those whom others ask end before their
// successors start, since each is the only one in its files; who asks them waits.
type renewal struct {
	steps []step
	telling
	begun time.Time // the present step; zero: not yet
	late  bool      // that it takes long was said
	lull  time.Time // until when the spool may choose the moment
}

// step is done with all of its members at once.
type step struct {
	name    string
	do      func(s *supervisor, members []*member, now time.Time) (done bool)
	members []*member
}

// newRenewal returns the steps for those of the plan who are old.
func newRenewal(p *plan) *renewal {
	var beside, helpers, spool, send, deliver, helpDeliver []*member
	for _, m := range p.members {
		switch {
		case m.leaving != nil || m.order == stopLogger:
		case m.drains():
			beside = append(beside, m)
		case m.role.Program == "qmail-spool":
			spool = append(spool, m)
		case m.order == stopHelpers:
			helpers = append(helpers, m)
		case m.order == stopSend:
			send = append(send, m)
		case m.order == stopSpool:
			helpDeliver = append(helpDeliver, m)
		default:
			deliver = append(deliver, m)
		}
	}
	// qmail-smtpd is told to hand messages to the new filter at once.
	slices.SortStableFunc(beside, func(a, b *member) int {
		return slices.Index(drainers, a.role.Program) - slices.Index(drainers, b.role.Program)
	})
	return &renewal{steps: []step{
		{"who serves clients", (*supervisor).replaceBeside, beside},
		{"who answers them", (*supervisor).retire, helpers},
		{"who answers them", (*supervisor).launchAll, helpers},
		{"the spool", (*supervisor).retireAtLull, spool},
		{"the spool", (*supervisor).launchAll, spool},
		{"the scheduler", (*supervisor).retire, send},
		{"who delivers", (*supervisor).retire, deliver},
		{"who helps those who deliver", (*supervisor).retire, helpDeliver},
		{"who delivers", (*supervisor).launchAll, slices.Concat(send, deliver, helpDeliver)},
	}}
}

// continueRenewal goes on with the renewal as far as it can.
func (s *supervisor) continueRenewal(now time.Time) {
	for r := s.renewal; r != nil; {
		if len(r.steps) == 0 {
			s.renewal = nil
			s.log("qmail-start: upgraded: all processes run the programs that are installed" + s.besides())
			return
		}
		at := r.steps[0]
		if r.begun.IsZero() {
			r.begun = now
		}
		if !at.do(s, at.members, now) {
			if !r.late && now.Sub(r.begun) >= settleTime {
				r.late = true
				s.log(fmt.Sprintf("qmail-start: warning: the upgrade waits for %s: %s; what was not replaced yet goes on as it was",
					at.name, names(at.members)))
			}
			return
		}
		r.steps, r.begun, r.late, r.telling = r.steps[1:], time.Time{}, false, telling{}
	}
}

// besides says who finishes its sessions.
func (s *supervisor) besides() string {
	var left []*member
	for _, m := range s.plan.members {
		if m.leaving != nil {
			left = append(left, m)
		}
	}
	if len(left) == 0 {
		return ""
	}
	return ", but for those who finish their sessions: " + names(left)
}

func names(members []*member) string {
	var list []string
	for _, m := range members {
		list = append(list, m.name)
	}
	return strings.Join(list, ", ")
}

// replaceBeside starts a new process beside each old one, and waits until they work.
func (s *supervisor) replaceBeside(members []*member, _ time.Time) (done bool) {
	for _, m := range members {
		if m.old && m.proc != nil && m.lines != nil {
			s.beside(m)
		}
	}
	return !slices.ContainsFunc(members, func(m *member) bool { return !m.settled() })
}

// retire tells old processes to end, and waits until they have.
func (s *supervisor) retire(members []*member, now time.Time) (done bool) {
	var running []*member
	for _, m := range members {
		if m.old && m.proc != nil {
			m.retiring = true
			running = append(running, m)
		}
	}
	r := s.renewal
	if len(running) == 0 {
		return true
	}
	if r.told != toldNothing && now.Before(r.deadline) {
		return false
	}
	return !s.tell(&r.telling, running, now) // one that cannot be killed stays
}

// retireAtLull is retire for who is told to drain before, and chooses a moment
// at which it has little in hand.
func (s *supervisor) retireAtLull(members []*member, now time.Time) (done bool) {
	r := s.renewal
	if r.lull.IsZero() {
		r.lull = now.Add(lullTime)
		for _, m := range members {
			if m.old && m.proc != nil {
				m.retiring = true
				s.give(m, parent.Frame{Kind: parent.Drain})
			}
		}
	}
	if now.Before(r.lull) && slices.ContainsFunc(members, func(m *member) bool { return m.old && m.proc != nil }) {
		return false
	}
	return s.retire(members, now)
}

// launchAll starts all who do not run, and waits until they work.
func (s *supervisor) launchAll(members []*member, _ time.Time) (done bool) {
	for _, m := range members {
		if m.proc == nil && m.due.IsZero() {
			s.start(m)
		}
	}
	return !slices.ContainsFunc(members, func(m *member) bool { return !m.settled() })
}

// nextRenewal calls sooner with when continueRenewal has something to do.
func (s *supervisor) nextRenewal(now time.Time, sooner func(time.Time)) {
	if s.renewal != nil {
		sooner(now.Add(lookInterval))
	}
}
