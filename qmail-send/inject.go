package qmailsend

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/esmtp"
	"postrider/internal/fdpass"
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

// bounceJob is a bounce that is to be submitted.
type bounceJob struct {
	id     queuedir.ID
	from   int64 // where its failures are in the progress file
	to     int64
	notice notice
	now    time.Time
	header bool // the header of the message is all that goes back
}

// bounce has a bounce submitted of all failures that have none.
func (s *scheduler) bounce(a *active) {
	a.bouncing = true
	j := bounceJob{
		id: a.m.id, from: a.bounced, to: a.size,
		notice: newNotice(s.settings.bounce, a.sender.String()), now: s.clock.Now(),
		header: a.facts.Return == esmtp.Headers,
	}
	entry := a.entry
	s.atWork++
	s.notices.put(func() {
		id, err := s.submits.submit(s.layout, entry, j)
		s.post(func() { s.bounced(a, id, err) })
	})
}

// bounced takes the result of bounce.
func (s *scheduler) bounced(a *active, id queuedir.ID, err error) {
	s.atWork--
	a.bouncing = false
	switch {
	case errors.Is(err, queuedir.ErrDamaged), errors.Is(err, queuedir.ErrTorn):
		a.damaged = err
	case err != nil:
		s.trouble(fmt.Errorf("bounce of %s: %w", a.m.id, err), "warning: trouble injecting bounce message, will try later")
		a.m.due[settling] = s.now().add(queueTrouble)
		s.waiting[settling].put(a.m)
	default:
		s.logf("bounce msg %s qp %s", a.m.id, id)
		a.progress.bounced(id)
	}
	s.settle(a)
}

// submit submits a bounce and returns its number. After a lost answer the same
// bounce may be submitted again: the nonce makes that harmless.
func (b *submitter) submit(l queuedir.Layout, entry *queuedir.Entry, j bounceJob) (queuedir.ID, error) {
	c, err := b.connection()
	if err != nil {
		return queuedir.ID{}, err
	}
	id, err := c.submit(l, entry, j)
	if err != nil {
		_ = c.f.Close() // whatever was uncommitted is dropped
		return queuedir.ID{}, err
	}
	b.giveBack(c)
	return id, nil
}

func (c *submitConn) submit(l queuedir.Layout, entry *queuedir.Entry, j bounceJob) (queuedir.ID, error) {
	if c.in == nil {
		c.in = bufio.NewReader(c.f)
		if err := submit.ReadGreeting(c.in); err != nil {
			return queuedir.ID{}, err
		}
	}
	nonce, err := c.send(l, entry, j)
	if err != nil {
		return queuedir.ID{}, err
	}
	sender, recipient := j.notice.envelope()
	tail := submit.AppendFrame(nil, submit.Envelope, []byte("F"+sender+"\x00T"+recipient+"\x00\x00"))
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

// send sends the message. The nonce follows from the message's number and the
// failures covered, so that the same bounce submitted again, even by a later
// qmail-send, is one message while the spool remembers it.
func (c *submitConn) send(l queuedir.Layout, entry *queuedir.Entry, j bounceJob) (queuedir.Nonce, error) {
	out := bufio.NewWriterSize(messageFrames{c.f}, 64<<10)
	hash := sha256.New()
	hash.Write(j.id[:])

	if _, err := out.WriteString(j.notice.head(j.now)); err != nil {
		return queuedir.Nonce{}, err
	}
	if err := copyFailures(out, hash, l, j); err != nil {
		return queuedir.Nonce{}, err
	}
	if _, err := out.WriteString(j.notice.separator()); err != nil {
		return queuedir.Nonce{}, err
	}
	if err := copyBody(out, entry, j.header); err != nil {
		return queuedir.Nonce{}, err
	}
	return queuedir.Nonce(hash.Sum(nil)[:16]), out.Flush()
}

// copyFailures writes the paragraphs of the failures that have no bounce yet.
func copyFailures(out io.Writer, hash io.Writer, l queuedir.Layout, j bounceJob) error {
	f, err := os.OpenFile(l.Info(j.id), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close() // only read from
	section := io.NewSectionReader(f, j.from, j.to-j.from)
	good, err := queuedir.ReadRecords(section, func(r queuedir.Record, _ int64) error {
		if r.Kind != queuedir.Failed {
			return nil
		}
		fmt.Fprintf(hash, "%d %d %s", r.Indexes[0], r.Time.Unix(), r.Text)
		_, err := io.WriteString(out, r.Text)
		return err
	})
	if err == nil && good != section.Size() {
		err = fmt.Errorf("%w: %s", queuedir.ErrDamaged, f.Name())
	}
	return err
}

// copyBody writes the message, or its header with the empty line behind it.
func copyBody(out io.Writer, entry *queuedir.Entry, header bool) error {
	body, err := entry.Body()
	if err != nil {
		return err
	}
	defer body.Close() // only read from
	if !header {
		_, err = io.Copy(out, body)
		return err
	}
	in := bufio.NewReaderSize(body, 16<<10)
	for begins := true; ; {
		line, err := in.ReadSlice('\n')
		if _, err := out.Write(line); err != nil {
			return err
		}
		switch {
		case err == io.EOF, begins && len(line) == 1 && line[0] == '\n':
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
		begins = err == nil
	}
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
