package spool

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
	"postrider/internal/figures"
	"postrider/internal/logline"
	"postrider/internal/queuedir"
	"postrider/internal/wire/entries"
	"postrider/internal/wire/submit"
)

// Limits of submitters. Everybody may connect to the public socket.
const (
	connectionsPerUID = 20
	maxConnections    = 400 // of strangers, and of the daemons, whatever RLIMIT_NOFILE says
	acceptPause       = 100 * time.Millisecond
)

// server is the submit protocol's server on all its sockets.
type server struct {
	store    *Store
	announce func(entries.Message)
	log      func(string)
	limit    int                 // connections of strangers; and again as many of the daemons
	who      func(uint32) string // the words of the Received line for a uid
	done     sync.WaitGroup
	seldom   logline.Seldom // why messages were not accepted
	shares   *shares        // of strangers; nil: none are counted
	pressure *pressure

	mu       sync.Mutex
	resting  map[*connection]bool // all connections; true: between messages
	byUID    map[uint32]int       // of strangers
	public   int
	handed   int
	draining bool
	lost     time.Time // when an answer could not be sent
}

func newServer(store *Store, announce func(entries.Message), log func(string), limit int, who func(uint32) string) *server {
	return &server{
		store: store, announce: announce, log: log, limit: limit, who: who,
		resting: make(map[*connection]bool), byUID: make(map[uint32]int),
	}
}

// connectionLimit is how many connections of strangers there may be, and as
// many of the daemons: each may hold three descriptors, and together they must
// leave some to the queue's own work.
func connectionLimit() int {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 1
	}
	return max(1, min(maxConnections, int(min(r.Cur, 1<<20))/8))
}

// acceptPublic serves the public socket until it is closed.
func (s *server) acceptPublic(l *os.File) {
	short := shortage{log: s.log}
	for {
		f, err := fdpass.Accept(l)
		if s.isDraining() {
			if err == nil {
				_ = f.Close() // it finds our successor
			}
			return
		}
		if err != nil {
			short.wait(err)
			continue
		}
		uid, err := fdpass.PeerUID(f)
		if err != nil {
			s.log("warning: who connects? " + err.Error())
			_ = f.Close() // nothing was said
			continue
		}
		s.start(&connection{server: s, f: f, from: origin{uid: uid, text: s.who(uid), via: figures.ViaLocal}, public: true, opened: time.Now()})
	}
}

// acceptHanded serves the connections that a daemon hands over, which is from
// but for its uid.
func (s *server) acceptHanded(channel *fdpass.Packets, from origin) error {
	short := shortage{log: s.log}
	for {
		f, err := submit.ReceiveConnection(channel)
		if errors.Is(err, fdpass.ErrShortage) {
			// The channel must stay: nobody would make another.
			short.wait(err)
			continue
		}
		if err != nil {
			return err
		}
		// The pair's uid is that of the daemon that made it.
		if from.uid, err = fdpass.PeerUID(f); err != nil {
			_ = f.Close() // nothing was said
			return err
		}
		s.start(&connection{server: s, f: f, from: from, opened: time.Now()})
	}
}

// shortage is how to get over a time without descriptors or memory: those who
// wait can wait longer.
type shortage struct {
	log  func(string)
	told time.Time
}

func (h *shortage) wait(err error) {
	if time.Since(h.told) > time.Minute {
		h.told = time.Now()
		h.log("warning: cannot accept, will try again: " + err.Error())
	}
	time.Sleep(acceptPause)
}

// start serves c, or says at once that there are too many.
func (s *server) start(c *connection) {
	if !s.admit(c) {
		if !s.isDraining() { // else it finds our successor
			// Not waiting: a fresh socket takes these few bytes.
			_ = c.f.SetWriteDeadline(time.Now().Add(time.Millisecond))
			_, _ = c.f.Write(submit.AppendFrame(nil, submit.Busy, nil))
		}
		_ = c.f.Close()
		return
	}
	go func() {
		defer s.done.Done()
		defer s.dismiss(c)
		if err := c.serve(); err != nil {
			s.log(fmt.Sprintf("warning: submitter %s: %s", c.from.text, err))
		}
	}()
}

func (s *server) admit(c *connection) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining:
		return false
	case c.public && (s.public >= s.limit || s.byUID[c.from.uid] >= connectionsPerUID):
		return false
	case !c.public && s.handed >= s.limit:
		return false
	case c.public:
		s.public++
		s.byUID[c.from.uid]++
	default:
		s.handed++
	}
	s.resting[c] = false
	s.done.Add(1) // who waits after refuse must know of it
	return true
}

