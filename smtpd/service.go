package smtpd

import (
	"strconv"
	"strings"
	"time"

	"postrider/internal/clock"
	"postrider/internal/figures"
	"postrider/internal/logline"
	"postrider/internal/mailboxes"
	"postrider/internal/sessions"
)

// service is what all sessions of the process share.
type service struct {
	clock clock.Clock
	log   log
	lent  *budget
	// seldom keeps one trouble of ours from filling the log.
	seldom logline.Seldom
	counts figures.Counts
	keys   *keyring // nil in the classic form
	auth   checker  // of passwords; nil in the classic form without a program for it
	// filters has the messages of clients whose rule names a QMAILQUEUE program:
	// the daemon executes nothing. It is nil in the classic form.
	filters *filters

	// These are nil in the classic form: the process has one client, and
	// nobody to ask.
	mailboxes *mailboxes.Checker
	rates     *rates
	policy    *asker

	sessions.End // never comes in the classic form
}

// log is where lines go: *logline.Writer.
type log interface {
	Line(s string)
	Status(s string) // may be lost
}

const (
	logPrefix = "qmail-smtpd: "
	// maxLogged bounds what a line shows of a client's command.
	maxLogged = 300
)

// logEvent begins a line: what happened, in which session, from where.
func (s *session) logEvent(event string) *strings.Builder {
	b := &strings.Builder{}
	b.WriteString(logPrefix + event)
	logField(b, "session", strconv.FormatUint(s.number, 10))
	logField(b, "ip", s.peer.ip)
	return b
}

// logField appends one fact as name=value; the value is one word.
func logField(b *strings.Builder, name, value string) {
	b.WriteByte(' ')
	b.WriteString(name)
	b.WriteByte('=')
	if len(value) > maxLogged {
		value = value[:maxLogged]
	}
	b.WriteString(logline.Safe(value))
}

func (s *session) logConnect() {
	b := s.logEvent("connect")
	logField(b, "port", s.peer.port)
	logField(b, "to", s.peer.local)
	s.logTLS(b)
	s.log.Status(b.String())
}

// logRefused logs a command that was refused.
func (s *session) logRefused(line []byte, r reply) {
	s.countRefusal(r)
	b := s.logEvent("refused")
	logField(b, "helo", s.heloName)
	logField(b, "from", s.sender)
	logReply(b, r)
	logField(b, "command", string(line[:min(len(line), maxLogged)]))
	s.log.Line(b.String())
}

// logMessage logs a message that was read to its end.
func (s *session) logMessage(size int64, id string, r reply) {
	event := "accepted"
	if !r.ok() {
		event = "refused"
	}
	b := s.logEvent(event)
	logField(b, "helo", s.heloName)
	logField(b, "from", s.sender)
	logField(b, "rcpts", strconv.Itoa(s.recipients))
	logField(b, "bytes", strconv.FormatInt(size, 10))
	s.logTLS(b)
	if s.peer.relay {
		logField(b, "relay", "yes")
	}
	s.logUser(b)
	if r.ok() {
		logField(b, "id", id)
	} else {
		s.countRefusal(r)
		logReply(b, r)
	}
	s.log.Line(b.String())
}

// logReply appends why something was refused.
func logReply(b *strings.Builder, r reply) {
	logField(b, "code", strconv.Itoa(r.code))
	if r.rule != "" {
		logField(b, "rule", r.rule)
	}
	logField(b, "text", r.text)
}

// logInterrupted logs a message whose end never came.
func (s *session) logInterrupted(size int64, err error) {
	b := s.logEvent("interrupted")
	logField(b, "helo", s.heloName)
	logField(b, "from", s.sender)
	logField(b, "rcpts", strconv.Itoa(s.recipients))
	logField(b, "bytes", strconv.FormatInt(size, 10))
	logField(b, "why", err.Error())
	s.log.Line(b.String())
}

// logProblem logs trouble of our own, not of the client. The session that met
// it stands for all that meet it in the same minute.
func (s *session) logProblem(what string, err error) {
	note, ok := s.seldom.Allow(s.clock.Now(), err)
	if !ok {
		return
	}
	b := s.logEvent("problem")
	logField(b, "what", what)
	logField(b, "why", err.Error()+note)
	s.log.Line(b.String())
}

// logEnd logs what became of a session.
func (s *session) logEnd(err error) {
	b := s.logEvent("end")
	logField(b, "messages", strconv.Itoa(s.queued))
	logField(b, "refused", strconv.Itoa(s.refused))
	if !s.kind.TLS { // else the line at its begin says it
		s.logTLS(b)
	}
	logField(b, "ms", strconv.FormatInt(time.Since(s.began).Milliseconds(), 10))
	why := "quit"
	if err != nil {
		why = err.Error()
	}
	logField(b, "why", why)
	s.log.Status(b.String())
}
