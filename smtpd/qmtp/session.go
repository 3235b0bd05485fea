package qmtp

import (
	"bufio"
	"errors"
	"io"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"postrider/internal/clock"
	"postrider/internal/figures"
	"postrider/internal/logline"
	"postrider/internal/mailboxes"
	"postrider/internal/netstring"
	"postrider/internal/sessions"
)

const (
	// idleBuffer is what a session reads into while it waits for a message.
	idleBuffer = 1 << 10
	// pieceSize is as much of a message as is read at a time.
	pieceSize = 4 << 10
	// flushAt bounds the answers that wait for a read.
	flushAt = 1 << 10
	// goodbyeTime is how long the last answers of a session may take to send.
	goodbyeTime = 5 * time.Second
)

// Why a session ends before the client hangs up between messages; the words of
// its log line.
var (
	errHungUp   = errors.New("hung up")
	errTimeout  = errors.New("timeout")
	errTooLong  = errors.New("session time over")
	errSlow     = errors.New("too slow")
	errShutdown = errors.New("shutdown")
	errProtocol = errors.New("not the protocol")
	errNoMemory = errors.New("no memory to lend")
)

// service is what all sessions of the process share.
type service struct {
	protocol protocol
	clock    clock.Clock
	log      log
	lent     *budget
	counts   figures.Counts
	seldom   logline.Seldom // trouble of ours
	// filterMissing says that a client whose rule names a QMAILQUEUE program
	// gets no mail in: the daemon executes nothing, and passing the mail by the
	// filter would be worse than delaying it.
	filterMissing bool

	sessions.End // never comes in the classic form
}

// conn is the network side of a session.
type conn interface {
	io.Reader
	io.Writer
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// session is one connection. Its goroutine owns it but for atBoundary.
type session struct {
	*service
	number   uint64
	conn     conn
	in       *bufio.Reader // reads from the session
	out      []byte        // answers not yet sent
	piece    []byte        // of a message, with a byte in front
	peer     peer
	client   netip.Addr // zero in the classic form
	settings *settings
	queue    queue
	began    time.Time

	inMessage bool
	textBegan time.Time // of the message
	octets    int64     // of it, so far

	// mailboxes knows who has one; nil: nobody asks.
	mailboxes *mailboxes.Checker
	named     mailboxes.Session // the recipients

	queued  int // messages
	refused int // messages

	// atBoundary: waiting for a message.
	atBoundary atomic.Bool
}

// Interruptible reports that no message is in hand.
func (s *session) Interruptible() bool { return s.atBoundary.Load() }

// start makes the session ready to run.
func (s *session) start() {
	s.in = bufio.NewReaderSize(fromClient{s}, idleBuffer)
	s.began = time.Now()
}

// run serves to the end. It returns nil if the client left between messages,
// and what was answered was sent.
func (s *session) run() error {
	err := s.protocol.serve(s)
	err = cause(err)
	// What was answered before still counts.
	if flushErr := s.flush(goodbyeTime); err == nil {
		err = flushErr
	}
	return err
}

// cause says in our words why a message did not end.
func cause(err error) error {
	switch err {
	case netstring.ErrSyntax:
		return errProtocol
	case io.EOF, io.ErrUnexpectedEOF:
		return errHungUp
	}
	return err
}

// next waits for a message, and returns the netstring that it begins with. At
// the end of the connection the error is io.EOF.
func (s *session) next() (*netstring.String, error) {
	s.inMessage = false
	s.atBoundary.Store(true)
	defer s.atBoundary.Store(false)
	if s.Stopping.Load() {
		return nil, errShutdown
	}
	if _, err := s.in.Peek(1); err != nil {
		return nil, err
	}
	s.inMessage, s.textBegan, s.octets = true, time.Now(), int64(s.in.Buffered())
	return netstring.Open(s.in, maxLength)
}

// fromClient is what the client sends.
type fromClient struct{ *session }

// Read waits for more. Answers are sent before: the client may wait for them.
func (c fromClient) Read(p []byte) (int, error) {
	s := c.session
	if err := s.flush(s.settings.timeout); err != nil {
		return 0, err
	}
	due, cause := s.due()
	if due <= 0 {
		return 0, cause
	}
	if s.conn.SetReadDeadline(time.Now().Add(due)) != nil {
		return 0, errHungUp
	}
	// Whoever stops the service stores first and then cuts deadlines, so one of
	// the two sees the other.
	if s.CutOff.Load() || s.Stopping.Load() && s.atBoundary.Load() {
		return 0, errShutdown
	}
	n, err := s.conn.Read(p)
	if s.inMessage {
		s.octets += int64(n)
	}
	switch {
	case n > 0:
		return n, nil
	case err == io.EOF:
		return 0, err
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return 0, errHungUp
	case s.CutOff.Load(), s.Stopping.Load() && s.atBoundary.Load():
		return 0, errShutdown
	}
	return 0, cause
}

// due is how long the client may be silent now, and what it means if it is.
// What came of a message so far may have taken a silence and as long as the
// lowest rate needs for it.
func (s *session) due() (time.Duration, error) {
	due, cause := s.settings.timeout, errTimeout
	if left := s.settings.sessionLimit - time.Since(s.began); left < due {
		due, cause = left, errTooLong
	}
	if s.inMessage && s.settings.minRate > 0 {
		seconds := min(float64(s.octets)/float64(s.settings.minRate), 1e9)
		allowed := s.settings.timeout + time.Duration(seconds*float64(time.Second))
		if left := allowed - time.Since(s.textBegan); left < due {
			due, cause = left, errSlow
		}
	}
	return due, cause
}

// flush sends the answers that wait. A client that does not take them within
// the time has hung up.
func (s *session) flush(wait time.Duration) error {
	if len(s.out) == 0 {
		return nil
	}
	if s.conn.SetWriteDeadline(time.Now().Add(wait)) != nil {
		return errHungUp
	}
	_, err := s.conn.Write(s.out)
	s.out = s.out[:0]
	if err != nil {
		return errHungUp
	}
	return nil
}

// say queues an answer.
func (s *session) say(a answer) error {
	s.out = netstring.AppendHeader(s.out, int64(1+len(a.text)))
	s.out = append(s.out, a.class)
	s.out = append(append(s.out, a.text...), ',')
	if len(s.out) < flushAt {
		return nil
	}
	return s.flush(s.settings.timeout)
}