func (s *server) dismiss(c *connection) {
	_ = c.f.Close() // every answer was written, or the submitter is gone
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.resting, c)
	if !c.public {
		s.handed--
		return
	}
	s.public--
	if s.byUID[c.from.uid]--; s.byUID[c.from.uid] == 0 {
		delete(s.byUID, c.from.uid)
	}
}

// rest marks c as between messages, with all of them answered; if we are
// leaving, that is its end.
func (s *server) rest(c *connection, resting bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.resting[c]; !known {
		return // dismissed
	}
	s.resting[c] = resting
	if resting && s.draining {
		_ = c.f.Close() // nothing was begun
	}
}

func (s *server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

const (
	// slowly is how long a message takes to arrive for which a lull is waited.
	slowly = time.Second
	// lullInterval is how often it is looked for one.
	lullInterval = 50 * time.Millisecond
)

// awaitLull returns at a moment at which no message is arriving slowly, so that
// those in hand are finished in no time; or when the limit is over.
func (s *server) awaitLull(limit time.Duration) {
	for end := time.Now().Add(limit); time.Now().Before(end) && s.arrivesSlowly(); {
		time.Sleep(lullInterval)
	}
}

func (s *server) arrivesSlowly() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := time.Now().Add(-slowly).UnixNano()
	for c := range s.resting {
		if since := c.since.Load(); since != 0 && since < before {
			return true
		}
	}
	return false
}

// refuse takes no new message from now on.
func (s *server) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	for c, resting := range s.resting {
		if resting {
			_ = c.f.Close() // nothing was begun
		}
	}
}

// wait waits for the messages that are being received, at most for the given
// time, or waitedFor from when hurry says that somebody waits for us; and tells
// whether all are. What is cut off then was not acknowledged.
func (s *server) wait(patience time.Duration, hurry func() bool) bool {
	finished := make(chan struct{})
	go func() {
		s.done.Wait()
		close(finished)
	}()
	look := time.NewTicker(lullInterval)
	defer look.Stop()
	for end, hurried := time.Now().Add(patience), false; ; {
		select {
		case <-finished:
			return true
		case now := <-look.C:
			if !hurried && hurry() {
				hurried = true
				if soon := now.Add(waitedFor); soon.Before(end) {
					end = soon
				}
			}
			if now.After(end) {
				return false
			}
		}
	}
}

// loseAnswer notes that a submitter was not told and may come again.
func (s *server) loseAnswer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = s.store.clock.Now()
}

// allAnswered tells whether no submitter may come again: neither one of ours
// nor one of the process before us, that has had rememberAge by then.
func (s *server) allAnswered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.store.clock.Now().Add(-rememberAge)
	return s.lost.Before(before) && (s.store.answered || s.store.begun.Before(before))
}

// commit makes d an entry, and announces and answers it when it is one. answer
// must not wait.
func (s *server) commit(d *draft, nonce queuedir.Nonce, answer func(submit.Answer)) {
	key := nonceKey{nonce, d.from.uid}
	switch state, id := s.store.recent.claim(key); state {
	case nonceCommitted:
		d.abort()
		answer(submit.Answer{Kind: submit.Accepted, ID: id.String()})
		return
	case nonceBusy:
		d.abort()
		answer(s.refused(&refusal{code: exitWrite, err: errors.New("the same message is being committed already")}))
		return
	}
	d.commit(nonce, func(m entries.Message, err error) {
		if err != nil {
			s.store.recent.abandon(key)
			answer(s.refused(err))
			return
		}
		s.store.recent.fulfil(key, m.ID)
		s.store.settled(m.ID)
		s.store.entries.Add(1)
		s.announce(m) // first: once all is answered we may end
		answer(submit.Answer{Kind: submit.Accepted, ID: m.ID.String()})
	})
}

// refused returns the answer for err and logs what is our own trouble.
func (s *server) refused(err error) submit.Answer {
	var r *refusal
	if !errors.As(err, &r) {
		r = &refusal{code: exitWrite, err: err}
	}
	if r.err != nil {
		if note, ok := s.seldom.Allow(s.store.clock.Now(), r.err); ok {
			s.log("warning: message not accepted: " + r.err.Error() + note)
		}
	}
	return r.answer()
}
