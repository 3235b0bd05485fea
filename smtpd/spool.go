package smtpd

import (
	"crypto/rand"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/absence"
	"postrider/internal/enqueue"
	"postrider/internal/fate"
	"postrider/internal/fdpass"
	"postrider/internal/sessionlimit"
	"postrider/internal/wire/submit"
)

const (
	// maxCommits is how many short messages wait for their commit at a time;
	// more wait for their turn.
	maxCommits = 64
	// maxStreams is how many long messages have a connection to the spool of
	// their own while they arrive, streamsOfOne how many of one client that may
	// not relay; more are told to come again.
	maxStreams   = 128
	streamsOfOne = maxStreams / 8
	// maxSpare is how many idle connections are kept.
	maxSpare = 8
	// greetingTime and commitTime bound the waits for the spool.
	greetingTime = 30 * time.Second
	commitTime   = 5 * time.Minute
)

var (
	errNoSpool     = fate.Temp("3.0", "qq trouble: mail queue is not available (#4.3.0)", "connect to qmail-spool", errors.New("no link"))
	errManyStreams = fate.Temp("3.2", "qq trouble: too many large messages at once (#4.3.2)", "stream to qmail-spool", errors.New("too many streams"))
)

// spool is the queue of the daemon: connections to qmail-spool, made over the
// submit link. Short messages share one, long ones have their own.
type spool struct {
	commits chan struct{}
	streams *sessionlimit.Counter

	absence *absence.Absence

	mu     sync.Mutex
	link   *fdpass.Packets // nil: there is none
	spare  []*os.File      // idle connections over link, the last used last
	short  *pipeline       // for short messages, or nil
	noRoom atomic.Bool     // the spool has said that it takes no message
}

func newSpool() *spool {
	return &spool{commits: make(chan struct{}, maxCommits), streams: sessionlimit.New(0), absence: absence.New(linkTime)}
}

// relink takes a new submit link: qmail-spool was restarted, or starts. Idle
// connections to the old one are useless; busy ones find out themselves.
func (p *spool) relink(f *os.File) error {
	link, err := fdpass.NewPackets(f)
	if err != nil {
		_ = f.Close() // was only received
		return err
	}
	p.mu.Lock()
	old, spare := p.link, p.spare
	p.link, p.spare, p.short = link, nil, nil
	p.absence.End()
	p.mu.Unlock()
	p.noRoom.Store(false)
	go p.hear(link)
	closeConnections(spare)
	if old != nil {
		_ = old.Close() // its peer is gone
	}
	return nil
}

// hear takes what the spool says about its room, until the link ends.
func (p *spool) hear(link *fdpass.Packets) {
	_ = submit.HearFull(link, func(full bool) { // its end is met by who connects
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.link == link {
			p.noRoom.Store(full)
		}
	})
}

func (p *spool) full() bool { return p.noRoom.Load() }

func (p *spool) takesFacts() bool { return true }

func (p *spool) takesUser() bool { return true }

func closeConnections(connections []*os.File) {
	for _, f := range connections {
		_ = f.Close() // nothing unanswered is on it
	}
}

// begin only looks whether there is a spool, or will be in a moment: a short
// message needs a connection at its end, so that slow clients hold none.
func (p *spool) begin(from origin) (submission, error) {
	if next := p.absence.Next(); !p.linked() && !p.absence.Await(next) {
		return nil, errNoSpool
	}
	return &spoolSubmission{pool: p, from: from}, nil
}

func (p *spool) linked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link != nil
}

// connection is one connection to qmail-spool; link is what it was made over.
type connection struct {
	file *os.File
	link *fdpass.Packets
}

// connect is connectNow, but waits for a spool that is being replaced.
func (p *spool) connect() (connection, error) {
	next := p.absence.Next()
	c, err := p.connectNow()
	if isGone(err) { // or it only lost this connection
		c, err = p.connectNow()
	}
	if !isGone(err) || !p.absence.Await(next) {
		return c, err
	}
	return p.connectNow()
}

// isGone reports whether err is that of a spool that ended. After others a new
// one is not to be expected.
func isGone(err error) bool { return absence.Ended(err) || errors.Is(err, errNoSpool) }

// connectNow returns an idle connection that is alive, or a new one.
func (p *spool) connectNow() (connection, error) {
	for {
		c, fresh, err := p.take()
		if err != nil {
			return connection{}, err
		}
		if fresh {
			return c, c.greeting()
		}
		if c.alive() {
			return c, nil
		}
		_ = c.file.Close() // the spool left it
	}
}

// take takes the idle connection that was used last, or makes one.
func (p *spool) take() (c connection, fresh bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.spare); n > 0 {
		f := p.spare[n-1]
		p.spare = p.spare[:n-1]
		return connection{f, p.link}, false, nil
	}
	c, err = p.open()
	return c, true, err
}

// open makes a connection; the caller holds mu. It does not wait.
func (p *spool) open() (connection, error) {
	if p.link == nil {
		return connection{}, errNoSpool
	}
	f, err := submit.Connect(p.link)
	if absence.Ended(err) {
		// The spool is gone, until qmail-start sends a new link.
		_ = p.link.Close() // its peer is gone
		p.link = nil
		p.absence.Begin()
		return connection{}, errNoSpool
	}
	if err != nil {
		return connection{}, unavailable("connect to qmail-spool", err)
	}
	return connection{f, p.link}, nil
}

