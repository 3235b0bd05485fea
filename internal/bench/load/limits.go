package load

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The names of the rates that limits answers with, each a second.
const (
	DurableAlone = "durable file, one writer"
	DurableMany  = "durable files, many writers, each for itself"
	DurableGroup = "durable files, many writers, one sync for all that wait"
	AppendGroup  = "appends to one file, one sync for all that wait"
	ForkExec     = "fork and exec"
)

// limitBlock is what is written: the size of the messages of most workloads.
const limitBlock = 4096

// limits measures what the machine can do at most, for o.Limit each: files of
// o.Size bytes made durable (written, renamed, all synced) by o.Sessions
// writers in directories of their own below o.Dir.
func limits(o Order, _ io.Reader, say func(Answer)) error {
	dir, err := os.MkdirTemp(o.Dir, "limits")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	l := &limiter{dir: dir, writers: o.Sessions, time: o.Limit, block: make([]byte, limitBlock), rates: map[string]float64{}}
	for i := range l.writers {
		if err := os.Mkdir(l.writer(i), 0o700); err != nil {
			return err
		}
	}
	for _, measure := range []func() error{l.alone, l.many, l.group, l.appends, l.forks} {
		if err := measure(); err != nil {
			return err
		}
	}
	say(Answer{Rates: l.rates})
	return nil
}

type limiter struct {
	dir     string
	writers int
	time    time.Duration
	block   []byte
	rates   map[string]float64
}

func (l *limiter) writer(i int) string { return filepath.Join(l.dir, fmt.Sprint(i)) }

// repeat lets n writers do something until the time is over.
func (l *limiter) repeat(name string, n int, do func(writer, i int) error) error {
	var done atomic.Int64
	var failure atomic.Value
	var writers sync.WaitGroup
	start := time.Now()
	for w := range n {
		writers.Go(func() {
			for i := 0; time.Since(start) < l.time; i++ {
				if err := do(w, i); err != nil {
					failure.Store(err)
					return
				}
				done.Add(1)
			}
		})
	}
	writers.Wait()
	l.rates[name] = float64(done.Load()) / time.Since(start).Seconds()
	if err, failed := failure.Load().(error); failed {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// file writes a file and gives it its final name.
func (l *limiter) file(w, i int, sync bool) error {
	name := filepath.Join(l.writer(w), fmt.Sprint(i))
	f, err := os.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(l.block); err != nil {
		return err
	}
	if sync {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return os.Rename(name+".tmp", name)
}

func (l *limiter) alone() error { return l.durable(DurableAlone, 1) }
func (l *limiter) many() error  { return l.durable(DurableMany, l.writers) }

func (l *limiter) durable(name string, writers int) error {
	dirs := make([]*os.File, writers)
	for i := range dirs {
		var err error
		if dirs[i], err = os.Open(l.writer(i)); err != nil {
			return err
		}
		defer dirs[i].Close()
	}
	defer l.empty()
	return l.repeat(name, writers, func(w, i int) error {
		if err := l.file(w, i, true); err != nil {
			return err
		}
		return dirs[w].Sync()
	})
}

func (l *limiter) group() error {
	root, err := os.Open(l.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	defer l.empty()
	c := newCommit(func() error { return unix.Syncfs(int(root.Fd())) })
	return l.repeat(DurableGroup, l.writers, func(w, i int) error {
		if err := l.file(w, i, false); err != nil {
			return err
		}
		return c.wait()
	})
}

func (l *limiter) appends() error {
	f, err := os.OpenFile(filepath.Join(l.dir, "journal"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	c := newCommit(func() error { return syscall.Fdatasync(int(f.Fd())) })
	return l.repeat(AppendGroup, l.writers, func(int, int) error {
		if _, err := f.Write(l.block); err != nil {
			return err
		}
		return c.wait()
	})
}

// forks starts the smallest program there is on every system.
func (l *limiter) forks() error {
	return l.repeat(ForkExec, 1, func(int, int) error {
		p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{Env: []string{}})
		if err != nil {
			return err
		}
		_, err = p.Wait()
		return err
	})
}

// empty removes the files between two measurements.
func (l *limiter) empty() {
	for i := range l.writers {
		_ = os.RemoveAll(l.writer(i))
		_ = os.Mkdir(l.writer(i), 0o700)
	}
}

// commit makes what is written durable for all that wait at once; while one
// sync runs, the next group forms.
type commit struct {
	mu      sync.Mutex
	sync    func() error
	running bool
	waiting []chan error
}

func newCommit(sync func() error) *commit { return &commit{sync: sync} }

func (c *commit) wait() error {
	done := make(chan error, 1)
	c.mu.Lock()
	c.waiting = append(c.waiting, done)
	lead := !c.running
	c.running = true
	c.mu.Unlock()
	if lead {
		go c.run()
	}
	return <-done
}

func (c *commit) run() {
	for {
		c.mu.Lock()
		group := c.waiting
		c.waiting = nil
		c.running = len(group) > 0
		c.mu.Unlock()
		if len(group) == 0 {
			return
		}
		err := c.sync()
		for _, done := range group {
			done <- err
		}
	}
}
