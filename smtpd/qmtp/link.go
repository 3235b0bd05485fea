package qmtp

import (
	"errors"
	"os"
	"sync"
	"time"

	"postrider/internal/absence"
	"postrider/internal/fate"
	"postrider/internal/fdpass"
	"postrider/internal/sessionlimit"
	"postrider/internal/wire/submit"
)

const (
	// maxCommits is how many messages that were kept until their end have a
	// connection to the spool at a time; more wait for their turn.
	maxCommits = 32
	// maxStreams is how many messages have one while they arrive, streamsOfOne
	// how many of one client that may not relay; more are told to come again.
	maxStreams   = 64
	streamsOfOne = maxStreams / 8
	// greetingTime and commitTime bound the waits for the spool.
	greetingTime = 30 * time.Second
	commitTime   = 5 * time.Minute
)

var (
	errNoSpool     = unavailable("connect to qmail-spool", errors.New("no link"))
	errManyStreams = fate.Temp("3.2", "qq trouble: too many large messages at once (#4.3.2)", "stream to qmail-spool", errors.New("too many streams"))
)

func unavailable(op string, err error) error {
	return fate.Temp("3.0", "qq trouble: mail queue is not available (#4.3.0)", op, err)
}

// spool is the queue of the daemon: connections to qmail-spool, made over the
// submit link, one for each message.
type spool struct {
	lent    *budget
	commits chan struct{}
	streams *sessionlimit.Counter

	absence *absence.Absence

	mu   sync.Mutex
	link *fdpass.Packets // nil: there is none
}

func newSpool(lent *budget) *spool {
	return &spool{
		lent:    lent,
		commits: make(chan struct{}, maxCommits), streams: sessionlimit.New(0), absence: absence.New(linkTime),
	}
}

// relink takes a new submit link: qmail-spool was restarted, or starts.
func (p *spool) relink(f *os.File) error {
	link, err := fdpass.NewPackets(f)
	if err != nil {
		_ = f.Close() // was only received
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link != nil {
		_ = p.link.Close() // its peer is gone
	}
	p.link = link
	p.absence.End()
	return nil
}

func (p *spool) linked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link != nil
}

// begin only looks whether there is a spool, or will be in a moment: a message
// needs a connection at its end, or when it is too large, so that slow clients
// hold none.
func (p *spool) begin(from origin) (submission, error) {
	if next := p.absence.Next(); !p.linked() && !p.absence.Await(next) {
		return nil, errNoSpool
	}
	return newSpoolSubmission(p, from), nil
}

// awaited is connect, but waits for a spool that is being replaced.
func (p *spool) awaited() (*os.File, error) {
	next := p.absence.Next()
	f, err := p.connect()
	if isGone(err) { // or it only lost this connection
		f, err = p.connect()
	}
	if !isGone(err) || !p.absence.Await(next) {
		return f, err
	}
	return p.connect()
}

// isGone reports whether err is that of a spool that ended. After others a new
// one is not to be expected.
func isGone(err error) bool { return absence.Ended(err) || errors.Is(err, errNoSpool) }

// connect makes a connection, and waits until the spool is ready.
func (p *spool) connect() (*os.File, error) {
	f, err := p.open()
	if err != nil {
		return nil, err
	}
	err = f.SetDeadline(time.Now().Add(greetingTime))
	if err == nil {
		err = submit.ReadGreeting(f)
	}
	if err == nil {
		err = f.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, unavailable("greeting of qmail-spool", err)
	}
	return f, nil
}

func (p *spool) open() (*os.File, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link == nil {
		return nil, errNoSpool
	}
	f, err := submit.Connect(p.link)
	if absence.Ended(err) {
		// The spool is gone, until qmail-start sends a new link.
		_ = p.link.Close() // its peer is gone
		p.link = nil
		p.absence.Begin()
		return nil, errNoSpool
	}
	if err != nil {
		return nil, unavailable("connect to qmail-spool", err)
	}
	return f, nil
}

// turn waits for one of the places to commit, but no longer than for an
// answer: a client that gave up long ago must not be served after all.
func (p *spool) turn() error {
	timer := time.NewTimer(commitTime)
	defer timer.Stop()
	select {
	case p.commits <- struct{}{}:
		return nil
	case <-timer.C:
		return unavailable("wait for a turn to commit", errors.New("qmail-spool does not answer the messages before"))
	}
}
