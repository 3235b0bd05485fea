package durable

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Group makes what its members wrote durable together.
type Group struct {
	syncAll func() error // syncfs
	queue   *syncQueue   // nil: files are synced by goroutines
	// Watch, if set before the first member comes, is told of each round.
	Watch func(Round)

	mu       sync.Mutex
	busy     bool      // a goroutine is syncing
	forming  batch     // who waits for the next sync
	riding   []*member // who is content with any later sync
	alone    *time.Timer
	waited   bool // the riders have waited long enough
	failures uint64
	lastErr  error
}

// Round is what one round of syncs was for.
type Round struct {
	Members, Files, Directories int
	Took                        time.Duration
}

// Ticket says since when a member has been writing.
type Ticket struct{ failures uint64 }

// Directory is a directory that is opened when it is synced: a descriptor
// whose sync failed once is never used again. Equal ones are synced once.
type Directory struct {
	Tree Tree
	Name string
}

// Sync syncs d alone. Whoever joins a Group names d there instead.
func (d Directory) Sync() error {
	dir, err := d.Tree.Dir(d.Name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// member is somebody who waits for a sync.
type member struct {
	ticket Ticket
	files  []Syncer
	dirs   []Directory
	done   func(error)
}

// batch is what one sync serves.
type batch struct {
	members []*member
	all     bool // one of them wants the whole file system synced
	// What they wrote; each directory once.
	files []Syncer
	dirs  []Directory
}

// NewGroup returns a group whose members are synced file by file. syncAll makes
// durable everything that was written before it.
func NewGroup(syncAll func() error) *Group { return &Group{syncAll: syncAll} }

// Begin must be called before the first change that Wait shall make durable.
func (g *Group) Begin() Ticket {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Ticket{g.failures}
}

// Wait returns nil when all changes that the caller finished before the call
// are durable: the files, and after them the names in the directories. After
// an error the caller must undo the changes: they may or may not be on disk.
func (g *Group) Wait(t Ticket, files []Syncer, dirs ...Directory) error {
	result := make(chan error, 1)
	g.Join(t, func(err error) { result <- err }, files, dirs...)
	return <-result
}

// Join is Wait for those who have something else to do: done is called with
// the result, from another goroutine; it must not wait.
func (g *Group) Join(t Ticket, done func(error), files []Syncer, dirs ...Directory) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.join(&member{t, files, dirs, done})
}

// All makes everything durable that anybody wrote on the file system before
// the call, as far as its syncfs can tell.
func (g *Group) All(t Ticket) error {
	result := make(chan error, 1)
	g.mu.Lock()
	g.forming.all = true
	g.join(&member{ticket: t, done: func(err error) { result <- err }})
	g.mu.Unlock()
	return <-result
}

// Ride is Join for those who are in no hurry: they are served by the next sync
// or, if none comes within the delay of the first of them, by one of their own.
func (g *Group) Ride(t Ticket, delay time.Duration, done func(error), dirs ...Directory) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.riding = append(g.riding, &member{t, nil, dirs, done})
	if len(g.riding) == 1 {
		g.alone = time.AfterFunc(delay, g.carry)
	}
}

// carry makes a sync for riders whom none has served.
func (g *Group) carry() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.riding) > 0 {
		g.waited = true
		g.start()
	}
}

// join adds a member to the next sync; the caller holds mu.
func (g *Group) join(m *member) {
	g.forming.members = append(g.forming.members, m)
	g.start()
}

// start sees to it that somebody syncs; the caller holds mu.
func (g *Group) start() {
	if !g.busy {
		g.busy = true
		go g.lead()
	}
}

// lead syncs batch after batch until nobody waits.
func (g *Group) lead() {
	for {
		// Whoever was told by the last sync goes on first, and whoever can join
		// this very moment does; nobody is waited for.
		runtime.Gosched()
		b, failures, ok := g.take()
		if !ok {
			return
		}
		err := g.watched(b)
		if err != nil {
			g.mu.Lock()
			g.failures++
			g.lastErr = err
			g.mu.Unlock()
		}
		for _, m := range b.members {
			m.done(g.verdict(m.ticket, failures, err))
		}
	}
}

// take returns who waits, and how many syncs failed before; false is the end.
func (g *Group) take() (b batch, failures uint64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b = g.forming
	g.forming = batch{}
	if len(g.riding) > 0 && (len(b.members) > 0 || g.waited) {
		g.alone.Stop()
		b.members = append(b.members, g.riding...)
		g.riding, g.waited = nil, false
	}
	g.busy = len(b.members) > 0
	return b, g.failures, g.busy
}

// collect finds out what a batch has to sync.
func (b *batch) collect() {
	seen := make(map[Directory]bool)
	for _, m := range b.members {
		b.files = append(b.files, m.files...)
		for _, d := range m.dirs {
			if !seen[d] {
				seen[d] = true
				b.dirs = append(b.dirs, d)
			}
		}
	}
}

// verdict is the result of a sync for a member. One that had begun to write
// when an earlier sync failed may have lost pages, and the kernel has reported
// them already.
func (g *Group) verdict(t Ticket, failures uint64, err error) error {
	if err != nil || t.failures == failures {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return fmt.Errorf("an earlier sync failed after the writing began: %w", g.lastErr)
}

// watched is sync with who watches.
func (g *Group) watched(b batch) error {
	b.collect()
	if g.Watch == nil {
		return g.sync(b)
	}
	begun := time.Now()
	err := g.sync(b)
	g.Watch(Round{len(b.members), len(b.files), len(b.dirs), time.Since(begun)})
	return err
}

// sync makes a batch durable: contents first, then names, since a file's sync
// takes the names that were made before it along where there is a journal, and
// the directory then has nothing left to write.
func (g *Group) sync(b batch) error {
	if b.all {
		if err := g.syncAll(); err != nil {
			return err
		}
	}
	if err := g.each(b.files); err != nil {
		return err
	}
	return g.syncDirectories(b.dirs)
}

func (g *Group) syncDirectories(dirs []Directory) error {
	open := make([]Syncer, 0, len(dirs))
	var err error
	for _, d := range dirs {
		var dir Dir
		if dir, err = d.Tree.Dir(d.Name); err != nil {
			break
		}
		open = append(open, dir)
	}
	if err == nil {
		err = g.each(open)
	}
	for _, d := range open {
		if closeErr := d.(Dir).Close(); err == nil {
			err = closeErr
		}
	}
	return err
}

// each syncs all at the same time: the journal merges them.
func (g *Group) each(what []Syncer) error {
	switch {
	case len(what) == 0:
		return nil
	case g.queue != nil:
		return g.queue.sync(what)
	case len(what) == 1:
		return what[0].Sync()
	}
	return syncParallel(what)
}

// maxParallel is how many goroutines sync files where the kernel has no queue
// for that.
const maxParallel = 16

func syncParallel(what []Syncer) error {
	var wg sync.WaitGroup
	errs := make([]error, min(len(what), maxParallel))
	for i := range errs {
		wg.Go(func() {
			for j := i; j < len(what) && errs[i] == nil; j += len(errs) {
				errs[i] = what[j].Sync()
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
