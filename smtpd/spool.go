package smtpd

import (
	"crypto/rand"
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"postrider/internal/enqueue"
	"postrider/internal/fdpass"
	"postrider/internal/submitlink"
	"postrider/internal/wire/submit"
)

const (
	// maxCommits is how many short messages wait for their commit at a time;
	// more wait for their turn.
	maxCommits = 64
	// maxStreams is how many long messages have a connection to the spool of
	// their own while they arrive; more are told to come again.
	maxStreams = 128
	// maxSpare is how many idle connections are kept.
	maxSpare = 8
)

// connection is one to qmail-spool, or to qmail-filter.
type connection = submitlink.Connection

// spool is the queue of the daemon: connections to qmail-spool, made over the
// submit link. Short messages share one, long ones have their own.
type spool struct {
	link *submitlink.Link

	mu     sync.Mutex
	short  *pipeline   // for short messages, or nil
	noRoom atomic.Bool // the spool has said that it takes no message
}

func newSpool() *spool {
	return &spool{link: submitlink.New(submitlink.Limits{Commits: maxCommits, Streams: maxStreams, Spare: maxSpare})}
}

// relink takes a new submit link: qmail-spool was restarted, or starts.
func (p *spool) relink(f *os.File) error {
	link, err := p.link.Relink(f)
	if err != nil {
		return err
	}
	p.noRoom.Store(false)
	go p.hear(link)
	return nil
}

// hear takes what the spool says about its room, until the link ends.
func (p *spool) hear(link *fdpass.Packets) {
	_ = submit.HearFull(link, func(full bool) { // its end is met by who connects
		p.link.Meanwhile(link, func() { p.noRoom.Store(full) })
	})
}

func (p *spool) full() bool { return p.noRoom.Load() }

func (p *spool) takesFacts() bool { return true }

func (p *spool) takesUser() bool { return true }

// begin only looks whether there is a spool, or will be in a moment.
func (p *spool) begin(from origin) (submission, error) {
	if err := p.link.Ready(); err != nil {
		return nil, err
	}
	return &spoolSubmission{pool: p, from: from}, nil
}

// spoolSubmission is one message for qmail-spool.
type spoolSubmission struct {
	pool   *spool
	from   origin
	stream connection // no file until write was called
}

// write opens a connection for a message that does not fit into one piece.
func (s *spoolSubmission) write(piece []byte) error {
	if s.stream.File == nil {
		if err := s.pool.link.Enter(s.from.client, s.from.trusted); err != nil {
			return err
		}
		c, err := s.pool.link.Connect()
		if err != nil {
			s.pool.link.Leave(s.from.client)
			return err
		}
		s.stream = c
	}
	header := submit.AppendHeader(nil, submit.Message, len(piece))
	if err := s.stream.Send([][]byte{header, piece}); err != nil {
		return submitlink.Unavailable("write to qmail-spool", err)
	}
	return nil
}

func (s *spoolSubmission) commit(last, envelope []byte) (string, error) {
	if s.stream.File == nil {
		return s.pool.commitShort(last, envelope)
	}
	c := s.stream
	s.stream = connection{}
	defer s.pool.link.Leave(s.from.client)
	answer, err := c.Exchange(commitFrames(last, envelope, newNonce()))
	if err != nil {
		_ = c.File.Close() // drops what was not committed
		return "", err
	}
	s.pool.link.Keep(c)
	return enqueue.Verdict(answer)
}

// commitShort hands in a message that was kept until its end.
func (p *spool) commitShort(last, envelope []byte) (string, error) {
	if err := p.link.Turn(); err != nil {
		return "", err
	}
	defer p.link.Done()
	nonce := newNonce()
	answer, err := p.link.Again(func() (submit.Answer, bool, error) {
		answer, err := p.exchange(commitFrames(last, envelope, nonce))
		return answer, !errors.Is(err, errUnsent), err
	})
	if err != nil {
		return "", err
	}
	return enqueue.Verdict(answer)
}

func (s *spoolSubmission) abort() {
	if s.stream.File == nil {
		return
	}
	_ = s.stream.File.Close() // drops the unfinished message
	s.stream = connection{}
	s.pool.link.Leave(s.from.client)
}

// submitNonce is what a message is known by when it is submitted again.
type submitNonce [16]byte

func newNonce() (n submitNonce) {
	_, _ = rand.Read(n[:]) // never fails
	return n
}

// commitFrames returns the last frames of a message.
func commitFrames(last, envelope []byte, nonce submitNonce) [][]byte {
	var frames [][]byte
	if len(last) > 0 {
		frames = append(frames, submit.AppendHeader(nil, submit.Message, len(last)), last)
	}
	for len(envelope) >= submit.MaxFrame {
		frames = append(frames, submit.AppendHeader(nil, submit.Envelope, submit.MaxFrame), envelope[:submit.MaxFrame])
		envelope = envelope[submit.MaxFrame:]
	}
	// The NUL behind the last record ends the envelope.
	end := submit.AppendHeader(make([]byte, 0, 1+submit.HeaderSize+len(nonce)), submit.Commit, len(nonce))
	frames = append(frames, submit.AppendHeader(nil, submit.Envelope, len(envelope)+1), envelope, append([]byte{0}, append(end, nonce[:]...)...))
	return frames
}
