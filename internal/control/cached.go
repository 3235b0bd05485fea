package control

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Recheck is how long files are not looked at again: a change counts after
	// that, however often somebody asks in between.
	Recheck = 20 * time.Millisecond
	// Settle is how long a file that was just emptied may be one that is being
	// written in place: what was there before stays (R79).
	Settle = time.Second
)

// Cached keeps what some control files say as they are now. Many goroutines
// may use it.
type Cached[T any] struct {
	dir   Dir
	names []string
	load  func() (T, error)

	mu      sync.Mutex
	checked time.Time
	seen    []fileState
	current T
	err     error
	loaded  bool
}

// fileState tells whether a file is what it was. It is all zero for a file
// that is not there.
type fileState struct {
	device, inode     uint64
	size              int64
	modified, changed unix.Timespec
}

// NewCached returns a cache of what load makes of the named files.
func NewCached[T any](dir Dir, names []string, load func() (T, error)) *Cached[T] {
	return &Cached[T]{dir: dir, names: names, load: load}
}

// Get returns what the files say. fresh says that they were read just now, and
// that an error is not the one of last time.
func (c *Cached[T]) Get(now time.Time) (value T, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age := now.Sub(c.checked); c.loaded && age >= 0 && age < Recheck {
		return c.current, false, c.err
	}
	c.checked = now
	seen := c.look()
	// What could not be read is read again: it may have been the machine's
	// trouble, and not that of the files.
	if c.loaded && c.err == nil && (slices.Equal(seen, c.seen) || halfWritten(c.seen, seen, now)) {
		return c.current, false, nil
	}
	// Taken before the files are read: a change meanwhile shows next time.
	c.seen, c.loaded = seen, true
	before := c.err
	c.current, c.err = c.load()
	fresh = c.err == nil || before == nil || before.Error() != c.err.Error()
	return c.current, fresh, c.err
}

func (c *Cached[T]) look() []fileState {
	states := make([]fileState, len(c.names))
	for i, name := range c.names {
		var st unix.Stat_t
		if unix.Stat(string(c.dir)+"/"+name, &st) == nil {
			states[i] = fileState{uint64(st.Dev), st.Ino, st.Size, st.Mtim, st.Ctim}
		}
	}
	return states
}

// halfWritten reports whether a file that had something in it was emptied a
// moment ago.
func halfWritten(before, after []fileState, now time.Time) bool {
	for i, file := range after {
		emptied := file.inode != 0 && file.size == 0 && before[i].size > 0
		if emptied && now.Sub(time.Unix(file.modified.Unix())) < Settle {
			return true
		}
	}
	return false
}
