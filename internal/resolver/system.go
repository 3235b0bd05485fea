package resolver

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
)

// recheck is how long the file of a System is not looked at again.
const recheck = time.Second

// System keeps a resolver that asks the servers of a file like resolv.conf, and
// with it its cache, while that file stays as it is. Many goroutines may use it.
type System struct {
	Path  string
	Clock clock.Clock
	// Timeout is the most for one try of one server, Entries as in Config.
	Timeout time.Duration
	Entries int

	mu       sync.Mutex
	checked  time.Time
	seen     fileState
	resolver *Resolver
}

// fileState tells a changed file from an unchanged one; it is all zero for one
// that is not there.
type fileState struct {
	device, inode     uint64
	size              int64
	modified, changed unix.Timespec
}

// Get returns the resolver as the file is now.
func (s *System) Get() (*Resolver, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Clock.Now()
	if age := now.Sub(s.checked); s.resolver != nil && age >= 0 && age < recheck {
		return s.resolver, nil
	}
	var seen fileState
	var st unix.Stat_t
	if unix.Stat(s.Path, &st) == nil {
		seen = fileState{uint64(st.Dev), st.Ino, st.Size, st.Mtim, st.Ctim}
	}
	if s.resolver != nil && seen == s.seen {
		s.checked = now
		return s.resolver, nil
	}
	config, err := ReadConfig(s.Path)
	if err != nil {
		return nil, err
	}
	config.Timeout = min(config.Timeout, s.Timeout)
	config.Entries = s.Entries
	s.resolver, s.seen, s.checked = New(config, s.Clock), seen, now
	return s.resolver, nil
}
