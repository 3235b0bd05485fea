package smtpd

import (
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"postrider/internal/binarymime"
	"postrider/internal/listener"
	"postrider/internal/mailboxes"
)

const (
	// maxIdleCommands is how many commands a client may send without getting
	// nearer to a message: all but accepted RCPTs count, a queued message
	// starts again.
	maxIdleCommands = 100
	// maxSurplus is how many recipients of a session may be one too many, and
	// maxSurplusLogged how many of these have a line in the log.
	maxSurplus       = 50000
	maxSurplusLogged = 10
	// maxUnknown is how many lines that are no command a session may hold.
	maxUnknown = 10
	// maxTarpit bounds the pause behind a refusal.
	maxTarpit = time.Minute
	// flushAt bounds the replies that wait for a read.
	flushAt = 1 << 10
	// replyRoom holds the answer to EHLO.
	replyRoom = 256
	// goodbyeTime is how long the last reply of a session may take to send.
	goodbyeTime = 5 * time.Second
	// flawedIdle is how long a client may be silent inside a message that is
	// refused already: it may never send the real end mark.
	flawedIdle = 30 * time.Second
)

// Why a session ends before QUIT; the words of its log line.
var (
	errHungUp   = errors.New("hung up")
	errTimeout  = errors.New("timeout")
	errTooLong  = errors.New("session time over")
	errShutdown = errors.New("shutdown")
	errExpelled = errors.New("hung up on")
	errForeign  = errors.New("another protocol")
)

// session is one connection. Its goroutine owns it but for the two atomics.
type session struct {
	*service
	number   uint64
	conn     conn
	in       input
	out      []byte // replies not yet sent
	peer     peer
	settings *settings
	queue    queue
	began    time.Time
	lenient  bool // input is no connection: nobody can wait for a reply

	kind     listener.SMTP // of the port
	client   netip.Addr    // as which it is counted; the zero one is not
	tls      *tlsConn      // nil outside TLS
	xclients *xclients     // nil: XCLIENT is not for this client
	login    *login        // nil: AUTH was not said
	standing *standing     // nil: nothing was found out about the client

	state    state
	expelled bool // the last reply was a refusal
	greeted  bool // HELO or EHLO was said
	heloName string

	sender     string
	senderBad  bool // in badmailfrom
	envelope   []byte
	recipients int
	utf8       bool                  // MAIL said SMTPUTF8
	binary     bool                  // MAIL said BODY=BINARYMIME
	milter     *talk                 // about the transaction; nil: no milters
	submission submission            // while there is message text
	text       []byte                // borrowed, while there is message text
	incoming   incoming              // while there is message text
	converter  *binarymime.Converter // while a message with BODY=BINARYMIME comes
	failed     reply                 // why the message that comes in chunks is refused
	chunk      chunk                 // the one that BDAT announced

	named mailboxes.Session // the recipients

	idleCommands int
	surplus      int // recipients that were one too many
	unknown      int
	mails        int // transactions
	errors       int // refused commands since the last message
	queued       int // messages
	refused      int // commands and messages

	// atBoundary: waiting for a command outside a transaction.
	atBoundary atomic.Bool
}

// Interruptible reports that no message is in hand.
func (s *session) Interruptible() bool { return s.atBoundary.Load() }

// run greets, serves and says goodbye. It returns nil after QUIT.
func (s *session) run() error {
	defer s.in.free()
	defer s.reset()
	if s.began.IsZero() {
		s.began = time.Now()
	}
	err := s.talk()
	s.goodbye(err)
	return err
}

func (s *session) talk() error {
	r, err := s.greet()
	if err != nil {
		return err
	}
	s.say(r)
	for s.state != over {
		if len(s.out) > flushAt {
			if err := s.flush(s.settings.timeout); err != nil {
				return err
			}
		}
		if s.state == upgrade {
			if err := s.upgrade(); err != nil {
				return err
			}
		}
		var r reply
		var err error
		if s.state == message {
			r, err = s.receive()
		} else {
			r, err = s.command()
		}
		if err != nil {
			return err
		}
		if err := s.tarpit(r); err != nil {
			return err
		}
		s.say(r)
	}
	err = s.flush(goodbyeTime)
	if err == nil && s.expelled {
		err = errExpelled
	}
	return err
}

