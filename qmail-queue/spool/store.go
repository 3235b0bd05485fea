package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"postrider/internal/clock"
	"postrider/internal/durable"
	"postrider/internal/figures"
	"postrider/internal/queuedir"
)

// layout names files relative to the queue directory, where Tree is rooted.
var layout = queuedir.Layout{Root: "."}

// removalDelay is the longest that a removal waits for a sync to ride on: it
// bounds how much is delivered again after a crash.
const removalDelay = 100 * time.Millisecond

// Store is the queue's files: what becomes an entry, and what becomes of it.
type Store struct {
	tree  durable.Tree
	group *durable.Group
	clock clock.Clock
	log   func(string)
	begun time.Time // entries born before were not acknowledged by this process
	// answered: the former process left no submitter that may come again
	answered bool

	entries atomic.Int64 // in new/, nearly
	left    leftovers    // of the start, by who sweeps

	names  *names
	memory *budget
	recent *recentNonces
	counts figures.Counts

	moving sync.Mutex // an entry goes into bad/, its body follows

	// open is closed when the scheduler may have what a former process has left;
	// nil: at once.
	open chan struct{}

	mu       sync.Mutex
	inflight map[queuedir.ID]bool // not committed: "no" to every query
	doomed   []doomedFile         // must be unlinked, could not be
}

// doomedFile is what a failed commit or removal could not remove yet.
type doomedFile struct {
	name string
	id   queuedir.ID // in flight until the name is gone
}

// NewStore returns the store of the queue below tree.
func NewStore(tree durable.Tree, group *durable.Group, c clock.Clock, log func(string)) *Store {
	return &Store{
		tree: tree, group: group, clock: c, log: log, begun: c.Now(),
		names:    newNames(c.Now().UnixNano()),
		memory:   newBudget(messageMemory),
		recent:   newRecentNonces(),
		inflight: make(map[queuedir.ID]bool),
	}
}

// holdQueries keeps what a former process has left from the scheduler until
// openToQueries.
func (s *Store) holdQueries()   { s.open = make(chan struct{}) }
func (s *Store) openToQueries() { close(s.open) }

// awaitOpen waits for openToQueries, which comes in any case.
func (s *Store) awaitOpen() {
	if s.open != nil {
		<-s.open
	}
}

// isCommitted answers the scheduler's query: is id in the queue, durable, and
// meant to be there?
func (s *Store) isCommitted(id queuedir.ID) bool {
	s.mu.Lock()
	busy := s.inflight[id]
	s.mu.Unlock()
	if busy {
		return false
	}
	_, err := s.tree.Stat(layout.Entry(id))
	// Trouble with the disk is not "gone", and what is no file may become one
	// again: the scheduler meets it itself, and tries again. Only what is in
	// flight must be kept from it.
	return !errors.Is(err, fs.ErrNotExist)
}

// newID returns the number of a message that begins to arrive, in flight.
func (s *Store) newID(now time.Time) queuedir.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		id := s.names.next(now)
		if !s.inflight[id] {
			s.inflight[id] = true
			return id
		}
	}
}

// leaveBucket keeps the next messages out of a bucket into which one could not be
// renamed: its directory may be damaged, and only that one.
func (s *Store) leaveBucket(id queuedir.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names.leave(id.BucketIndex())
}

// settled ends the flight of id.
func (s *Store) settled(id queuedir.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.land(id)
}

// land is settled for those who hold mu.
func (s *Store) land(id queuedir.ID) {
	delete(s.inflight, id)
}

func (s *Store) isInflight(id queuedir.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inflight[id]
}

// unlink removes a name; one that is gone is removed.
func (s *Store) unlink(name string) error {
	if err := s.tree.Unlink(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// doom removes names of id, whose commit failed. While one resists, the id
// stays in flight, so that nobody delivers what was refused.
func (s *Store) doom(id queuedir.ID, names ...string) {
	var left []doomedFile
	for _, name := range names {
		if err := s.unlink(name); err != nil {
			s.log("warning: cannot remove what was refused, will try again: " + err.Error())
			left = append(left, doomedFile{name, id})
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doomed = append(s.doomed, left...)
	if len(left) == 0 {
		s.land(id)
	}
}

// retryDoomed tries again to remove what could not be removed.
func (s *Store) retryDoomed() {
	s.mu.Lock()
	doomed := s.doomed
	s.doomed = nil
	s.mu.Unlock()
	var left []doomedFile
	stuck := make(map[queuedir.ID]bool)
	for _, d := range doomed {
		if s.unlink(d.name) != nil {
			left = append(left, d)
			stuck[d.id] = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doomed = append(s.doomed, left...)
	for _, d := range doomed {
		if !stuck[d.id] {
			s.land(d.id)
		}
	}
}

func (s *Store) newDir(id queuedir.ID) durable.Directory { return s.dir(layout.NewDir(id.Bucket())) }

func (s *Store) dir(name string) durable.Directory {
	return durable.Directory{Tree: s.tree, Name: name}
}

// writeTrouble is the answer to a submitter whose message cannot be written.
func writeTrouble(err error) error {
	code := exitWrite
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) && (pathErr.Op == "open" || pathErr.Op == "create") {
		code = exitCreate
	}
	if errors.Is(err, syscall.ENOMEM) {
		code = exitMemory
	}
	return &refusal{code: code, err: fmt.Errorf("write message: %w", err)}
}
