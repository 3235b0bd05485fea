package lookup

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/control"
	"postrider/internal/route"
)

const (
	// recheck is how long the control files are not looked at again.
	recheck = 20 * time.Millisecond
	// settle is how old a change has to be: a file that is written in place is
	// empty first, and what it will say is not known.
	settle = time.Second
)

// routeFiles are those that route.Read reads.
var routeFiles = [...]string{"me", "locals", "virtualdomains", "percenthack", "envnoathost"}

// routes keeps the table of routes as the control files are now. qmail-send
// takes a change of locals and virtualdomains at HUP: between the two, an
// address is judged by what it will be.
type routes struct {
	dir   control.Dir
	clock clock.Clock

	mu      sync.Mutex
	srs     route.Reverser // nil: senders are not rewritten
	checked time.Time
	seen    fingerprint
	table   *route.Table // nil: not read yet, or err says why
	err     error
}

// fingerprint tells whether the control files are what they were.
type fingerprint [len(routeFiles)]fileState

// fileState is all zero for a file that is not there.
type fileState struct {
	device, inode     uint64
	size              int64
	modified, changed unix.Timespec
}

// get returns the table. An error says that nothing is known of any address.
func (r *routes) get() (*route.Table, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	if age := now.Sub(r.checked); !r.checked.IsZero() && age >= 0 && age < recheck {
		return r.table, r.err
	}
	r.checked = now
	seen := r.look()
	if r.table != nil && (seen == r.seen || seen.isYoung(now)) {
		return r.table, nil
	}
	// Taken before the files are read: a change meanwhile shows next time.
	r.seen = seen
	r.table, r.err = route.Read(r.dir)
	if r.err == nil {
		r.table = r.table.WithSRS(r.srs)
	}
	return r.table, r.err
}

// rewrite makes addresses of s known.
func (r *routes) rewrite(s route.Reverser) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.srs = s
	if r.table != nil {
		r.table = r.table.WithSRS(s)
	}
}

func (r *routes) look() (f fingerprint) {
	for i, name := range routeFiles {
		var st unix.Stat_t
		if unix.Stat(string(r.dir)+"/"+name, &st) == nil {
			f[i] = fileState{uint64(st.Dev), st.Ino, st.Size, st.Mtim, st.Ctim}
		}
	}
	return f
}

// isYoung reports whether a file was written to a moment ago.
func (f fingerprint) isYoung(now time.Time) bool {
	for _, file := range f {
		if age := now.Sub(time.Unix(file.modified.Unix())); age >= 0 && age < settle {
			return true
		}
	}
	return false
}