// greet waits, if the administrator wants that, before the greeting: a client
// that talks meanwhile does not speak SMTP (RFC 5321 section 4.3.1).
func (s *session) greet() (reply, error) {
	hello := greetingReply(s.settings.greeting)
	if s.settings.greetDelay <= 0 || s.lenient || s.peer.relay {
		return hello, nil
	}
	s.atBoundary.Store(true)
	defer s.atBoundary.Store(false)
	if err := s.setDeadline(s.settings.greetDelay); err != nil {
		return reply{}, err
	}
	if s.Stopping.Load() {
		return reply{}, errShutdown
	}
	err := s.in.fill()
	switch {
	case err == nil:
		s.logRefused(nil, replyRushed)
		return replyRushed, nil
	case isTimeout(err) && !s.Stopping.Load() && !s.CutOff.Load():
		return hello, nil
	}
	return reply{}, s.readError(err)
}

// tarpit delays a refusal if there were too many.
func (s *session) tarpit(r reply) error {
	wait := r.wait
	if s.errors > s.settings.tarpitErrors {
		wait = max(wait, s.settings.tarpitDelay)
	}
	if r.ok() || r.hangUp || wait <= 0 {
		return nil
	}
	return s.pause(wait)
}

// pause lets a client wait, with what was said before.
func (s *session) pause(wait time.Duration) error {
	if err := s.flush(s.settings.timeout); err != nil {
		return err
	}
	timer := time.NewTimer(min(wait, maxTarpit))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.Ending:
	}
	return nil
}

// goodbye sends what a client that is cut off may still be told.
func (s *session) goodbye(err error) {
	switch {
	case errors.Is(err, errTimeout):
		s.say(replyTimeout)
	case errors.Is(err, errSlow):
		s.say(replyTooSlow)
	case errors.Is(err, errTooLong):
		s.say(replySessionOver)
	case errors.Is(err, errShutdown):
		s.say(replyShutdown)
	case errors.Is(err, errNoMemory):
		s.say(replyBusy)
	default:
		return
	}
	_ = s.flush(goodbyeTime) // late or lost, there is nobody left to tell
}

// say queues a reply; it is sent before the next read.
func (s *session) say(r reply) {
	if s.out == nil {
		s.out = make([]byte, 0, replyRoom)
	}
	s.out = r.append(s.out)
	if !r.ok() {
		s.refused++
	}
	if r.hangUp {
		s.state = over
		s.expelled = !r.ok()
	}
}

// flush sends the replies that wait. A client that does not take them within
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

// command reads a command and answers it.
func (s *session) command() (reply, error) {
	inAuth := s.expectAuth()
	line, err := s.readLine()
	switch {
	case inAuth && (err == nil || err == errLineTooLong):
		return s.count(nil, s.authLine(line, err)), nil
	case err == errLineTooLong:
		return s.count(nil, replyLineTooLong), nil
	case err == errForeign:
		s.logRefused(nil, replyNotSMTP)
		return replyNotSMTP, nil
	case err != nil:
		return reply{}, err
	}
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return s.count(s.withoutSecret(line), replyBadByte), nil
		}
	}
	text := string(line)
	r := s.dispatch(text)
	if r.code == 0 { // BDAT: its octets come next, over what line is part of
		if r, err = s.readChunk(); err != nil {
			return reply{}, err
		}
		line = []byte(text)
	}
	return s.count(s.withoutSecret(line), r), nil
}

// isTLS reports whether input begins like a TLS handshake: another protocol's
// client may have been made to connect here (R55).
func isTLS(input []byte) bool { return len(input) >= 2 && input[0] == 0x16 && input[1] == 0x03 }

// count keeps the limits on commands.
func (s *session) count(line []byte, r reply) reply {
	if s.recipients > 0 && (r == replyTooManyRcpts || r == replyNoRoomForRcpt || r == replyManyRcpts) {
		return s.countSurplus(line, r)
	}
	if !r.ok() {
		s.errors++
		s.logRefused(line, r)
	}
	if r == replyRcptOK || r.ok() && r.progress {
		return r
	}
	s.idleCommands++
	if r == replyUnimplemented || r == replyBadByte || r == replyLineTooLong {
		s.unknown++
	}
	if s.idleCommands > maxIdleCommands || s.unknown > maxUnknown {
		return replyTooManyCmds
	}
	if s.errors > s.settings.maxErrors && s.settings.maxErrors > 0 && !r.hangUp {
		return replyTooManyErrors
	}
	return r
}

