package mtasts

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"postrider/internal/mtasts"
)

const (
	// maxKept is how many policies are kept; of more, those that nobody has
	// asked for the longest go.
	maxKept = 20000
	// maxFile is the most bytes of a file: a policy and a line.
	maxFile = mtasts.MaxPolicy + 100
	// unfinished begins the names of files that are being written.
	unfinished = "="
	// maxRefresh is how many policies are fetched again at a time.
	maxRefresh = 500
)

// entry is a policy that was fetched.
type entry struct {
	id      string
	text    string // as it came, for the file
	policy  mtasts.Policy
	fetched time.Time
	tried   time.Time // when it was last asked for to renew it; zero: not since the start
	used    time.Time
}

// asked is when its domain was last asked, with or without success.
func (e entry) asked() time.Time {
	if e.tried.After(e.fetched) {
		return e.tried
	}
	return e.fetched
}

func (e entry) expired(now time.Time) bool { return now.Sub(e.fetched) >= e.policy.MaxAge }

// store keeps policies, each in a file that is named as its domain. The file is
// a line with the id and the time of the fetch, and then the policy.
type store struct {
	dir string

	mu      sync.Mutex
	entries map[string]entry
	// partly: not all files could be read; what is not in memory may be there.
	partly bool
}

func newStore(dir string) *store { return &store{dir: dir, entries: make(map[string]entry)} }

// use returns what is kept of a domain and counts. An error means that it cannot
// be said whether something is.
func (s *store) use(domain string, now time.Time) (e entry, known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, known = s.entries[domain]
	if !known && s.partly {
		if e, err = s.read(domain); err != nil {
			return entry{}, false, withoutAnswers(err)
		}
		known = !e.fetched.After(now)
	}
	if !known || e.expired(now) {
		return entry{}, false, nil
	}
	e.used = now
	s.entries[domain] = e
	return e, true, nil
}

// withoutAnswers leaves out the errors which say that there is no policy in a file.
func withoutAnswers(err error) error {
	if errors.Is(err, errDamaged) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// put keeps a policy. With an error it is kept in memory only.
func (s *store) put(domain string, e entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.used = e.fetched
	if old, known := s.entries[domain]; known {
		e.used = old.used
	}
	err := s.write(domain, e)
	e.text = "" // it is on disk
	s.entries[domain] = e
	if len(s.entries) <= maxKept {
		return err
	}
	oldest := ""
	for other, o := range s.entries {
		if other != domain && (oldest == "" || o.used.Before(s.entries[oldest].used)) {
			oldest = other
		}
	}
	return errors.Join(err, s.remove(oldest))
}

// remove forgets a policy; the lock is held.
func (s *store) remove(domain string) error {
	delete(s.entries, domain)
	return os.Remove(filepath.Join(s.dir, domain))
}

func (s *store) write(domain string, e entry) (err error) {
	path := filepath.Join(s.dir, unfinished+domain)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(path) // the error tells
		}
	}()
	if _, err = fmt.Fprintf(f, "%s %d\n%s", e.id, e.fetched.Unix(), e.text); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(path, filepath.Join(s.dir, domain))
}

// stale returns the domains whose policy is due to be fetched again, and
// forgets those that do not count any more. Those that were asked are behind all
// others the next time: very many that never answer keep nobody's from being
// renewed.
func (s *store) stale(now time.Time) (domains []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for domain, e := range s.entries {
		switch {
		case e.expired(now):
			_ = s.remove(domain) // it does not count, whether or not it is there
		case now.Sub(e.fetched) >= stale:
			domains = append(domains, domain)
		}
	}
	slices.SortFunc(domains, func(a, b string) int { return s.entries[a].asked().Compare(s.entries[b].asked()) })
	domains = domains[:min(len(domains), maxRefresh)]
	for _, domain := range domains {
		e := s.entries[domain]
		e.tried = now
		s.entries[domain] = e
	}
	return domains
}

// load reads what was kept before. What is damaged or too old is removed. What
// cannot be read now is read when it is asked for.
func (s *store) load(now time.Time) (damaged int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.partly = err != nil }()
	dir, err := os.Open(s.dir)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	for {
		names, end := dir.Readdirnames(1000)
		for _, name := range names {
			removed, trouble := s.loadFile(name, now)
			if err == nil {
				err = trouble // of more, the first one tells
			}
			if removed && !strings.HasPrefix(name, unfinished) {
				damaged++
			}
		}
		if end == io.EOF {
			return damaged, err
		}
		if end != nil {
			return damaged, errors.Join(err, end)
		}
	}
}

// loadFile reads one file, and removes it if it counts for nothing.
func (s *store) loadFile(name string, now time.Time) (damaged bool, err error) {
	e, err := s.read(name)
	damaged = errors.Is(err, errDamaged)
	switch {
	case err != nil && !damaged:
		return false, err
	case err == nil && !e.expired(now) && !e.fetched.After(now) && len(s.entries) < maxKept:
		s.entries[name] = e
		return false, nil
	}
	return damaged, os.Remove(filepath.Join(s.dir, name))
}

var errDamaged = errors.New("it is no file of a policy")

func (s *store) read(name string) (e entry, err error) {
	if domain, ok := mtasts.Domain(name); !ok || domain != name {
		return e, errDamaged
	}
	f, err := os.Open(filepath.Join(s.dir, name))
	if err != nil {
		return e, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return e, err
	}
	if len(text) > maxFile {
		return e, errDamaged
	}
	line, rest, _ := strings.Cut(string(text), "\n")
	id, when, _ := strings.Cut(line, " ")
	seconds, err := strconv.ParseInt(when, 10, 64)
	if err != nil {
		return e, errDamaged
	}
	policy, err := mtasts.Parse(rest)
	if err != nil {
		return e, errDamaged
	}
	fetched := time.Unix(seconds, 0)
	return entry{id: id, policy: policy, fetched: fetched, used: fetched}, nil
}
