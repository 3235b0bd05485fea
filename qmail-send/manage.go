package qmailsend

import (
	"os"

	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
	"postrider/qmail-send/clients"
	"postrider/qmail-send/progress"
)

// attachManage begins to serve the listening socket l, but for the strangers, who
// are uids.
func (s *scheduler) attachManage(l *os.File, strangers []string) {
	clients.New(s.loop(), s, strangers).Serve(l)
}

// loop is where clients ask the scheduler.
func (s *scheduler) loop() clients.Loop {
	return clients.Loop{Clock: s.clock, Layout: s.layout, Post: s.post, Stopped: s.stopped, Logf: s.logf}
}

// mayHave is owns for a message of which it may not be known yet whose it is:
// who goes on then asks the entry.
func mayHave(c progress.Client, m *message) bool {
	return c.Operator || !m.is(ownerKnown) || m.uid == c.UID
}

// States returns what is known of the messages of c.
func (s *scheduler) States(c progress.Client) (all []manage.State) {
	now := s.clock.Now()
	for _, m := range s.messages {
		if !c.Operator && (!m.is(ownerKnown) || m.uid != c.UID) {
			continue
		}
		state := manage.State{ID: m.id, Phase: m.phase(), Attempts: m.attempts}
		if at := s.nextTry(m, s.line.At(now)); at != never && m.is(attempted) {
			state.Next = s.line.ToWall(at, now).Unix()
		}
		if m.active != nil {
			state.InFlight = uint16(min(m.active.outstanding(), 1<<16-1))
		}
		all = append(all, state)
	}
	return all
}

func (m *message) phase() manage.Phase {
	switch {
	case m.is(quarantined):
		return manage.Aside
	case m.is(removing):
		return manage.Leaving
	case m.is(held):
		return manage.HeldBack
	case m.active != nil:
		return manage.InHand
	case m.due[settling] != never && m.due[local] == never && m.due[remote] == never:
		return manage.Reporting
	case m.is(attempted):
		return manage.Deferred
	}
	return manage.Waiting
}

// Ownerless returns the messages that a scan has found, of which it is not known
// whose they are.
func (s *scheduler) Ownerless() (unknown []queuedir.ID) {
	for _, m := range s.messages {
		if !m.is(ownerKnown) {
			unknown = append(unknown, m.id)
		}
	}
	return unknown
}

// Owned notes whose messages are.
func (s *scheduler) Owned(owners map[queuedir.ID]uint32) {
	for id, uid := range owners {
		if m := s.messages[id]; m != nil {
			m.uid = uid
			m.flags |= ownerKnown
		}
	}
}

// May reports which messages c may have, as far as that is known.
func (s *scheduler) May(c progress.Client, ids []queuedir.ID) (may []bool) {
	for _, id := range ids {
		m := s.messages[id]
		may = append(may, m != nil && mayHave(c, m))
	}
	return may
}
