package durable

import (
	"fmt"
	"sync"
	"time"
)

// maxParallel is how many files of a group are synced at the same time where
// each is synced by itself: the journal merges them.
const maxParallel = 16

// Group makes what its members wrote durable together.
type Group struct {
	syncAll func() error // syncfs
	trusted bool         // whether syncAll may stand for the syncs of a group

	mu       sync.Mutex
	busy     bool   // a leader is syncing
	forming  *batch // who waits for the next sync
	riding   *batch // who is content with any later sync
	failures uint64
	lastErr  error
	pace     pace
}

// Ticket says since when a member has been writing.
type Ticket struct{ failures uint64 }

// batch is what one sync serves.
type batch struct {
	what    []Syncer
	members int
	all     bool          // a member wants the whole file system synced
	joined  []*batch      // riders that wait for the same sync
	riders  []func()      // told when b was synced
	timer   *time.Timer   // of riders: when they go alone
	lead    chan struct{} // one token: whoever takes it runs the sync
	done    chan struct{}
	// Set before done is closed:
	err      error
	failures uint64 // failed syncs before this one began
}

func newBatch() *batch {
	return &batch{lead: make(chan struct{}, 1), done: make(chan struct{})}
}

// NewGroup returns a group whose members are synced by syncAll, which makes
// everything written before it durable, or, if that is not to be trusted with
// their mail, one by one.
func NewGroup(syncAll func() error, trusted bool) *Group {
	return &Group{syncAll: syncAll, trusted: trusted}
}

// Begin must be called before the first change that Wait shall make durable.
func (g *Group) Begin() Ticket {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Ticket{g.failures}
}

// Wait returns nil when all changes that the caller finished before the call
// are durable. what names the files and directories changed. After an error
// the caller must undo the changes: they may or may not be on disk.
func (g *Group) Wait(t Ticket, what ...Syncer) error {
	g.mu.Lock()
	b := g.join(what)
	g.mu.Unlock()
	g.await(b)
	return g.verdict(t, b)
}

// All makes everything durable that anybody wrote on the file system before
// the call, as far as its syncfs can tell.
func (g *Group) All(t Ticket) error {
	g.mu.Lock()
	b := g.join(nil)
	b.all = true
	g.mu.Unlock()
	g.await(b)
	return g.verdict(t, b)
}

// join adds a member to the next sync; the caller holds mu.
func (g *Group) join(what []Syncer) *batch {
	if g.forming == nil {
		g.forming = newBatch()
	}
	b := g.forming
	b.members++
	b.what = append(b.what, what...)
	if !g.busy {
		g.busy = true
		b.lead <- struct{}{}
	}
	return b
}

// await returns when b was synced, by this goroutine or another.
func (g *Group) await(b *batch) {
	select {
	case <-b.done:
	case <-b.lead:
		g.run(b)
	}
}

// Ride is Wait for those who are in no hurry: they are served by the next sync
// of the whole file system, or, if none comes within the delay of the first
// of them, by one of their own. done is called with the result, from another
// goroutine; it must not wait.
func (g *Group) Ride(t Ticket, delay time.Duration, done func(error), what ...Syncer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.riding
	if b == nil {
		b = newBatch()
		g.riding = b
		b.timer = time.AfterFunc(delay, func() { g.carry(b) })
	}
	b.members++
	b.what = append(b.what, what...)
	b.riders = append(b.riders, func() { done(g.verdict(t, b)) })
}

// carry makes the next sync serve the riders of b, unless one already does.
func (g *Group) carry(b *batch) {
	g.mu.Lock()
	if g.riding != b {
		g.mu.Unlock()
		return
	}
	g.riding = nil
	carrier := g.join(b.what)
	carrier.members += b.members - 1
	carrier.joined = append(carrier.joined, b)
	g.mu.Unlock()
	g.await(carrier)
}

func (g *Group) verdict(t Ticket, b *batch) error {
	if b.err != nil {
		return b.err
	}
	if t.failures != b.failures {
		// The failed sync may have lost pages of ours and reported them already.
		g.mu.Lock()
		defer g.mu.Unlock()
		return fmt.Errorf("an earlier sync failed after the writing began: %w", g.lastErr)
	}
	return nil
}

// run syncs for b and passes the lead to the next group.
func (g *Group) run(b *batch) {
	g.mu.Lock()
	g.forming = nil
	b.failures = g.failures
	all := g.trusted && b.members > 1 && g.pace.worthwhile(time.Now())
	if (all || b.all) && g.trusted && g.riding != nil {
		g.riding.timer.Stop()
		b.joined = append(b.joined, g.riding)
		g.riding = nil
	}
	g.mu.Unlock()

	begun := time.Now()
	var err error
	if all || b.all {
		err = g.syncAll()
	}
	if !all && err == nil {
		err = syncEach(b.what)
	}
	took := time.Since(begun)

	g.mu.Lock()
	if err != nil {
		g.failures++
		g.lastErr = err
	} else {
		g.pace.took(all, b.members, took, time.Now())
	}
	if g.forming != nil {
		g.forming.lead <- struct{}{}
	} else {
		g.busy = false
	}
	g.mu.Unlock()
	b.finish(err, b.failures)
}

func (b *batch) finish(err error, failures uint64) {
	b.err, b.failures = err, failures
	for _, j := range b.joined {
		j.finish(err, failures)
	}
	close(b.done)
	for _, tell := range b.riders {
		tell()
	}
}

// syncEach syncs everything once, in order for a lone member (the data first,
// then the directory), side by side for a group.
func syncEach(what []Syncer) error {
	distinct := make([]Syncer, 0, len(what))
	seen := make(map[Syncer]bool, len(what))
	for _, s := range what {
		if !seen[s] {
			seen[s] = true
			distinct = append(distinct, s)
		}
	}
	if len(distinct) <= 3 {
		for _, s := range distinct {
			if err := s.Sync(); err != nil {
				return err
			}
		}
		return nil
	}
	return syncParallel(distinct)
}

func syncParallel(what []Syncer) error {
	var wg sync.WaitGroup
	errs := make([]error, min(len(what), maxParallel))
	for i := range errs {
		wg.Go(func() {
			for j := i; j < len(what); j += len(errs) {
				if err := what[j].Sync(); err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
