package start

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/wire/parent"
)

// equip sends a new process what belongs to its start: its gifts, a fresh link
// to each peer that runs, and the word that this is all. Peers that start
// later bring their links along.
func (s *supervisor) equip(m *member) {
	if m.lines == nil {
		return
	}
	for _, gift := range m.gifts {
		if gift.Kind != parent.Listener {
			s.give(m, gift)
		}
	}
	s.showAreas(m)
	for _, l := range s.plan.links {
		peer := l.a
		if l.a == m {
			peer = l.b
		} else if l.b != m {
			continue
		}
		if peer.lines != nil && m.lines != nil {
			s.connect(l)
		}
	}
	// Who listens shall be able to work.
	for _, gift := range m.gifts {
		if gift.Kind == parent.Listener {
			s.give(m, gift)
		}
	}
	s.give(m, parent.Frame{Kind: parent.Go})
}

// connect makes the pair of a link and hands out both ends, keeping none.
func (s *supervisor) connect(l link) {
	a, b, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		// Without its link a daemon is of no use: a new start tries again.
		s.kill(l.a, fmt.Sprintf("cannot be linked to %s: %v", l.b.name, err))
		return
	}
	version := parent.Between(l.a.speaks, l.b.speaks)
	s.give(l.a, parent.Frame{Kind: parent.Link, Name: l.aName, Version: version, File: a})
	s.give(l.b, parent.Frame{Kind: parent.Link, Name: l.bName, Version: version, File: b})
	fdpass.CloseAll([]*os.File{a, b})
}

// give sends one frame, without waiting (invariant 4).
func (s *supervisor) give(m *member, f parent.Frame) {
	if m.lines == nil {
		return
	}
	sent, err := m.lines.Send(f)
	switch {
	case errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET):
		// It is ending: its exit is about to be seen.
	case err != nil:
		s.kill(m, fmt.Sprintf("cannot be sent a frame: %v", err))
	case !sent:
		s.kill(m, "does not read its control channel")
	}
}
