package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errBroken = errors.New("EIO")

// probe is a file or a file system whose sync waits until it is let go.
type probe struct {
	began   chan struct{}
	release chan error
	syncs   atomic.Int32
}

func newProbe() *probe {
	return &probe{began: make(chan struct{}, 100), release: make(chan error, 100)}
}

func (p *probe) Sync() error {
	p.syncs.Add(1)
	p.began <- struct{}{}
	return <-p.release
}

// instant is a file whose sync takes no time.
type instant struct{ syncs atomic.Int32 }

func (p *instant) Sync() error { p.syncs.Add(1); return nil }

// place is a tree of directories that notes what is done with them, and where
// those in broken cannot be synced or, if their error says so, opened.
type place struct {
	Tree   // no other operation
	broken map[string]error

	mu  sync.Mutex
	did []string
}

var errNoDirectory = errors.New("ENOENT")

func (p *place) note(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.did = append(p.did, what)
}

func (p *place) times(what string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.did {
		if d == what {
			n++
		}
	}
	return n
}

func (p *place) at(name string) Directory { return Directory{p, name} }

func (p *place) Dir(name string) (Dir, error) {
	p.note("open " + name)
	if err := p.broken[name]; errors.Is(err, errNoDirectory) {
		return nil, err
	}
	return &placeDir{place: p, name: name}, nil
}

type placeDir struct {
	Dir   // no other operation
	place *place
	name  string
}

func (d *placeDir) Sync() error {
	d.place.note("sync " + d.name)
	return d.place.broken[d.name]
}

func (d *placeDir) Close() error {
	d.place.note("close " + d.name)
	return d.place.broken["close "+d.name]
}

// noted is a file of a place.
type noted struct {
	place *place
	name  string
}

func (f noted) Sync() error {
	f.place.note("sync " + f.name)
	return f.place.broken[f.name]
}

// noSyncAll is for groups where nobody asks for All.
func noSyncAll() error { return errors.New("syncfs though nobody asked for it") }

// Contents are durable before names, and a directory is opened for each sync:
// a descriptor whose sync failed is never used again.
func TestFilesComeBeforeDirectories(t *testing.T) {
	t.Parallel()
	g := NewGroup(noSyncAll)
	p := &place{}
	for range 2 {
		if err := g.Wait(g.Begin(), []Syncer{noted{p, "file"}}, p.at("new")); err != nil {
			t.Fatal(err)
		}
	}
	once := []string{"sync file", "open new", "sync new", "close new"}
	if want := slices.Concat(once, once); !slices.Equal(p.did, want) {
		t.Errorf("did %q, want %q", p.did, want)
	}
}

// While one sync runs, the next group forms. Each of its files and each
// distinct directory is synced once, all files before any directory; nobody is
// served by a sync that began before he was ready.
func TestGroupSharesItsSyncs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(noSyncAll)
		first := newProbe()
		results := make(chan error, 100)
		go func() { results <- g.Wait(g.Begin(), []Syncer{first}) }()
		<-first.began
		p, other := &place{}, &place{}
		const members = 30 // more than sync side by side
		for i := range members {
			g.Join(g.Begin(), func(err error) { results <- err }, []Syncer{noted{p, fmt.Sprint(i)}},
				p.at("new"), other.at("new"), p.at("bucket "+fmt.Sprint(i%3)))
		}
		synctest.Wait()
		if len(results) != 0 || len(p.did) != 0 {
			t.Fatal("somebody was told, or synced, before his sync began")
		}
		first.release <- nil
		for range members + 1 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		for i := range members {
			if n := p.times("sync " + fmt.Sprint(i)); n != 1 {
				t.Errorf("file %d was synced %d times", i, n)
			}
		}
		for _, dir := range []string{"new", "bucket 0", "bucket 1", "bucket 2"} {
			if p.times("open "+dir) != 1 || p.times("sync "+dir) != 1 || p.times("close "+dir) != 1 {
				t.Errorf("%s is not synced once: %q", dir, p.did)
			}
		}
		if !slices.Equal(other.did, []string{"open new", "sync new", "close new"}) {
			t.Errorf("the directory of the same name in another tree: %q", other.did)
		}
		if slices.Index(p.did, "open new") < members {
			t.Errorf("a directory before a file: %q", p.did)
		}
	})
}

