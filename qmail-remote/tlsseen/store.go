package tlsseen

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"postrider/internal/clock"
	wire "postrider/internal/wire/tlsseen"
)

const (
	// maxHosts is how many hosts are remembered: 20 MiB at the very worst.
	maxHosts = 100000
	// maxDays is how long a host is.
	maxDays = 400
	// maxLine is that of the file, and more than needed.
	maxLine = wire.MaxHost + 16
	// spare is how many lines the file may have beside one a host.
	spare = 10000
)

// store remembers hosts. Its file is a line for each day on which a host spoke
// TLS, "DAY HOST", the last of which counts.
type store struct {
	path  string
	clock clock.Clock

	mu    sync.Mutex
	hosts map[string]wire.Day
	// trouble is why the file could not be read yet; torn says that its last line
	// may not be whole.
	trouble error
	torn    bool
	// waiting are lines that are not in the file yet; lines are how many are.
	waiting bytes.Buffer
	lines   int
}

var _ wire.Memory = (*store)(nil)

func newStore(path string, c clock.Clock) *store {
	return &store{path: path, clock: c, hosts: make(map[string]wire.Day)}
}

// Saw remembers that a host speaks TLS today.
func (s *store) Saw(host string) {
	today := wire.DayOf(s.clock.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hosts[host] == today {
		return
	}
	s.hosts[host] = today
	s.makeRoom(host)
	if s.waiting.Len() < maxHosts*maxLine/8 { // while the file cannot be written memory has to do
		s.waiting.WriteString(line(host, today))
	}
}

// Last returns when a host did last. While the file cannot be read that is not
// known of those that were not seen since.
func (s *store) Last(host string) (day wire.Day, known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if day, known = s.hosts[host]; known {
		return day, true, nil
	}
	return 0, false, s.trouble
}

func line(host string, day wire.Day) string {
	return strconv.FormatUint(uint64(day), 10) + " " + host + "\n"
}

// makeRoom forgets a tenth of the hosts, but not this one, if there are too many;
// the lock is held.
func (s *store) makeRoom(but string) {
	if len(s.hosts) <= maxHosts {
		return
	}
	names := make([]string, 0, len(s.hosts))
	for host := range s.hosts {
		if host != but {
			names = append(names, host)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(s.hosts[a], s.hosts[b]) })
	for _, host := range names[:maxHosts/10] {
		delete(s.hosts, host)
	}
}

// load reads the file, if there is one.
func (s *store) load() (damaged int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	damaged, err = s.readFile()
	s.trouble = err
	return damaged, err
}

// again reads the file if it could not be read before.
func (s *store) again() (damaged int, err error) {
	s.mu.Lock()
	failed := s.trouble != nil
	s.mu.Unlock()
	if !failed {
		return 0, nil
	}
	return s.load()
}

// readFile is load; the lock is held.
func (s *store) readFile() (damaged int, err error) {
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	s.lines = 0
	today := wire.DayOf(s.clock.Now())
	r := bufio.NewReaderSize(f, maxLine)
	for {
		text, err := r.ReadSlice('\n')
		if err == io.EOF && len(text) == 0 {
			return damaged, nil
		}
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return damaged, err
		}
		s.lines++
		host, day, ok := parse(string(text))
		switch {
		case !ok || day > today:
			damaged++
		case today-day <= maxDays:
			s.hosts[host] = max(s.hosts[host], day)
			s.makeRoom(host)
		}
	}
}

func parse(text string) (host string, day wire.Day, ok bool) {
	text, whole := strings.CutSuffix(text, "\n")
	number, host, found := strings.Cut(text, " ")
	n, err := strconv.ParseUint(number, 10, 32)
	return host, wire.Day(n), whole && found && err == nil && wire.IsHost(host)
}

// write brings the file up to date: it appends, and makes it anew where most of
// its lines do not count any more, which is known if it could be read, or
// where the last write failed.
func (s *store) write() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting.Len() == 0 {
		return nil
	}
	if s.trouble == nil && (s.torn || s.lines > 2*len(s.hosts)+spare) {
		return s.rewrite()
	}
	f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	n := bytes.Count(s.waiting.Bytes(), []byte("\n"))
	_, err = f.Write(s.waiting.Bytes())
	if err = errors.Join(err, f.Close()); err != nil {
		s.torn = true
		return err
	}
	s.lines += n
	s.waiting.Reset()
	return nil
}

// rewrite makes the file anew; the lock is held.
func (s *store) rewrite() error {
	path := s.path + ".new"
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for host, day := range s.hosts {
		w.WriteString(line(host, day)) // Flush tells
	}
	err = w.Flush()
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(path, s.path)
	}
	if err == nil {
		s.lines, s.torn = len(s.hosts), false
		s.waiting.Reset()
	}
	return err
}