// countSurplus counts a recipient that is one too many. It is no misbehaviour:
// the client goes on with those that were taken (RFC 5321 section 4.5.3.1.10).
func (s *session) countSurplus(line []byte, r reply) reply {
	if s.surplus++; s.surplus > maxSurplus {
		return replyTooManyCmds
	}
	if s.surplus <= maxSurplusLogged {
		s.logRefused(line, r)
	}
	return r
}

// readLine waits for the next command line. The deadline is one for the whole
// line, however slowly it comes (R60).
func (s *session) readLine() ([]byte, error) {
	for first := true; ; first = false {
		if isTLS(s.in.unused()) {
			return nil, errForeign
		}
		line, found, err := s.in.line()
		if found {
			return line, err
		}
		if first {
			if err := s.awaitCommand(); err != nil {
				return nil, err
			}
		}
		err = s.in.fill()
		if err != nil {
			s.atBoundary.Store(false)
			return nil, s.readError(err)
		}
		if first {
			s.atBoundary.Store(false)
		}
	}
}

// awaitCommand prepares to wait for a command: replies are sent, borrowed
// memory is given back, the deadline is set.
func (s *session) awaitCommand() error {
	if err := s.flush(s.settings.timeout); err != nil {
		return err
	}
	s.in.narrow()
	s.atBoundary.Store(s.state == ready)
	if err := s.setDeadline(s.settings.timeout); err != nil {
		return err
	}
	// Whoever stops the service stores first and then cuts the deadline of
	// sessions at a boundary, so one of the two sees the other.
	if s.Stopping.Load() && s.state == ready {
		return errShutdown
	}
	return nil
}

// setDeadline gives the client wait from now, but never more than is left of
// the session.
func (s *session) setDeadline(wait time.Duration) error {
	now := time.Now()
	left := s.settings.sessionLimit - now.Sub(s.began)
	if left <= 0 {
		return errTooLong
	}
	if s.conn.SetReadDeadline(now.Add(min(wait, left))) != nil {
		return errHungUp
	}
	if s.CutOff.Load() {
		return errShutdown
	}
	return nil
}

// readError says what the end of a read means.
func (s *session) readError(err error) error {
	switch {
	case err == errNoMemory:
		return err
	case !isTimeout(err):
		return errHungUp
	case s.CutOff.Load(), s.Stopping.Load() && s.state == ready:
		return errShutdown
	case time.Since(s.began) >= s.settings.sessionLimit:
		return errTooLong
	}
	return errTimeout
}

// talksEarly reports whether the client went on without waiting for a reply
// that it has to wait for.
func (s *session) talksEarly() bool { return !s.lenient && s.in.waiting() }

// reset ends the transaction.
func (s *session) reset() {
	if s.submission != nil {
		s.submission.abort()
		s.submission = nil
	}
	if s.milter != nil {
		s.milter.close()
		s.milter = nil
	}
	s.lent.back(s.text)
	s.lent.give(cap(s.envelope))
	s.text, s.envelope = nil, nil
	s.dropConverter()
	s.sender, s.senderBad, s.recipients, s.utf8, s.binary = "", false, 0, false, false
	s.failed = reply{}
	if s.state != over {
		s.state = ready
	}
}

// helo answers HELO: the name is for the Received line only.
func (s *session) helo(name string) reply {
	if len(name) > maxPath {
		return replyHeloSyntax
	}
	s.reset()
	s.greeted, s.heloName = true, strings.Clone(name)
	return heloReply(s.settings.greeting)
}

// ehlo answers EHLO.
func (s *session) ehlo(name string) reply {
	if r := s.helo(name); !r.ok() {
		return r
	}
	r := ehloReply(s.settings, s.sizeLimit(), s.takesFacts())
	r.text += s.offers()
	return r
}

// sizeLimit is the most octets of a message; 0 is no limit.
func (s *session) sizeLimit() int64 {
	if s.peer.limited {
		return s.peer.databytes
	}
	return s.settings.databytes
}