// All waits for the whole file system, and for who joins the same sync.
func TestAllSyncsEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all, first := newProbe(), newProbe()
		g := NewGroup(all.Sync)
		results := make(chan error, 10)
		go func() { results <- g.Wait(g.Begin(), []Syncer{first}) }()
		<-first.began
		p := &place{}
		go func() { results <- g.All(g.Begin()) }()
		go func() { results <- g.Wait(g.Begin(), []Syncer{noted{p, "file"}}, p.at("new")) }()
		synctest.Wait()
		first.release <- nil
		<-results
		<-all.began
		synctest.Wait()
		if len(results) != 0 {
			t.Error("told before the syncfs ended")
		}
		all.release <- nil
		if err := errors.Join(<-results, <-results); err != nil {
			t.Error(err)
		}
		if all.syncs.Load() != 1 || p.times("sync file") != 1 || p.times("sync new") != 1 {
			t.Errorf("%d syncfs, %q", all.syncs.Load(), p.did)
		}
		all.release <- errBroken
		if err := g.All(g.Begin()); !errors.Is(err, errBroken) {
			t.Errorf("a failed syncfs: %v", err)
		}
	})
}

// Bulk is one sync of everything, and then of the file that was written last; if
// either fails it is final for who had begun to write.
func TestBulkSyncsEverythingAndTheLastFile(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		all, last error
	}{{"all well", nil, nil}, {"everything", errBroken, nil}, {"the last file", nil, errBroken}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := &place{broken: map[string]error{"last": tc.last}}
			g := NewGroup(func() error { p.note("everything"); return tc.all })
			if !g.Whole() {
				t.Error("it cannot be used")
			}
			early := g.Begin()
			err := g.Bulk(g.Begin(), noted{p, "last"})
			if want := tc.all != nil || tc.last != nil; (err != nil) != want {
				t.Errorf("error %v", err)
			}
			want := []string{"everything", "sync last"}
			if tc.all != nil {
				want = want[:1]
			}
			if !slices.Equal(p.did, want) {
				t.Errorf("did %q, want %q", p.did, want)
			}
			if later := g.Wait(early, []Syncer{&instant{}}); (later != nil) != (err != nil) {
				t.Errorf("who had begun before, with another sync: %v", later)
			}
		})
	}
	if g := FileGroup(); g.Whole() {
		t.Error("a group of files anywhere would sync a file system")
	}
}

// Whatever sync fails, it fails for its whole batch and for all who had begun
// to write; who begins later is served again (R5).
func TestFailedSyncIsFinal(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		broken map[string]error
	}{
		{"a file", map[string]error{"1": errBroken}},
		{"a directory", map[string]error{"new": errBroken}},
		{"a directory that cannot be opened", map[string]error{"new": errNoDirectory}},
		{"a directory that cannot be closed", map[string]error{"close new": errBroken}},
		{"the last of many files", map[string]error{"29": errBroken}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { failedSyncIsFinal(t, &place{broken: tc.broken}) })
		})
	}
}

func failedSyncIsFinal(t *testing.T, p *place) {
	g := NewGroup(noSyncAll)
	first, next := newProbe(), newProbe()
	early := g.Begin()
	ended := make(chan error, 1)
	go func() { ended <- g.Wait(g.Begin(), []Syncer{first}) }()
	<-first.began
	const members = 30
	results := make(chan error, members+1)
	tell := func(err error) { results <- err }
	for i := range members {
		g.Join(g.Begin(), tell, []Syncer{noted{p, fmt.Sprint(i)}}, p.at("good"), p.at("new"))
	}
	g.Ride(g.Begin(), time.Hour, tell, p.at("good"))
	late := g.Begin()
	first.release <- nil
	if err := <-ended; err != nil {
		t.Errorf("who was served before: %v", err)
	}
	for range members + 1 {
		if err := <-results; err == nil {
			t.Error("a failed sync was no error for one of its batch")
		}
	}
	for i, ticket := range []Ticket{early, late} {
		next.release <- nil
		if err := g.Wait(ticket, []Syncer{next}); err == nil {
			t.Errorf("%d: who wrote while the sync failed was told that all is well", i)
		}
	}
	if err := g.Wait(g.Begin(), []Syncer{&instant{}}); err != nil {
		t.Errorf("who began after it: %v", err)
	}
	if open, closed := p.times("open good"), p.times("close good"); open != closed {
		t.Errorf("%d directories opened and %d closed", open, closed)
	}
}

// The ticket decides, not the batch: who began before a failure and joins one
// batch with those who began after it fails alone.
func TestFailureReachesOnlyThoseWhoHadBegun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(noSyncAll)
		early := g.Begin()
		failing, first := newProbe(), newProbe()
		failing.release <- errBroken
		if err := g.Wait(g.Begin(), []Syncer{failing}); !errors.Is(err, errBroken) {
			t.Fatalf("a failed sync: %v", err)
		}
		go g.Wait(g.Begin(), []Syncer{first})
		<-first.began
		before, after := make(chan error, 1), make(chan error, 1)
		g.Join(early, func(err error) { before <- err }, []Syncer{&instant{}})
		g.Join(g.Begin(), func(err error) { after <- err }, []Syncer{&instant{}})
		first.release <- nil
		if err := <-before; !errors.Is(err, errBroken) {
			t.Errorf("began before: %v", err)
		}
		if err := <-after; err != nil {
			t.Errorf("began after: %v", err)
		}
	})
}

func TestRidersGoAlongOrAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(noSyncAll)
		told := make(chan error, 10)
		tell := func(err error) { told <- err }

		// Alone: after the delay of the first, both with one sync.
		begun := time.Now()
		p := &place{broken: map[string]error{"bad": errBroken}}
		g.Ride(g.Begin(), time.Second, tell, p.at("new"))
		time.Sleep(500 * time.Millisecond)
		g.Ride(g.Begin(), time.Second, tell, p.at("new"), p.at("other"))
		if err := errors.Join(<-told, <-told); err != nil {
			t.Error(err)
		}
		if waited := time.Since(begun); waited != time.Second {
			t.Errorf("synced after %v", waited)
		}
		if p.times("sync new") != 1 || p.times("sync other") != 1 {
			t.Errorf("did %q", p.did)
		}

		// Along: with the next sync that somebody waits for, not with one that
		// has begun.
		first := newProbe()
		go g.Wait(g.Begin(), []Syncer{first})
		<-first.began
		g.Ride(g.Begin(), time.Hour, tell, p.at("new"))
		first.release <- nil
		synctest.Wait()
		if len(told) != 0 {
			t.Error("a rider was served by a sync that had begun before, or by one of his own")
		}
		if err := g.Wait(g.Begin(), []Syncer{&instant{}}); err != nil {
			t.Error(err)
		}
		if err := <-told; err != nil {
			t.Error(err)
		}
		if p.times("sync new") != 2 {
			t.Errorf("did %q", p.did)
		}

		// Once served, no sync of his own follows.
		time.Sleep(2 * time.Hour)
		if len(told) != 0 || p.times("sync new") != 2 {
			t.Errorf("afterwards: did %q", p.did)
		}

		// The failure of a rider's directory is a failure of the batch.
		g.Ride(g.Begin(), time.Hour, tell, p.at("bad"))
		if err := g.Wait(g.Begin(), []Syncer{&instant{}}); !errors.Is(err, errBroken) {
			t.Errorf("who took a failing rider along: %v", err)
		}
		if err := <-told; !errors.Is(err, errBroken) {
			t.Errorf("rider of a failed sync: %v", err)
		}
	})
}

// A rider whose delay ends while a sync runs goes with the next one.
func TestRiderWaitsForARunningSync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(noSyncAll)
		p := &place{}
		first := newProbe()
		go g.Wait(g.Begin(), []Syncer{first})
		<-first.began
		told := make(chan error, 1)
		g.Ride(g.Begin(), time.Second, func(err error) { told <- err }, p.at("new"))
		time.Sleep(time.Minute)
		if len(told) != 0 || len(p.did) != 0 {
			t.Error("served while another sync ran")
		}
		first.release <- nil
		synctest.Wait()
		if len(told) != 1 || p.times("sync new") != 1 {
			t.Errorf("not served after it: %q", p.did)
		}
		// The delay of the next begins anew.
		begun := time.Now()
		<-told
		g.Ride(g.Begin(), time.Second, func(err error) { told <- err }, p.at("new"))
		if <-told; time.Since(begun) != time.Second {
			t.Errorf("the next rider waited %v", time.Since(begun))
		}
	})
}

// The delay of a rider is his own, whatever became of those before him.
func TestDelayBeginsAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(noSyncAll)
		p := &place{}
		told := make(chan error, 2)
		tell := func(err error) { told <- err }
		for range 2 {
			g.Ride(g.Begin(), time.Hour, tell, p.at("new"))
			time.Sleep(time.Minute)
		}
		if err := g.Wait(g.Begin(), nil); err != nil {
			t.Error(err)
		}
		<-told
		<-told
		time.Sleep(30 * time.Minute)
		begun := time.Now()
		g.Ride(g.Begin(), time.Hour, tell, p.at("new"))
		if <-told; time.Since(begun) != time.Hour {
			t.Errorf("served after %v", time.Since(begun))
		}

		// A delay that ends when nobody rides is none of those who come later.
		g.carry()
		synctest.Wait()
		first := newProbe()
		go g.Wait(g.Begin(), []Syncer{first})
		<-first.began
		g.Ride(g.Begin(), time.Hour, tell, p.at("new"))
		first.release <- nil
		synctest.Wait()
		if len(told) != 0 {
			t.Error("served before his delay was over")
		}
		<-told
	})
}