// greeting waits until the spool is ready for the connection's first message.
func (c connection) greeting() error {
	err := c.file.SetDeadline(time.Now().Add(greetingTime))
	if err == nil {
		err = submit.ReadGreeting(c.file)
	}
	if err != nil {
		_ = c.file.Close() // nothing was written
		return unavailable("greeting of qmail-spool", err)
	}
	return nil
}

// alive reports whether an idle connection is silent, as it must be, and not
// at its end.
func (c connection) alive() bool {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return false
	}
	silent := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, peekErr := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		silent = peekErr == unix.EAGAIN
	})
	return err == nil && silent
}

// keep takes back a connection that is between two messages.
func (p *spool) keep(c connection) {
	p.mu.Lock()
	keep := p.link == c.link && len(p.spare) < maxSpare
	if keep {
		p.spare = append(p.spare, c.file)
	}
	p.mu.Unlock()
	if !keep {
		_ = c.file.Close() // nothing unanswered is on it
	}
}

func unavailable(op string, err error) error {
	return fate.Temp("3.0", "qq trouble: mail queue is not available (#4.3.0)", op, err)
}

// spoolSubmission is one message for qmail-spool.
type spoolSubmission struct {
	pool   *spool
	from   origin
	stream connection // no file until write was called
}

// write opens a connection for a message that does not fit into one piece.
func (s *spoolSubmission) write(piece []byte) error {
	if s.stream.file == nil {
		most := streamsOfOne
		if s.from.trusted {
			most = maxStreams
		}
		if s.pool.streams.Enter(s.from.client, maxStreams, most) != sessionlimit.Counted {
			return errManyStreams
		}
		c, err := s.pool.connect()
		if err != nil {
			s.pool.streams.Leave(s.from.client)
			return err
		}
		s.stream = c
	}
	header := submit.AppendHeader(nil, submit.Message, len(piece))
	if err := s.stream.send([][]byte{header, piece}); err != nil {
		return unavailable("write to qmail-spool", err)
	}
	return nil
}

func (s *spoolSubmission) commit(last, envelope []byte) (string, error) {
	if s.stream.file == nil {
		return s.pool.commitShort(last, envelope)
	}
	c := s.stream
	s.stream = connection{}
	defer s.pool.streams.Leave(s.from.client)
	answer, err := c.exchange(commitFrames(last, envelope, newNonce()))
	if err != nil {
		_ = c.file.Close() // drops what was not committed
		return "", err
	}
	s.pool.keep(c)
	return enqueue.Verdict(answer)
}

// commitShort hands in a message that was kept until its end.
func (p *spool) commitShort(last, envelope []byte) (string, error) {
	if err := p.turn(); err != nil {
		return "", err
	}
	defer func() { <-p.commits }()
	answer, err := p.submit(last, envelope, newNonce())
	if err != nil {
		return "", err
	}
	return enqueue.Verdict(answer)
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

func (s *spoolSubmission) abort() {
	if s.stream.file == nil {
		return
	}
	_ = s.stream.file.Close() // drops the unfinished message
	s.stream = connection{}
	s.pool.streams.Leave(s.from.client)
}

// exchange sends the rest of a message and waits for the answer.
func (c connection) exchange(frames [][]byte) (submit.Answer, error) {
	if err := c.send(frames); err != nil {
		return submit.Answer{}, unavailable("write to qmail-spool", err)
	}
	if err := c.file.SetReadDeadline(time.Now().Add(commitTime)); err != nil {
		return submit.Answer{}, unavailable("wait for qmail-spool", err)
	}
	answer, err := submit.ReadAnswer(c.file)
	if err != nil {
		return submit.Answer{}, unavailable("answer of qmail-spool", err)
	}
	return answer, nil
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

// maxPieces is how many pieces the kernel takes in one write (IOV_MAX).
const maxPieces = 1024

// send writes frames in as few system calls as the socket takes them.
func (c connection) send(frames [][]byte) error {
	if err := c.file.SetWriteDeadline(time.Now().Add(commitTime)); err != nil {
		return err
	}
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	var writeErr error
	err = raw.Write(func(fd uintptr) bool {
		for len(frames) > 0 {
			n, err := unix.Writev(int(fd), frames[:min(len(frames), maxPieces)])
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				writeErr = err
				return err != unix.EAGAIN
			}
			frames = advance(frames, n)
		}
		writeErr = nil
		return true
	})
	if err == nil && writeErr != nil {
		err = os.NewSyscallError("writev", writeErr)
	}
	return err
}

// advance drops the first n bytes of frames.
func advance(frames [][]byte, n int) [][]byte {
	for len(frames) > 0 && n >= len(frames[0]) {
		n -= len(frames[0])
		frames = frames[1:]
	}
	if len(frames) > 0 {
		frames[0] = frames[0][n:]
	}
	return frames
}
