package trace

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"postrider/internal/logread"
)

// found is a line that belongs to a story.
type found struct {
	logread.Line
	raw      string
	at       time.Time // zero if the log has no times
	session  session   // 0 if it is of none
	messages []string  // that it is about
	delivery delivery  // if it is about one
}

// children returns the messages that a line says were made of its own: a notice
// to the sender, and what a delivery forwarded ("qp_17..." in its report).
func (one *found) children() []string {
	switch one.Event {
	case "bounce", "delay", "success notice":
		return []string{one.Get("qp")}
	case "success":
		var ids []string
		if one.delivery.channel != "local" {
			return nil // another host's words
		}
		for _, part := range strings.Split(one.Get("said"), "/") {
			if id, isNumber := strings.CutPrefix(part, "qp_"); isNumber && logread.IsID(id) {
				ids = append(ids, id)
			}
		}
		return ids
	}
	return nil
}

// stories sorts lines by what they are about: what has a message or a session
// in common is one story. They come in the order of their first lines.
func stories(lines []found) [][]found {
	// The log of another program may be another file: times count, if all have one.
	if !slices.ContainsFunc(lines, func(one found) bool { return one.at.IsZero() }) {
		slices.SortStableFunc(lines, func(a, b found) int { return a.at.Compare(b.at) })
	}
	sets := newSets()
	for _, one := range lines {
		keys := one.keys()
		for _, key := range keys[1:] {
			sets.join(keys[0], key)
		}
	}
	index := make(map[string]int)
	var list [][]found
	for _, one := range lines {
		root := sets.root(one.keys()[0])
		at, known := index[root]
		if !known {
			at = len(list)
			index[root] = at
			list = append(list, nil)
		}
		list[at] = append(list[at], one)
	}
	return list
}

// keys names the messages and the session of a line; there is at least one.
func (one *found) keys() []string {
	keys := slices.Clone(one.messages)
	if one.session != 0 {
		keys = append(keys, "session "+strconv.Itoa(int(one.session)))
	}
	return keys
}

// sets are sets without common members, which can be joined.
type sets struct{ parent map[string]string }

func newSets() *sets { return &sets{make(map[string]string)} }

func (s *sets) root(key string) string {
	for {
		parent, has := s.parent[key]
		if !has {
			return key
		}
		if above, has := s.parent[parent]; has {
			s.parent[key] = above // shorter next time
		}
		key = parent
	}
}

func (s *sets) join(a, b string) {
	if a, b = s.root(a), s.root(b); a != b {
		s.parent[b] = a
	}
}
