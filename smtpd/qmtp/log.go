package qmtp

import (
	"strconv"
	"strings"
	"time"

	"postrider/internal/logline"
)

// log is where lines go: *logline.Writer.
type log interface {
	Line(s string)
	Status(s string) // may be lost
}

const (
	// maxLogged bounds what a line shows of what a client says.
	maxLogged = 300
	// maxRefusedLogged is how many refused recipients of a message have a line;
	// the message's own line has their number.
	maxRefusedLogged = 10
)

// prefix is what lines of the program begin with.
func (s *service) prefix() string { return s.protocol.program + ": " }

// logEvent begins a line: what happened, in which session, from where.
func (s *session) logEvent(event string) *strings.Builder {
	b := &strings.Builder{}
	b.WriteString(s.prefix() + event)
	logField(b, "session", strconv.FormatUint(s.number, 10))
	logField(b, "ip", s.peer.ip)
	return b
}

// logField appends one fact as name=value; the value is one word.
func logField(b *strings.Builder, name, value string) {
	b.WriteString(" " + name + "=")
	b.WriteString(logline.Safe(value[:min(len(value), maxLogged)]))
}

func (s *session) logConnect() {
	b := s.logEvent("connect")
	logField(b, "port", s.peer.port)
	logField(b, "to", s.peer.local)
	s.log.Status(b.String())
}

// logRefusedRecipient logs and counts a recipient for whom no mail is taken.
func (m *message) logRefusedRecipient(recipient string, a answer) {
	m.countRefusal(a.rule)
	if m.logged++; m.logged > maxRefusedLogged {
		return
	}
	b := m.logEvent("refused")
	logField(b, "from", m.sender)
	logField(b, "rcpt", recipient)
	logAnswer(b, a)
	m.log.Line(b.String())
}

// logMessage logs a message that was read to its end.
func (m *message) logMessage(id string) {
	event := "accepted"
	if id == "" {
		event = "refused"
	}
	b := m.logEvent(event)
	m.logFacts(b)
	if m.peer.relay {
		logField(b, "relay", "yes")
	}
	if id != "" {
		logField(b, "id", id)
	} else if m.verdict.class != 0 { // else each recipient has its own reason
		logAnswer(b, m.verdict)
	}
	m.log.Line(b.String())
}

// logInterrupted logs a message whose end never came.
func (m *message) logInterrupted(err error) {
	b := m.logEvent("interrupted")
	m.logFacts(b)
	logField(b, "why", err.Error())
	m.log.Line(b.String())
}

func (m *message) logFacts(b *strings.Builder) {
	logField(b, "from", m.sender)
	logField(b, "rcpts", strconv.Itoa(m.recipients))
	if m.logged+m.tooMany > 0 {
		logField(b, "refused", strconv.Itoa(m.logged+m.tooMany))
	}
	logField(b, "bytes", strconv.FormatInt(m.size, 10))
}

// logAnswer appends why something was refused.
func logAnswer(b *strings.Builder, a answer) {
	logField(b, "class", string(a.class))
	if a.rule != "" {
		logField(b, "rule", a.rule)
	}
	logField(b, "text", a.text)
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
	logField(b, "ms", strconv.FormatInt(time.Since(s.began).Milliseconds(), 10))
	why := "done"
	if err != nil {
		why = err.Error()
	}
	logField(b, "why", why)
	s.log.Status(b.String())
}
