package maildir

import (
	"sync"
	"time"

	"postrider/internal/clock"
	"postrider/internal/durable"
)

// shareFor is how long a Maildir that was opened serves further deliveries:
// one that is never without a delivery is opened again all the same, since its
// owner may have put another in its place.
const shareFor = time.Second

// Store is what the deliveries of one process share: names, syncs, and
// Maildirs that are open because of other deliveries.
type Store struct {
	clock clock.Clock
	group *durable.Group
	names *Names

	mu   sync.Mutex
	open map[string]*shared
}

// shared is a Maildir with deliveries under way.
type shared struct {
	tree   durable.ClosingTree
	opened time.Time
	users  int
}

// NewStore returns the Store of this process on the given host.
func NewStore(c clock.Clock, host string) *Store {
	return &Store{clock: c, group: durable.FileGroup(), names: NewNames(c, host), open: make(map[string]*shared)}
}

// Open opens the Maildir at path, which is relative to the open directory dir,
// whose name is home. done must be called after the last delivery.
func (s *Store) Open(dir int, home, path string) (f *Folder, done func(), err error) {
	key := home + "\x00" + path
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.open[key]
	if o == nil || s.clock.Now().Sub(o.opened) > shareFor {
		tree, err := durable.OpenTreeAt(dir, path)
		if err != nil {
			return nil, nil, err
		}
		o = &shared{tree: tree, opened: s.clock.Now()}
		s.open[key] = o
	}
	o.users++
	return NewFolder(o.tree, s.group, s.names), func() { s.leave(key, o) }, nil
}

func (s *Store) leave(key string, o *shared) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.users--; o.users > 0 {
		return
	}
	if s.open[key] == o {
		delete(s.open, key)
	}
	_ = o.tree.Close() // a directory that was read: its close has no result that matters
}
