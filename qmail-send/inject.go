package qmailsend

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"sync"

	"postrider/internal/esmtp"
	"postrider/internal/fdpass"
	"postrider/internal/figures"
	"postrider/internal/queuedir"
	"postrider/internal/wire/submit"
)

// submitter holds the channel over which bounces reach the spool, and the
// connections that are free.
type submitter struct {
	mu      sync.Mutex
	channel *fdpass.Packets
	free    []*submitConn
}

type submitConn struct {
	f  *os.File
	in *bufio.Reader
}

var errNoChannel = errors.New("no channel to qmail-spool")

// attach begins to use a fresh channel.
func (b *submitter) attach(f *os.File) error {
	channel, err := fdpass.NewPackets(f)
	if err != nil {
		return err
	}
	b.close()
	b.mu.Lock()
	b.channel = channel
	b.mu.Unlock()
	return nil
}

// close closes the channel and all free connections.
func (b *submitter) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.free {
		_ = c.f.Close() // nothing is uncommitted on it
	}
	b.free = nil
	if b.channel != nil {
		_ = b.channel.Close() // nothing is uncommitted on it
		b.channel = nil
	}
}

// connection returns a connection that is ready for a message.
func (b *submitter) connection() (*submitConn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.free); n > 0 {
		c := b.free[n-1]
		b.free = b.free[:n-1]
		return c, nil
	}
	if b.channel == nil {
		return nil, errNoChannel
	}
	f, err := submit.Connect(b.channel)
	if err != nil {
		return nil, err
	}
	return &submitConn{f: f}, nil
}

func (b *submitter) giveBack(c *submitConn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.channel == nil || len(b.free) >= noticeCount {
		_ = c.f.Close() // nothing is uncommitted on it
		return
	}
	b.free = append(b.free, c)
}

// bounce has notices submitted of everything that is to be told: one of the
// failures and one of the successes.
func (s *scheduler) bounce(a *active) {
	failures := newBounce(s.settings.bounce, a.sender.String())
	failures.short = a.facts.Return == esmtp.Headers || a.facts.RequireTLS || s.settings.bounceMax > 0 && a.entry.Footer.BodySize > s.settings.bounceMax
	failed := s.report(a, failures)
	failed.tells, failed.from = []queuedir.RecordKind{queuedir.Failed}, a.bounced
	succeeded := s.report(a, newSuccess(s.settings.bounce, a.sender.String()))
	succeeded.tells, succeeded.from = []queuedir.RecordKind{queuedir.Succeeded, queuedir.Relayed}, a.bounced
	s.submit(a, []report{failed, succeeded}, s.bounced)
}

// report returns the report about a that ends where its progress file does.
func (s *scheduler) report(a *active, n notice) report {
	n.arrival = s.line.ToWall(a.m.birth, s.clock.Now())
	return report{
		id: a.m.id, notice: n, to: a.size, recipients: int(a.m.recipients), facts: a.facts, now: s.clock.Now(),
	}
}

// submitted is a notice that the spool has.
type submitted struct {
	kind noticeKind
	id   queuedir.ID
}

// noticeWords are how log lines about notices begin.
var noticeWords = [...]string{failureNotice: "bounce", doubleBounce: "bounce", delayNotice: "delay", successNotice: "success"}

// submit has those reports submitted that tell anything, until one fails; then
// is given their numbers.
func (s *scheduler) submit(a *active, reports []report, then func(*active, []submitted, error)) {
	a.bouncing = true
	entry := a.entry
	s.atWork++
	s.notices.Put(func() {
		done, err := s.store.submit(entry, reports)
		s.post(func() {
			s.atWork--
			a.bouncing = false
			for _, n := range done {
				s.counts.Add(figures.Notices, int(n.kind), 1)
				s.logf("%s msg %s qp %s", noticeWords[n.kind], a.m.id, n.id)
			}
			then(a, done, err)
			s.settle(a)
		})
	})
}

