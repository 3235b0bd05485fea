package smtpd

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"postrider/internal/wire/auth"
)

// authRecheck is how long what can be checked is not asked for again.
const authRecheck = 5 * time.Second

// authLink is the checker of the daemon: a process behind a link.
type authLink struct {
	*auth.Client
	linked atomic.Bool

	mu      sync.Mutex
	there   auth.Mechanisms
	checked time.Time
}

func newAuthLink() *authLink { return &authLink{Client: auth.NewClient()} }

// present reports whether there was a peer ever: one that is started again is
// no reason to offer less.
func (l *authLink) present() bool { return l.linked.Load() }

// relink takes the link to a peer that starts, and asks what it can check.
func (l *authLink) relink(f *os.File) error {
	if err := l.Relink(f); err != nil {
		return err
	}
	l.refresh()
	l.linked.Store(true)
	return nil
}

// mechanisms returns what can be checked, as it was a moment ago: nobody waits
// for who computes hashes in order to say EHLO. What was known stays while nobody
// answers: clients are then told to try again, and not that there is no AUTH.
func (l *authLink) mechanisms() auth.Mechanisms {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.checked) >= authRecheck {
		l.checked = time.Now() // one asks
		go l.refresh()
	}
	return l.there
}

func (l *authLink) refresh() {
	there, err := l.Mechanisms()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.there = there
	case l.there == 0:
		l.there = auth.Passwords
	}
	l.checked = time.Now()
}
