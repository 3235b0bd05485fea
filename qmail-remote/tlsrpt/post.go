package tlsrpt

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"postrider/internal/wire/call"
	wire "postrider/internal/wire/tlspost"
)

const (
	// postTime is how long qmail-tlspost has for a report; its own limit is
	// shorter, but reports may wait for each other.
	postTime = 2 * time.Minute
	// postFor is for how long a web server is tried (RFC 8460 section 5.5), and
	// firstPause the pause after the first attempt, of which each further one is
	// the double.
	postFor    = 24 * time.Hour
	firstPause = 10 * time.Minute
	maxPosts   = 10000 // that are remembered
)

// postTimes remembers which web servers are to be tried again, and when. After a
// new start all are tried at once.
type postTimes struct {
	mu   sync.Mutex
	next map[string]attempt
}

type attempt struct {
	due   time.Time
	pause time.Duration
}

// due reports whether it is time for an attempt.
func (p *postTimes) due(key string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !now.Before(p.next[key].due)
}

// failed notes an attempt that failed.
func (p *postTimes) failed(key string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.next) >= maxPosts || p.next == nil {
		p.next = make(map[string]attempt)
	}
	pause := max(2*p.next[key].pause, firstPause)
	p.next[key] = attempt{now.Add(pause), pause}
}

// forget forgets a server that need not be tried again.
func (p *postTimes) forget(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.next, key)
}

// postOnce has a report sent to a web server, if it is time for that. errLater is
// that it has to be tried again; without an error nothing more is to be done.
func (s *sender) postOnce(r dayReport, url string) error {
	key, now := dayOf(r.day.begin)+" "+r.domain+" "+url, s.now()
	if !s.posts.due(key, now) {
		return errLater
	}
	line := fmt.Sprintf("report domain=%s day=%s to=%s", r.domain, dayOf(r.day.begin), url)
	err := s.post(url, r.packed)
	var refused *wire.Refused
	switch {
	case err == nil:
		s.note(line + " posted")
	case errors.As(err, &refused):
		s.note(line + " not sent: " + err.Error())
	case errors.Is(err, call.ErrNoLink), errors.Is(err, call.ErrLost):
		return errLater // the web server was not asked: there is a sweep when qmail-tlspost is back
	case now.Sub(r.day.end()) < s.delay+postFor:
		s.trouble(fmt.Errorf("report to %s, at %s: %w", r.domain, url, err))
		s.posts.failed(key, now)
		return errLater
	default:
		s.note(line + " given up: " + err.Error())
	}
	s.posts.forget(key)
	return nil
}