// bounced takes the result of bounce.
func (s *scheduler) bounced(a *active, done []submitted, err error) {
	switch {
	case errors.Is(err, queuedir.ErrDamaged), errors.Is(err, queuedir.ErrTorn):
		a.damaged = err
	case err != nil:
		s.trouble(fmt.Errorf("bounce of %s: %w", a.m.id, err), "warning: trouble injecting bounce message, will try later")
		a.m.due[settling] = s.now().Add(queueTrouble)
		s.waiting[settling].put(a.m)
	case len(done) == 0: // of what a former run had owed, nothing has a text
		a.progress.bounced(queuedir.Discarded)
	default:
		a.progress.bounced(done[len(done)-1].id)
	}
}

// submitAll submits those reports that tell anything.
func (b *submitter) submitAll(l queuedir.Layout, entry *queuedir.Entry, reports []report) (done []submitted, err error) {
	for _, r := range reports {
		some, err := r.tellsAny(l)
		if err != nil {
			return done, err
		}
		if !some {
			continue
		}
		id, err := b.submit(l, entry, r)
		if err != nil {
			return done, err
		}
		done = append(done, submitted{r.notice.kind, id})
	}
	return done, nil
}

// submit submits a notice and returns its number. After a lost answer the same
// one may be submitted again: the nonce makes that harmless.
func (b *submitter) submit(l queuedir.Layout, entry *queuedir.Entry, r report) (queuedir.ID, error) {
	c, err := b.connection()
	if err != nil {
		return queuedir.ID{}, err
	}
	id, err := c.submit(l, entry, r)
	if err != nil {
		_ = c.f.Close() // whatever was uncommitted is dropped
		return queuedir.ID{}, err
	}
	b.giveBack(c)
	return id, nil
}

func (c *submitConn) submit(l queuedir.Layout, entry *queuedir.Entry, r report) (queuedir.ID, error) {
	if c.in == nil {
		c.in = bufio.NewReader(c.f)
		if err := submit.ReadGreeting(c.in); err != nil {
			return queuedir.ID{}, err
		}
	}
	nonce, err := c.send(l, entry, r)
	if err != nil {
		return queuedir.ID{}, err
	}
	sender, recipient := r.notice.envelope()
	envelope := r.inherited().Append([]byte("F" + sender + "\x00"))
	tail := submit.AppendFrame(nil, submit.Envelope, append(envelope, "T"+recipient+"\x00\x00"...))
	tail = submit.AppendFrame(tail, submit.Commit, nonce[:])
	if _, err := c.f.Write(tail); err != nil {
		return queuedir.ID{}, err
	}
	answer, err := submit.ReadAnswer(c.in)
	if err != nil {
		return queuedir.ID{}, err
	}
	if answer.Kind != submit.Accepted {
		return queuedir.ID{}, errors.New("qmail-spool refuses it: " + answer.Text)
	}
	return queuedir.ParseID(answer.ID)
}

// send sends the message. The nonce follows from the message's number and what
// is told, so that the same notice submitted again, even by a later qmail-send,
// is one message while the spool remembers it.
func (c *submitConn) send(l queuedir.Layout, entry *queuedir.Entry, r report) (queuedir.Nonce, error) {
	out := bufio.NewWriterSize(messageFrames{c.f}, 64<<10)
	hash := sha256.New()
	hash.Write(r.id[:])
	if err := r.write(out, hash, l, entry); err != nil {
		return queuedir.Nonce{}, err
	}
	return queuedir.Nonce(hash.Sum(nil)[:16]), out.Flush()
}

// messageFrames writes what it is given as frames of the message.
type messageFrames struct{ f *os.File }

func (m messageFrames) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		n := min(len(p)-done, submit.MaxFrame)
		if _, err := m.f.Write(submit.AppendFrame(nil, submit.Message, p[done:done+n])); err != nil {
			return done, err
		}
		done += n
	}
	return len(p), nil
}
