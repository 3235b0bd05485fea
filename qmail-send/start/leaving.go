package start

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"postrider/internal/priv"
	"postrider/internal/wire/parent"
)

// leaving is a member that another one replaces, or that is not wanted any
// more. It has the links of its place until its sessions are over.
type leaving struct {
	successor *member   // nil: it is not wanted any more
	drains    bool      // it was told to take in nothing more
	until     time.Time // is when it is told to end, if it drains
	telling
}

// drainers serve clients: they are told to drain, and have time for it. Others
// end when nobody is left who asks them.
var drainers = []string{"qmail-filter", "qmail-smtpd", "qmail-qmtpd", "qmail-qmqpd"}

func (m *member) drains() bool { return slices.Contains(drainers, m.role.Program) }

// place returns the place that a name has in the plan, or nil.
func (p *plan) place(name string) *member {
	for _, m := range p.members {
		if m.name == name && m.leaving == nil {
			return m
		}
	}
	return nil
}

// addLeaving adds a member that leaves, beside the one in its place. until is
// zero if it was not told yet.
func (p *plan) addLeaving(name string, successor *member, until time.Time) *member {
	m := &member{name: name, order: stopHelpers, leaving: &leaving{successor: successor, drains: !until.IsZero(), until: until}}
	program, _, _ := strings.Cut(name, " ")
	switch role, known := priv.RoleOf(program); {
	case successor != nil:
		m.role, m.order = successor.role, successor.order
	case program == "logger":
		m.role, m.order = priv.Logger(), stopLogger
	case known:
		m.role, m.order = role, orderOf(program)
	default:
		m.role.Program = program // of a later release
	}
	p.members = append(p.members, m)
	// Those whom it asks may be replaced while it finishes: it needs the next
	// ones. Who asks it is to ask its successor.
	for _, l := range slices.Clone(p.links) {
		if successor != nil && l.a == successor && m.drains() {
			p.join(m, l.aName, l.b, l.bName)
		}
	}
	return m
}

// orderOf is when a program that is not in the plan is stopped.
func orderOf(program string) int {
	switch program {
	case "qmail-smtpd", "qmail-qmtpd", "qmail-qmqpd":
		return stopSMTPD
	case "qmail-nss":
		return stopLocal
	case "qmail-remote", "qmail-rspawn":
		return stopRemote
	case "qmail-mtasts", "qmail-tlsseen", "qmail-tlsrpt", "qmail-tlskey":
		return stopSpool
	}
	return stopHelpers
}

// remove takes a member that has left out of the plan.
func (p *plan) remove(m *member) {
	p.members = slices.DeleteFunc(p.members, func(other *member) bool { return other == m })
	p.links = slices.DeleteFunc(p.links, func(l link) bool { return l.a == m || l.b == m })
}

// settled reports whether a member runs and has taken all that it works with.
func (m *member) settled() bool {
	if m.proc == nil || m.lines == nil {
		return false
	}
	waiting, err := m.lines.Untaken()
	return err == nil && !waiting
}

// beside starts a new process in a member's place while the one before goes on,
// until the new one works.
func (s *supervisor) beside(m *member) {
	before := s.plan.addLeaving(m.name, m, time.Time{})
	before.proc, before.lines, before.speaks, before.started, before.pulse = m.proc, m.lines, m.speaks, m.started, m.pulse
	m.proc, m.lines = nil, nil
	s.passArea(m, before)
	s.start(m)
}

// leave takes the next step of those who leave.
func (s *supervisor) leave(now time.Time) {
	for _, m := range slices.Clone(s.plan.members) {
		l := m.leaving
		switch {
		case l == nil || m.proc == nil || m.order == stopLogger: // a logger ends with the last who writes
		case !l.drains && m.drains():
			if l.successor == nil || l.successor.settled() {
				s.drain(m, now)
			}
		case !l.drains && s.asked(m):
		case l.told == toldNothing && now.Before(l.until), l.told != toldNothing && now.Before(l.deadline):
		case !s.tell(&l.telling, []*member{m}, now):
			s.plan.remove(m)
		}
	}
}

// drain tells a member to take in nothing more, and gives it time.
func (s *supervisor) drain(m *member, now time.Time) {
	m.leaving.drains, m.leaving.until = true, now.Add(s.drainLimit)
	s.log(fmt.Sprintf("qmail-start: %s (pid %d) finishes its sessions, for up to %v", m.name, m.proc.pid(), s.drainLimit))
	s.give(m, parent.Frame{Kind: parent.Drain})
}

// asked reports whether somebody may still ask a member that is not wanted any
// more: one who is older than the plan.
func (s *supervisor) asked(m *member) bool {
	return s.renewal != nil || slices.ContainsFunc(s.plan.members, func(other *member) bool {
		return other.leaving != nil && other.order < m.order && other.proc != nil
	})
}

// nextLeaving calls sooner with when leave has something to do.
func (s *supervisor) nextLeaving(now time.Time, sooner func(time.Time)) {
	for _, m := range s.plan.members {
		l := m.leaving
		switch {
		case l == nil || m.order == stopLogger:
		case l.told != toldNothing:
			sooner(l.deadline)
		case l.drains:
			sooner(l.until)
		case m.drains():
			sooner(now.Add(lookInterval))
		}
	}
}