// Who watches is told of each round: for how many, what, and how long.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(noSyncAll)
		var rounds []Round
		g.Watch = func(r Round) { rounds = append(rounds, r) }
		first := newProbe()
		results := make(chan error, 3)
		tell := func(err error) { results <- err }
		g.Join(g.Begin(), tell, []Syncer{first})
		<-first.began
		p := &place{broken: map[string]error{"bad": errBroken}}
		g.Join(g.Begin(), tell, []Syncer{&instant{}, &instant{}}, p.at("new"))
		g.Join(g.Begin(), tell, nil, p.at("new"), p.at("bad"))
		time.Sleep(time.Minute)
		first.release <- nil
		if err := <-results; err != nil {
			t.Errorf("the first: %v", err)
		}
		for range 2 {
			if err := <-results; !errors.Is(err, errBroken) {
				t.Errorf("the others: %v", err)
			}
		}
		if want := []Round{{1, 1, 0, time.Minute}, {2, 2, 2, 0}}; !slices.Equal(rounds, want) {
			t.Errorf("rounds %v, want %v", rounds, want)
		}
	})
}

// A directory that is synced alone is closed, whatever became of it.
func TestDirectorySync(t *testing.T) {
	t.Parallel()
	p := &place{broken: map[string]error{"bad": errBroken, "none": errNoDirectory, "close open": errBroken}}
	for name, want := range map[string]error{"good": nil, "bad": errBroken, "none": errNoDirectory, "open": errBroken} {
		if err := p.at(name).Sync(); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
		opened := want != errNoDirectory
		if p.times("close "+name) == 1 != opened || p.times("sync "+name) == 1 != opened {
			t.Errorf("%s: did %q", name, p.did)
		}
	}
}

func TestAllTakesRidersAlong(t *testing.T) {
	t.Parallel()
	all := &instant{}
	g := NewGroup(all.Sync)
	p := &place{}
	told := make(chan error, 1)
	g.Ride(g.Begin(), time.Hour, func(err error) { told <- err }, p.at("new"))
	if err := g.All(g.Begin()); err != nil {
		t.Fatal(err)
	}
	if err := <-told; err != nil || all.syncs.Load() != 1 {
		t.Errorf("%v after %d syncs", err, all.syncs.Load())
	}
}

// Nothing to sync is nothing that can fail.
func TestNothingToSync(t *testing.T) {
	t.Parallel()
	for name, g := range realGroups(t, t.TempDir()) {
		if err := g.Wait(g.Begin(), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// realGroups are groups on the file system of dir, with the kernel's queue
// where it has one, and without.
func realGroups(t testing.TB, dir string) map[string]*Group {
	t.Helper()
	g, err := OpenGroup(dir)
	if err != nil {
		t.Fatal(err)
	}
	without, err := OpenGroup(dir)
	if err != nil {
		t.Fatal(err)
	}
	without.queue = nil
	return map[string]*Group{"as opened": g, "for files": FileGroup(), "without a queue": without}
}

// Many concurrent writers on the real file system: fewer syncs of the directory
// than messages, and all messages.
func TestConcurrentWritersShare(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, g := range realGroups(t, root) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(root, name)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			tree, err := OpenTree(dir)
			if err != nil {
				t.Fatal(err)
			}
			counting := &countingTree{Tree: tree}
			const writers, each = 16, 10
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for i := range each {
						if err := put(g, counting, fmt.Sprintf("%d-%d", w, i)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if n := counting.dirs.Load(); n >= writers*each {
				t.Errorf("%d syncs of the directory for %d messages", n, writers*each)
			}
			names, err := filepath.Glob(dir + "/new-*")
			if err != nil || len(names) != writers*each {
				t.Errorf("%d files, %v", len(names), err)
			}
		})
	}
}

// countingTree counts the directories that were opened.
type countingTree struct {
	Tree
	dirs atomic.Int32
}

func (c *countingTree) Dir(name string) (Dir, error) { c.dirs.Add(1); return c.Tree.Dir(name) }

func put(g *Group, tree Tree, name string) error {
	ticket := g.Begin()
	f, err := tree.Create("tmp-"+name, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(make([]byte, 2000)); err != nil {
		return err
	}
	if err := tree.Rename("tmp-"+name, "new-"+name); err != nil {
		return err
	}
	if err := g.Wait(ticket, []Syncer{f}, Directory{tree, "."}); err != nil {
		return err
	}
	return f.Close()
}

func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 8, 32} {
		dir, err := os.MkdirTemp(".", "bench")
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { os.RemoveAll(dir) })
		groups := realGroups(b, dir)
		for _, name := range []string{"as opened", "without a queue"} {
			b.Run(fmt.Sprintf("writers=%d/%s", writers, name), func(b *testing.B) {
				tree, err := OpenTree(dir)
				if err != nil {
					b.Fatal(err)
				}
				counting := &countingTree{Tree: tree}
				var next atomic.Int64
				var wg sync.WaitGroup
				b.ResetTimer()
				for range writers {
					wg.Go(func() {
						for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
							if err := put(groups[name], counting, fmt.Sprint(time.Now().UnixNano(), i)); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(counting.dirs.Load())/float64(b.N), "dirs/op")
			})
		}
	}
}
