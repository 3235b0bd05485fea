package enqueue

import (
	"errors"
	"os"
	"strings"
	"time"

	"postrider/internal/address"
	"postrider/internal/fate"
)

// Options says how a message gets into the queue.
type Options struct {
	Home         string   // the qmail home directory
	QueueProgram string   // $QMAILQUEUE, or empty
	Environ      []string // of the queue program; nil is our own
	// Stderr is the queue program's descriptor 2; nil is our own.
	Stderr *os.File
	// Limit, if not 0, is how long the queue program may take. It is killed
	// with all that it has started at the limit, or when GiveUp is closed.
	Limit  time.Duration
	GiveUp <-chan struct{}
	// StartBy, if not nil, is called to start a queue program that has a Limit:
	// by fork, once. If it returns a number with an error, that is ended.
	StartBy func(fork func() (pid int, err error)) (pid int, err error)
}

// carrier is one of the ways.
type carrier interface {
	message(p []byte) error
	envelope(p []byte) error
	commit() (qp string, err error)
	abort()
}

// Submission is one message on its way into the queue: the message, then the
// sender, then the recipients, then Commit or Abort. Its first error stays.
type Submission struct {
	way   carrier
	buf   []byte
	err   error
	ended bool
}

// Begin starts a submission.
func Begin(o Options) (*Submission, error) {
	if o.QueueProgram == "" {
		o.QueueProgram = StandIn(o.Home)
	}
	if o.QueueProgram != "" {
		if o.Environ == nil {
			o.Environ = os.Environ()
		}
		p, err := startProgram(o)
		if err != nil {
			return nil, err
		}
		return &Submission{way: p}, nil
	}
	d, err := newDirect(o.Home)
	if err != nil {
		return nil, err
	}
	return &Submission{way: d}, nil
}

// StandIn returns the queue program of a host that has no queue: there
// bin/qmail-queue is a symbolic link to qmail-qmqpc (spec section 8.3). It is
// empty for other hosts.
func StandIn(home string) string {
	link := home + "/bin/qmail-queue"
	target, err := os.Readlink(link)
	if err != nil || target[strings.LastIndexByte(target, '/')+1:] != "qmail-qmqpc" {
		return ""
	}
	return link
}

// Write takes the next piece of the message: lines that end in LF.
func (s *Submission) Write(p []byte) (int, error) {
	if s.err == nil {
		s.err = s.way.message(p)
	}
	if s.err != nil {
		return 0, s.err
	}
	return len(p), nil
}

// Sender takes the envelope sender, after the whole message.
func (s *Submission) Sender(a string) error { return s.address('F', a) }

// Recipient takes a recipient, after the sender.
func (s *Submission) Recipient(a string) error { return s.address('T', a) }

// Fact takes a record of internal/esmtp: of the message behind the sender, of
// a recipient before it. A queue program knows no such records: what they say
// is not handed to it.
func (s *Submission) Fact(letter byte, value string) error {
	if s.err == nil && s.TakesFacts() {
		s.err = s.record(letter, value)
	}
	return s.err
}

// TakesFacts reports whether what Fact is told reaches the queue.
func (s *Submission) TakesFacts() bool {
	_, isProgram := s.way.(*program)
	return !isProgram
}

func (s *Submission) address(letter byte, a string) error {
	if s.err == nil {
		if _, err := address.New(a); err != nil {
			s.err = badAddress(err)
		}
	}
	if s.err == nil {
		s.err = s.record(letter, a)
	}
	return s.err
}

func (s *Submission) record(letter byte, value string) error {
	s.buf = append(append(append(s.buf[:0], letter), value...), 0)
	return s.way.envelope(s.buf)
}

func badAddress(err error) *fate.Error {
	if errors.Is(err, address.ErrTooLong) {
		return failure(ExitTooLong, "check envelope", err)
	}
	return explained(ExitRefused, true, "1.3", "envelope "+err.Error()+" (#5.1.3)", "check envelope")
}

// Commit ends the envelope and waits until the message is durable. It returns
// the number that the queue gave it. The error is a *fate.Error whose Text is
// what qmail's programs tell their caller; see ExitCode.
func (s *Submission) Commit() (qp string, err error) {
	if s.err == nil {
		s.err = s.way.envelope([]byte{0})
	}
	if s.err != nil {
		s.Abort()
		return "", s.err
	}
	s.ended = true
	return s.way.commit()
}

// Abort gives the message up, unless it was committed.
func (s *Submission) Abort() {
	if !s.ended {
		s.ended = true
		s.way.abort()
	}
}
