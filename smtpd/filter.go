package smtpd

import (
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/enqueue"
	"postrider/internal/fate"
	"postrider/internal/fdpass"
	"postrider/internal/wire/filter"
	"postrider/internal/wire/submit"
)

// maxFiltered is how many messages are with qmail-filter, or on their way to
// it, at a time. Short ones get there at their end.
const maxFiltered = 256

var (
	errNoFilter    = errors.New("qmail-filter does not run")
	errManyFilters = fate.Temp("3.2", "too much mail waits for its filter, try again soon (#4.3.2)", opFilter, errors.New("too many messages"))
)

// filters is the link to qmail-filter, which runs the QMAILQUEUE programs that
// rules name (internal/wire/filter) and speaks with milters
// (internal/wire/milter).
type filters struct {
	places chan struct{} // of messages
	talks  chan struct{} // of transactions with milters

	mu   sync.Mutex
	link *fdpass.Packets // nil: there is none
}

func newFilters() *filters {
	return &filters{places: make(chan struct{}, maxFiltered), talks: make(chan struct{}, maxTalks)}
}

// relink takes a new link: qmail-filter was restarted, or starts.
func (f *filters) relink(file *os.File) error {
	link, err := fdpass.NewPackets(file)
	if err != nil {
		_ = file.Close() // was only received
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.link != nil {
		_ = f.link.Close() // its peer is gone
	}
	f.link = link
	return nil
}

func (f *filters) connect() (connection, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.link == nil {
		return connection{}, errNoFilter
	}
	file, err := submit.Connect(f.link)
	if errors.Is(err, unix.EPIPE) {
		_ = f.link.Close() // its peer is gone
		f.link, err = nil, errNoFilter
	}
	return connection{File: file}, err
}

func (f *filters) linked() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.link != nil
}

// intake begins a message: with milters, if there are some, else where it goes
// behind them.
func (s *session) intake() (submission, error) {
	next, err := s.handIn()
	if err != nil || s.milter == nil {
		return next, err
	}
	return &milterSubmission{session: s, talk: s.milter, next: next}, nil
}

// handIn begins a message in the queue, or with the filter of this client.
func (s *session) handIn() (submission, error) {
	if !s.isFiltered() {
		return s.queue.begin(origin{s.client, s.peer.relay})
	}
	if !s.filters.linked() {
		return nil, errNoFilter
	}
	return &filterSubmission{filters: s.filters, client: filter.AppendVariables(nil, s.variables())}, nil
}

// isFiltered reports whether the client's mail passes a program before it is
// queued. In the classic form programs takes care of that.
func (s *session) isFiltered() bool { return s.peer.filter != "" && s.filters != nil }

// takesFacts reports whether the queue takes the facts of internal/esmtp from
// this client: a program takes addresses only.
func (s *session) takesFacts() bool { return !s.isFiltered() && s.queue.takesFacts() }

// takesUser reports whether who has logged in may be among them.
func (s *session) takesUser() bool { return !s.isFiltered() && s.queue.takesUser() }

// variables are what tcpserver and qmail-smtpd set for their programs (spec
// sections 6.1, 6.7).
func (s *session) variables() []string {
	p := &s.peer
	entries := []string{"PROTO=TCP", "TCPREMOTEIP=" + p.ip, "TCPREMOTEPORT=" + p.port}
	add := func(name, value string, set bool) {
		if set {
			entries = append(entries, name+"="+value)
		}
	}
	add("TCPREMOTEHOST", p.host, p.host != unknown)
	add("TCPREMOTEINFO", p.info, p.hasInfo)
	add("TCPLOCALIP", p.localIP.String(), p.localIP.IsValid())
	add("TCPLOCALPORT", p.localPort, p.localPort != "")
	add("TCPLOCALHOST", p.local, p.local != unknown)
	add("RELAYCLIENT", p.relaySuffix, p.relay)
	add("SMTPHELOHOST", s.heloName, s.greeted)
	if user := s.loggedIn(); user != "" {
		entries = append(entries, "SMTPAUTHUSER="+user, "SMTP_AUTH_USER="+user, "SMTPAUTHMETHOD="+s.login.method)
	}
	return entries
}

// filterSubmission is one message for qmail-filter.
type filterSubmission struct {
	filters *filters
	client  []byte
	stream  connection // no file until it is needed
}

func (f *filterSubmission) write(piece []byte) error {
	if err := f.open(); err != nil {
		return err
	}
	header := submit.AppendHeader(nil, submit.Message, len(piece))
	if err := f.stream.Send([][]byte{header, piece}); err != nil {
		return noAnswer(err)
	}
	return nil
}

// open connects for the first piece.
func (f *filterSubmission) open() error {
	if f.stream.File != nil {
		return nil
	}
	select {
	case f.filters.places <- struct{}{}:
	default:
		return errManyFilters
	}
	c, err := f.filters.connect()
	if err != nil {
		<-f.filters.places
		return noAnswer(err)
	}
	f.stream = c
	if err := c.Send([][]byte{submit.AppendFrame(nil, filter.Variables, f.client)}); err != nil {
		return noAnswer(err)
	}
	return nil
}

func (f *filterSubmission) commit(last, envelope []byte) (string, error) {
	defer f.abort() // of what is not needed any more
	if err := f.open(); err != nil {
		return "", err
	}
	if err := f.stream.Send(commitFrames(last, envelope, submitNonce{})); err != nil {
		return "", noAnswer(err)
	}
	if err := f.stream.File.SetReadDeadline(time.Now().Add(filter.AnswerTime)); err != nil {
		return "", noAnswer(err)
	}
	answer, err := submit.ReadAnswer(f.stream.File)
	if err != nil {
		return "", noAnswer(err)
	}
	return enqueue.Verdict(answer)
}

func (f *filterSubmission) abort() {
	if f.stream.File == nil {
		return
	}
	_ = f.stream.File.Close() // drops the message if it was not committed
	f.stream = connection{}
	<-f.filters.places
}

// opFilter marks the errors that say nothing of the message.
const opFilter = "ask qmail-filter"

// notQueued is the answer to a message that the queue or a filter did not take.
func (s *session) notQueued(err error) reply {
	var decided *milterRefusal
	if errors.As(err, &decided) {
		return decided.reply
	}
	r := queueReply(err)
	if e, isFate := errors.AsType[*fate.Error](err); isFate && e.Op == opMilter {
		s.logProblem("milter", err)
		return replyNoMilter
	}
	if !s.isFiltered() {
		s.logProblem("queue", err)
		return r
	}
	r.rule = "QMAILQUEUE"
	if e, isFate := errors.AsType[*fate.Error](err); isFate && e.Op == opFilter {
		s.logProblem("filter", err)
	}
	return r
}

// noAnswer is what a client is told whose filter could not be asked.
func noAnswer(err error) error {
	return fate.Temp("3.5", replyNoFilter.text, opFilter, err)
}
