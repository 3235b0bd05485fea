package submitlink

import (
	"errors"
	"os"
	"sync"
	"time"

	"postrider/internal/absence"
	"postrider/internal/fate"
	"postrider/internal/fdpass"
	"postrider/internal/wire/submit"
)

// Wait is how long a qmail-spool may be gone before there is no waiting for the
// next one: as long as it takes to replace or to restart it.
const Wait = 20 * time.Second

// ErrNoSpool says that there is no link.
var ErrNoSpool = Unavailable("connect to qmail-spool", errors.New("no link"))

// Unavailable is the error for a client when the spool cannot be had.
func Unavailable(op string, err error) error {
	return fate.Temp("3.0", "qq trouble: mail queue is not available (#4.3.0)", op, err)
}

// Limits are how much of the spool a daemon takes.
type Limits struct {
	// Commits is how many messages wait for their commit at a time; more wait for
	// their turn.
	Commits int
	// Streams is how many messages have a connection while they arrive.
	Streams int
	// Spare is how many idle connections are kept.
	Spare int
}

// Link is the submit link of a daemon. Many goroutines may use it.
type Link struct {
	*places
	// Absence is that of the spool; it is set up before the first use.
	Absence *absence.Absence

	most int // idle connections

	mu    sync.Mutex
	link  *fdpass.Packets // nil: there is none
	spare []*os.File      // idle connections over link, the last used last
}

// New returns a link to no spool yet.
func New(l Limits) *Link {
	return &Link{places: newPlaces(l.Commits, l.Streams), Absence: absence.New(Wait), most: l.Spare}
}

// Relink takes a new link, and owns f: qmail-spool was restarted, or starts. Idle
// connections to the old one are useless; busy ones find out themselves.
func (l *Link) Relink(f *os.File) (*fdpass.Packets, error) {
	link, err := fdpass.NewPackets(f)
	if err != nil {
		_ = f.Close() // was only received
		return nil, err
	}
	l.mu.Lock()
	old, spare := l.link, l.spare
	l.link, l.spare = link, nil
	l.Absence.End()
	l.mu.Unlock()
	for _, f := range spare {
		_ = f.Close() // nothing unanswered is on it
	}
	if old != nil {
		_ = old.Close() // its peer is gone
	}
	return link, nil
}

// Current returns the link that is used now, if there is one.
func (l *Link) Current() *fdpass.Packets {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.link
}

// Meanwhile calls do if link is the one that is used, and no other before do
// returns.
func (l *Link) Meanwhile(link *fdpass.Packets, do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.link == link {
		do()
	}
}

// Replaced reports whether another link is there than the one that a connection
// was made over.
func (l *Link) Replaced(c Connection) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.link != nil && l.link != c.link
}

// Ready only looks whether there is a spool, or will be in a moment: a message
// needs a connection at its end, or when it is too large to be kept, so that slow
// clients hold none.
func (l *Link) Ready() error {
	if next := l.Absence.Next(); l.Current() == nil && !l.Absence.Await(next) {
		return ErrNoSpool
	}
	return nil
}

// Connect is ConnectNow, but waits for a spool that is being replaced, and tries
// one that ends connections again.
func (l *Link) Connect() (Connection, error) {
	for m := l.moments(); ; {
		next := l.Absence.Next()
		c, err := l.ConnectNow()
		if isGone(err) { // or it only lost this connection
			c, err = l.ConnectNow()
		}
		if !isGone(err) || !m.await(next) {
			return c, err
		}
	}
}

// isGone reports whether err is that of a spool that ended. After others a new
// one is not to be expected.
func isGone(err error) bool { return absence.Ended(err) || errors.Is(err, ErrNoSpool) }

// ConnectNow returns an idle connection that is alive, or a new one that was
// greeted.
func (l *Link) ConnectNow() (Connection, error) {
	for {
		c, fresh, err := l.take()
		if err != nil {
			return Connection{}, err
		}
		if fresh {
			return c, c.Greeting()
		}
		if c.alive() {
			return c, nil
		}
		_ = c.File.Close() // the spool left it
	}
}

// take takes the idle connection that was used last, or makes one.
func (l *Link) take() (c Connection, fresh bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.spare); n > 0 {
		f := l.spare[n-1]
		l.spare = l.spare[:n-1]
		return Connection{f, l.link}, false, nil
	}
	c, err = l.open()
	return c, true, err
}

// Open makes a connection, on which the greeting is to come. It does not wait.
func (l *Link) Open() (Connection, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open()
}

// open is Open; the caller holds mu.
func (l *Link) open() (Connection, error) {
	if l.link == nil {
		return Connection{}, ErrNoSpool
	}
	f, err := submit.Connect(l.link)
	if absence.Ended(err) {
		// The spool is gone, until qmail-start sends a new link.
		_ = l.link.Close() // its peer is gone
		l.link = nil
		l.Absence.Begin()
		return Connection{}, ErrNoSpool
	}
	if err != nil {
		return Connection{}, Unavailable("connect to qmail-spool", err)
	}
	return Connection{f, l.link}, nil
}

// Keep takes back a connection that is between two messages.
func (l *Link) Keep(c Connection) {
	l.mu.Lock()
	keep := l.link == c.link && len(l.spare) < l.most
	if keep {
		l.spare = append(l.spare, c.File)
	}
	l.mu.Unlock()
	if !keep {
		_ = c.File.Close() // nothing unanswered is on it
	}
}
