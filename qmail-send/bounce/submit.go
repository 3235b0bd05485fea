package bounce

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"os"
	"sync"

	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/wire/submit"
)

// Submitter holds the channel over which bounces reach the spool, and the
// connections that are free.
type Submitter struct {
	mu      sync.Mutex
	channel *fdpass.Packets
	free    []*submitConn
}

// AtOnce is how many notices are submitted at a time.
const AtOnce = 4

type submitConn struct {
	f  *os.File
	in *bufio.Reader
}

var errNoChannel = errors.New("no channel to qmail-spool")

// Attach begins to use a fresh channel.
func (b *Submitter) Attach(f *os.File) error {
	channel, err := fdpass.NewPackets(f)
	if err != nil {
		return err
	}
	b.Close()
	b.mu.Lock()
	b.channel = channel
	b.mu.Unlock()
	return nil
}

// Close closes the channel and all free connections.
func (b *Submitter) Close() {
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
func (b *Submitter) connection() (*submitConn, error) {
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

func (b *Submitter) giveBack(c *submitConn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.channel == nil || len(b.free) >= AtOnce {
		_ = c.f.Close() // nothing is uncommitted on it
		return
	}
	b.free = append(b.free, c)
}

// Submitted is a notice that the spool has.
type Submitted struct {
	Kind Kind
	ID   queuedir.ID
}

// SubmitAll submits those reports that tell anything.
func (b *Submitter) SubmitAll(l queuedir.Layout, entry *queuedir.Entry, reports []Report) (done []Submitted, err error) {
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
		done = append(done, Submitted{r.Notice.Kind, id})
	}
	return done, nil
}

// submit submits a notice and returns its number. After a lost answer the same
// one may be submitted again: the nonce makes that harmless.
func (b *Submitter) submit(l queuedir.Layout, entry *queuedir.Entry, r Report) (queuedir.ID, error) {
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

func (c *submitConn) submit(l queuedir.Layout, entry *queuedir.Entry, r Report) (queuedir.ID, error) {
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
	sender, recipient := r.Notice.envelope()
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
func (c *submitConn) send(l queuedir.Layout, entry *queuedir.Entry, r Report) (queuedir.Nonce, error) {
	out := bufio.NewWriterSize(messageFrames{c.f}, 64<<10)
	hash := sha256.New()
	hash.Write(r.ID[:])
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
