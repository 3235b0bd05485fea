package tlsrpt

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"postrider/internal/clock"
	"postrider/internal/tlsrpt"
)

const (
	maxDomains  = 5000 // of a day
	maxPolicies = 4    // of a domain
	maxFailures = 50   // that are told apart of a policy
	// maxSize bounds about what a day takes in memory.
	maxSize = 8 << 20
	// maxLine is a domain in a file, and more than needed.
	maxLine = 256 << 10
	// overhead is about what a policy or a failure takes besides its strings.
	overhead = 200
	// unfinished begins the name of a file that is being written.
	unfinished = "="
)

var errUnread = errors.New("what was counted is not written before the file of today can be read")

// store counts what was found today. Its file is named as the day, 2006-01-02 in
// UTC, and has a line for each domain: its results, as JSON.
type store struct {
	dir   string
	clock clock.Clock

	mu      sync.Mutex
	day     string
	domains map[string][]tlsrpt.Result
	size    int
	changed bool
	lost    int64 // sessions that are not counted at all
	// unread: today's file, which is there, could not be read yet. unwritten is
	// why the file of a day that is over is not whole.
	unread    bool
	unwritten error
}

func newStore(dir string, c clock.Clock) *store {
	return &store{dir: dir, clock: c, domains: make(map[string][]tlsrpt.Result)}
}

// dayOf names the day of a time.
func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// count counts a finding, if there is room for it.
func (s *store) count(f tlsrpt.Finding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if today := dayOf(s.clock.Now()); today != s.day {
		if err := s.writeLocked(); err != nil {
			s.unwritten = fmt.Errorf("the last of what was counted on %s is lost: %w", s.day, err)
		}
		s.begin(today)
	}
	s.changed = true
	r := s.result(f.Policy)
	switch {
	case r == nil:
		s.lost++
	case !f.Failed:
		r.Summary.Good++
	default:
		r.Summary.Failed++
		s.detail(r, f.Failure)
	}
}

// begin begins a day; the lock is held.
func (s *store) begin(day string) {
	s.day, s.size, s.changed, s.unread = day, 0, false, false
	clear(s.domains)
}

// result finds where a policy is counted; nil if there is no room.
func (s *store) result(p tlsrpt.Policy) *tlsrpt.Result {
	results, known := s.domains[p.Domain]
	for i := range results {
		if results[i].Policy.Same(p) {
			return &results[i]
		}
	}
	cost := costOf(p)
	if !known && len(s.domains) >= maxDomains || len(results) >= maxPolicies || s.size+cost > maxSize {
		return nil
	}
	s.size += cost
	results = append(results, tlsrpt.Result{Policy: p})
	s.domains[p.Domain] = results
	return &results[len(results)-1]
}

// detail counts a failure with those that are like it.
func (s *store) detail(r *tlsrpt.Result, f tlsrpt.Failure) {
	f.Sessions = 0
	for i := range r.Failures {
		same := r.Failures[i]
		if same.Sessions = 0; same == f {
			r.Failures[i].Sessions++
			return
		}
	}
	cost := overhead + len(f.MXHost) + len(f.Reason)
	if len(r.Failures) >= maxFailures || s.size+cost > maxSize {
		return // the summary counts it
	}
	s.size += cost
	f.Sessions = 1
	r.Failures = append(r.Failures, f)
}

func costOf(p tlsrpt.Policy) int {
	n := overhead + len(p.Domain)
	for _, s := range slices.Concat(p.Strings, p.MXHosts) {
		n += len(s)
	}
	return n
}

// load reads what was counted today before.
func (s *store) load() (damaged int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin(dayOf(s.clock.Now()))
	return s.readToday()
}

// again reads what load could not.
func (s *store) again() (damaged int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.unread {
		return 0, nil
	}
	return s.readToday()
}

// readToday adds what today's file has, all of it or nothing; the lock is held.
func (s *store) readToday() (damaged int, err error) {
	was := newStore(s.dir, s.clock)
	damaged, err = eachDomain(filepath.Join(s.dir, s.day), func(results []tlsrpt.Result) error {
		for _, r := range results {
			was.add(r)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if s.unread = err != nil; s.unread {
		return damaged, err
	}
	for _, results := range was.domains {
		for _, r := range results {
			s.add(r)
		}
	}
	return damaged, nil
}

// add adds what was counted before of a policy.
func (s *store) add(r tlsrpt.Result) {
	room := s.result(r.Policy)
	if room == nil {
		return
	}
	room.Summary.Good += r.Summary.Good
	room.Summary.Failed += r.Summary.Failed
	for _, f := range r.Failures[:min(len(r.Failures), maxFailures-len(room.Failures))] {
		s.size += overhead + len(f.MXHost) + len(f.Reason)
		room.Failures = append(room.Failures, f)
	}
}

// write brings the file up to date.
func (s *store) write() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	unwritten := s.unwritten
	s.unwritten = nil
	return errors.Join(unwritten, s.writeLocked())
}

func (s *store) writeLocked() (err error) {
	switch {
	case !s.changed:
		return nil
	case s.unread:
		return errUnread
	}
	path := filepath.Join(s.dir, unfinished+s.day)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(path) // the error tells
		}
	}()
	w := bufio.NewWriter(f)
	lines := json.NewEncoder(w)
	for _, domain := range slices.Sorted(maps.Keys(s.domains)) {
		if err = lines.Encode(s.domains[domain]); err != nil {
			break
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(path, filepath.Join(s.dir, s.day)); err == nil {
		s.changed = false
	}
	return err
}

// eachDomain reads a file. A damaged line costs the domain in it.
func eachDomain(path string, take func([]tlsrpt.Result) error) (damaged int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, maxLine)
	for {
		line, err := in.ReadSlice('\n')
		for err == bufio.ErrBufferFull {
			line = nil
			_, err = in.ReadSlice('\n')
		}
		switch {
		case err == io.EOF && len(line) == 0:
			return damaged, nil
		case err != nil && err != io.EOF:
			return damaged, err
		}
		results, ok := parseLine(line)
		if !ok {
			damaged++
			continue
		}
		if err := take(results); err != nil {
			return damaged, err
		}
	}
}

// parseLine reads the results of a domain, all of one.
func parseLine(line []byte) (results []tlsrpt.Result, ok bool) {
	if json.Unmarshal(line, &results) != nil || len(results) == 0 || len(results) > maxPolicies {
		return nil, false
	}
	for _, r := range results {
		if !r.Valid() || r.Policy.Domain != results[0].Policy.Domain || len(r.Failures) > maxFailures {
			return nil, false
		}
	}
	return results, true
}

// takeLost returns how many sessions were not counted since it was asked last.
func (s *store) takeLost() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := s.lost
	s.lost = 0
	return lost
}
