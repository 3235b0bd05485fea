package spool

import (
	"fmt"
	"path"
	"strings"

	"postrider/internal/queuedir"
)

// leftovers counts what the start and the first sweep find that nobody works on:
// what a former process, a power cut or a restore of parts has left.
type leftovers struct {
	received int    // in tmp/, removed
	bodies   int    // without entry, removed
	strange  int    // names in new/ that nobody looks for
	first    string // one of these
}

// name looks at a name in a directory of new/. One that is hidden is of an import.
func (l *leftovers) name(name string) {
	base := path.Base(name)
	id, ok := idOf(name)
	if ok && id.Bucket() == path.Base(path.Dir(name)) || strings.HasPrefix(base, ".") {
		return
	}
	if l.strange++; l.first == "" {
		l.first = name
	}
}

// tellLeft says on one line what was left behind, if anything was, and how many
// files in bad/ wait for somebody. Each of them qmail-queuectl names.
func (s *Store) tellLeft() {
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf(what, n))
		}
	}
	add(s.left.received, "in tmp/, removed: %d")
	add(s.left.bodies, "bodies without their message, removed: %d")
	if s.left.strange > 0 {
		parts = append(parts, fmt.Sprintf("names in new/ of no message, which stay: %d, such as %q", s.left.strange, strings.TrimPrefix(s.left.first, layout.Root+"/")))
	}
	add(s.countAside(), "in bad/: %d")
	if len(parts) > 0 {
		s.log("left behind: " + strings.Join(parts, "; ") + "; see qmail-queuectl check")
	}
	s.left = leftovers{}
}

// countAside counts the messages in bad/, without those that expire.
func (s *Store) countAside() (n int) {
	err := s.each(layout.Bad(), func(name string) error {
		if name != layout.BadUnacked() && !strings.HasSuffix(name, queuedir.BodySuffix) {
			n++
		}
		return nil
	})
	if err != nil {
		s.log("warning: " + firstLine(err))
	}
	return n
}
