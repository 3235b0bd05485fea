package tlsrpt

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"postrider/internal/tlsrpt"
)

const (
	// sentSuffix is that of the file which lists what of a day is done with, a line
	// each: a domain, or a domain and one of the places where its report goes.
	sentSuffix = ".sent"
	// keepFor is how long it is tried to send the reports of a day.
	keepFor = 3 * 24 * time.Hour
	// spread is over how long after its end the reports of a day begin to go
	// out: not all the world sends at midnight.
	spread = 4 * time.Hour
)

// closed is a day that is over.
type closed struct {
	path  string
	begin time.Time
}

func (d closed) end() time.Time { return d.begin.Add(24 * time.Hour) }

// closedDays lists the days that are over, the first one first, and removes what
// a crash has left unfinished of them.
func closedDays(dir string, now time.Time) (days []closed, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name, torn := strings.CutPrefix(e.Name(), unfinished)
		begin, err := time.Parse(time.DateOnly, name)
		switch {
		case err != nil || begin.Add(24*time.Hour).After(now):
		case torn:
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return nil, err
			}
		default:
			days = append(days, closed{filepath.Join(dir, e.Name()), begin})
		}
	}
	slices.SortFunc(days, func(a, b closed) int { return a.begin.Compare(b.begin) })
	return days, nil
}

// sent reads which domains of a day are done with.
func (d closed) sent() (map[string]bool, error) {
	done := make(map[string]bool)
	f, err := os.Open(d.path + sentSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return done, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() && len(done) <= maxDomains*(1+tlsrpt.MaxDestinations) {
		done[strings.TrimSpace(lines.Text())] = true
	}
	return done, lines.Err()
}

// markSent writes down what is done with. A line is one write, so that several
// may do that at a time.
func (d closed) markSent(what string) error {
	f, err := os.OpenFile(d.path+sentSuffix, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(what + "\n")
	return errors.Join(err, f.Close())
}

// remove forgets a day.
func (d closed) remove() error {
	err := os.Remove(d.path)
	if sent := os.Remove(d.path + sentSuffix); !errors.Is(sent, fs.ErrNotExist) {
		err = errors.Join(err, sent)
	}
	return err
}
