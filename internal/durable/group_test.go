package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

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

func TestLoneWriterSyncsItsOwn(t *testing.T) {
	t.Parallel()
	all := newProbe()
	g := NewGroup(all.Sync, true)
	file, dir := &instant{}, &instant{}
	for range 3 {
		if err := g.Wait(g.Begin(), file, dir); err != nil {
			t.Fatal(err)
		}
	}
	if all.syncs.Load() != 0 || file.syncs.Load() != 3 || dir.syncs.Load() != 3 {
		t.Errorf("%d syncfs, %d and %d fsyncs", all.syncs.Load(), file.syncs.Load(), dir.syncs.Load())
	}
}

// While one sync runs, the next group forms, and one sync serves it; nobody
// is served by a sync that began before he was ready.
func TestGroupSharesOneSync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all, first := newProbe(), newProbe()
		g := NewGroup(all.Sync, true)
		results := make(chan error, 100)
		go func() { results <- g.Wait(g.Begin(), first) }()
		<-first.began
		for range 10 {
			go func() { results <- g.Wait(g.Begin(), &instant{}) }()
		}
		synctest.Wait()
		if len(results) != 0 {
			t.Fatal("somebody was told before his sync began")
		}
		first.release <- nil
		<-all.began
		synctest.Wait()
		if len(results) != 1 {
			t.Fatalf("%d were told after the first sync", len(results))
		}
		all.release <- nil
		for range 11 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if n := all.syncs.Load(); n != 1 {
			t.Errorf("%d syncs for one group", n)
		}
	})
}

func TestUntrustedFileSystemSyncsEach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all, first := newProbe(), newProbe()
		g := NewGroup(all.Sync, false)
		go g.Wait(g.Begin(), first)
		<-first.began
		shared := &instant{}
		files := make([]*instant, 20)
		var wg sync.WaitGroup
		for i := range files {
			files[i] = &instant{}
			wg.Go(func() {
				if err := g.Wait(g.Begin(), files[i], shared); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		first.release <- nil
		wg.Wait()
		for i, f := range files {
			if f.syncs.Load() != 1 {
				t.Errorf("file %d synced %d times", i, f.syncs.Load())
			}
		}
		if all.syncs.Load() != 0 || shared.syncs.Load() != 1 {
			t.Errorf("%d syncfs, the shared directory synced %d times", all.syncs.Load(), shared.syncs.Load())
		}
	})
}

// A failed sync is final for its group and for all who had begun to write;
// who begins later is served again (R5).
func TestFailedSyncIsFinal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("EIO")
		all, first := newProbe(), newProbe()
		g := NewGroup(all.Sync, true)
		began := g.Begin()
		results := make(chan error, 100)
		go func() { results <- g.Wait(g.Begin(), first) }()
		<-first.began
		for range 3 {
			go func() { results <- g.Wait(g.Begin(), &instant{}) }()
		}
		synctest.Wait()
		first.release <- nil
		<-all.began
		next := newProbe() // waits for the next sync, began before the failure
		go func() { results <- g.Wait(began, next) }()
		synctest.Wait()
		all.release <- broken
		next.release <- nil
		failed := 0
		for range 5 {
			if err := <-results; errors.Is(err, broken) {
				failed++
			} else if err != nil {
				t.Error(err)
			}
		}
		if failed != 4 {
			t.Errorf("%d of 4 were told of the failure", failed)
		}
		if err := g.Wait(g.Begin(), &instant{}); err != nil {
			t.Errorf("who began after it: %v", err)
		}
	})
}

func TestLoneFailureIsFinal(t *testing.T) {
	t.Parallel()
	g := NewGroup(nil, false)
	early := g.Begin()
	file := newProbe()
	file.release <- errors.New("EIO")
	if err := g.Wait(g.Begin(), file, &instant{}); err == nil {
		t.Error("a failed sync was no error")
	}
	if err := g.Wait(early, &instant{}); err == nil {
		t.Error("who wrote while the sync failed was told that all is well")
	}
}

func TestRidersGoAlongOrAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all, first := newProbe(), newProbe()
		g := NewGroup(all.Sync, true)
		told := make(chan error, 10)
		tell := func(err error) { told <- err }

		// Alone: after the delay of the first, both with one sync.
		begun := time.Now()
		dir, other := &instant{}, &instant{}
		g.Ride(g.Begin(), time.Second, tell, dir)
		time.Sleep(500 * time.Millisecond)
		g.Ride(g.Begin(), time.Second, tell, other)
		<-all.began
		if waited := time.Since(begun); waited != time.Second {
			t.Errorf("synced after %v", waited)
		}
		all.release <- nil
		if err := errors.Join(<-told, <-told); err != nil {
			t.Error(err)
		}

		// Along: with the next group, not with a lone writer's sync.
		g.Ride(g.Begin(), time.Hour, tell, dir)
		go g.Wait(g.Begin(), first)
		<-first.began
		for range 2 {
			go g.Wait(g.Begin(), &instant{})
		}
		synctest.Wait()
		first.release <- nil
		<-all.began
		synctest.Wait()
		if len(told) != 0 {
			t.Error("told too early")
		}
		all.release <- errors.New("EIO")
		if err := <-told; err == nil {
			t.Error("rider of a failed sync was told that all is well")
		}
	})
}

func TestAllTakesRidersAlong(t *testing.T) {
	t.Parallel()
	all := &instant{}
	g := NewGroup(all.Sync, true)
	told := make(chan error, 1)
	g.Ride(g.Begin(), time.Hour, func(err error) { told <- err }, &instant{})
	if err := g.All(g.Begin()); err != nil {
		t.Fatal(err)
	}
	if err := <-told; err != nil || all.syncs.Load() != 1 {
		t.Errorf("%v after %d syncs", err, all.syncs.Load())
	}
}

func TestPace(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	var p pace
	p.took(false, 1, time.Millisecond, now)
	p.took(true, 8, tolerated, now)
	if !p.worthwhile(now) {
		t.Error("a short syncfs was judged")
	}
	p.took(true, 8, slowFactor*8*time.Millisecond, now)
	if !p.worthwhile(now) {
		t.Error("a syncfs as fast as the single syncs was judged")
	}
	p.took(true, 8, time.Second, now)
	if p.worthwhile(now) || !p.worthwhile(now.Add(shortAvoid)) {
		t.Error("a slow syncfs is not avoided for the short time")
	}
	p.took(true, 8, time.Second, now)
	if p.worthwhile(now.Add(shortAvoid)) || !p.worthwhile(now.Add(2*shortAvoid)) {
		t.Error("the second time is not longer")
	}
	for range 20 {
		p.took(true, 8, time.Second, now)
	}
	if !p.worthwhile(now.Add(longAvoid)) {
		t.Error("avoided for more than the long time")
	}
}

// Many concurrent writers on the real file system: fewer syncs than messages.
func TestConcurrentWritersShare(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree, err := OpenTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	real, err := OpenGroup(dir)
	if err != nil {
		t.Fatal(err)
	}
	var syncs atomic.Int32
	g := NewGroup(func() error { syncs.Add(1); return real.syncAll() }, true)
	const writers, each = 16, 10
	var singles atomic.Int32
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := put(g, tree, fmt.Sprintf("%d-%d", w, i), &singles); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := syncs.Load() + singles.Load(); n >= writers*each {
		t.Errorf("%d syncs for %d messages", n, writers*each)
	}
	names, err := filepath.Glob(dir + "/new-*")
	if err != nil || len(names) != writers*each {
		t.Errorf("%d files, %v", len(names), err)
	}
}

type counted struct {
	Syncer
	n *atomic.Int32
}

func (c counted) Sync() error { c.n.Add(1); return c.Syncer.Sync() }

func put(g *Group, tree Tree, name string, singles *atomic.Int32) error {
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
	dir, err := tree.Dir(".")
	if err != nil {
		return err
	}
	if err := g.Wait(ticket, counted{f, singles}, dir); err != nil {
		return err
	}
	return errors.Join(f.Close(), dir.Close())
}

func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			dir, err := os.MkdirTemp(".", "bench")
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { os.RemoveAll(dir) })
			tree, err := OpenTree(dir)
			if err != nil {
				b.Fatal(err)
			}
			g, err := OpenGroup(dir)
			if err != nil {
				b.Fatal(err)
			}
			var next atomic.Int64
			var singles atomic.Int32
			var wg sync.WaitGroup
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if err := put(g, tree, fmt.Sprint(i), &singles); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(singles.Load())/float64(b.N), "lone/op")
		})
	}
}
