package smtpd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"postrider/internal/address"
	"postrider/internal/esmtp"
	"postrider/internal/fate"
	"postrider/internal/wire/milter"
	"postrider/internal/wire/submit"
)

// maxTalks is how many transactions are with milters at a time.
const maxTalks = 1000

var errManyTalks = errors.New("too many transactions are with milters")

// talk is what is said with qmail-filter about one transaction: it speaks with
// the milters (internal/wire/milter).
type talk struct {
	filters *filters
	stream  connection // no file: it has failed
	id      string
}

// hasMilters reports whether the client's transactions pass milters. In the
// classic form there are none.
func (s *session) hasMilters() bool {
	return s.settings.milters && s.filters != nil && !s.peer.noMilters
}

// openTalk begins what is said about a transaction.
func (s *session) openTalk() (*talk, error) {
	select {
	case s.filters.talks <- struct{}{}:
	default:
		return nil, errManyTalks
	}
	c, err := s.filters.connect()
	if err != nil {
		<-s.filters.talks
		return nil, err
	}
	t := &talk{filters: s.filters, stream: c, id: strconv.FormatUint(s.number, 10) + "-" + strconv.Itoa(s.mails)}
	name, _, _ := strings.Cut(s.settings.greeting, " ")
	told := milter.Session{Server: name, IP: s.peer.ip, Port: s.peer.port, Host: s.peer.host, User: s.loggedIn(), ID: t.id}
	if s.greeted {
		told.Helo = s.heloName
	}
	if s.peer.localIP.IsValid() {
		told.LocalIP = s.peer.localIP.String()
	}
	if s.tls != nil {
		told.TLSVersion, told.TLSCipher = s.tls.version, s.tls.cipher
	}
	if told.User != "" {
		told.AuthMethod = s.login.method
	}
	if err := c.Send([][]byte{milter.AppendSession(nil, told)}); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *talk) close() {
	if t.stream.File == nil {
		return
	}
	_ = t.stream.File.Close() // ends it
	t.stream = connection{}
	<-t.filters.talks
}

// send tells something.
func (t *talk) send(frames ...[]byte) error {
	if t.stream.File == nil {
		return os.ErrClosed
	}
	return t.stream.Send(frames)
}

// outcome waits for an answer; changes and piece are those of ReadOutcome.
func (t *talk) outcome(changes *[]milter.Change, piece func([]byte) error) (milter.Answer, error) {
	if err := t.stream.File.SetReadDeadline(time.Now().Add(milter.AnswerTime)); err != nil {
		return milter.Answer{}, err
	}
	if changes == nil {
		return milter.ReadAnswer(t.stream.File)
	}
	return milter.ReadOutcome(t.stream.File, changes, piece)
}

// milterMail asks about the sender; the zero reply is consent, here and below.
func (s *session) milterMail(sender address.Address, parameters string) reply {
	if !s.hasMilters() {
		return reply{}
	}
	t, err := s.openTalk()
	if err != nil {
		s.logProblem("milter", err)
		return replyNoMilter
	}
	s.milter = t
	return s.askMilter(milter.AppendPath(nil, milter.Mail, sender.Quoted(), strings.Fields(parameters)...))
}

// milterRcpt asks about a recipient.
func (s *session) milterRcpt(recipient address.Address, parameters string) reply {
	if s.milter == nil {
		return reply{}
	}
	return s.askMilter(milter.AppendPath(nil, milter.Rcpt, recipient.Quoted(), strings.Fields(parameters)...))
}

// milterData asks before the message comes.
func (s *session) milterData() reply {
	if s.milter == nil {
		return reply{}
	}
	return s.askMilter(submit.AppendFrame(nil, milter.Data, nil))
}

func (s *session) askMilter(frame []byte) reply {
	var a milter.Answer
	err := s.milter.send(frame)
	if err == nil {
		a, err = s.milter.outcome(nil, nil)
	}
	if err != nil {
		s.milter.close() // and so is the rest of the transaction refused
		s.logProblem("milter", err)
		return replyNoMilter
	}
	if a.Kind == milter.Refuse {
		return milterReply(a)
	}
	return reply{}
}

func milterReply(a milter.Answer) reply {
	return reply{code: a.Code, enhanced: a.Enhanced, text: a.Text, rule: "milters", hangUp: a.Code == 421}
}

// milterSubmission is a message that milters get before it is handed on.
type milterSubmission struct {
	session *session
	talk    *talk
	next    submission
	last    []byte // the piece that next does not have yet
}

// milterRefusal is the error of a message that a milter does not want.
type milterRefusal struct{ reply reply }

func (r *milterRefusal) Error() string { return r.reply.text }

// opMilter marks the errors that say nothing of the message.
const opMilter = "ask milters"

func noMilter(err error) error { return fate.Temp("3.5", replyNoMilter.text, opMilter, err) }

func (m *milterSubmission) write(piece []byte) error {
	if err := m.talk.send(submit.AppendHeader(nil, milter.Message, len(piece)), piece); err != nil {
		return noMilter(err)
	}
	return nil
}

func (m *milterSubmission) commit(last, envelope []byte) (string, error) {
	defer m.abort() // of what is not handed on
	if len(last) > 0 {
		if err := m.write(last); err != nil {
			return "", err
		}
	}
	if err := m.talk.send(submit.AppendFrame(nil, milter.End, nil)); err != nil {
		return "", noMilter(err)
	}
	var handing error // trouble with whom the message is handed on to
	changes := []milter.Change{}
	a, err := m.talk.outcome(&changes, func(piece []byte) error {
		handing = m.hand(piece)
		return handing
	})
	switch {
	case handing != nil:
		return "", handing
	case err != nil:
		return "", noMilter(err)
	case a.Kind == milter.Refuse:
		return "", &milterRefusal{milterReply(a)}
	}
	recipients := 0
	if a.Kind == milter.Continue {
		if envelope, recipients, err = changeEnvelope(envelope, changes, m.session.utf8); err != nil {
			return "", noMilter(err)
		}
	}
	if recipients == 0 {
		b := m.session.logEvent("discarded")
		logField(b, "id", m.talk.id)
		m.session.log.Line(b.String())
		return m.talk.id, nil
	}
	m.session.recipients = recipients
	next := m.next
	m.next = nil
	return next.commit(m.last, envelope)
}

// hand hands on what came before a piece, and keeps that: the last one goes
// with the envelope, and a short message in one.
func (m *milterSubmission) hand(piece []byte) error {
	if bytes.IndexByte(piece, '\r') >= 0 {
		return noMilter(errors.New("CR in a line of the message")) // none was in it
	}
	before := m.last
	m.last = piece
	if len(before) == 0 {
		return nil
	}
	return m.next.write(before)
}

func (m *milterSubmission) abort() {
	if m.next != nil {
		m.next.abort()
		m.next = nil
	}
}

// changeEnvelope makes the changes of milters to an envelope, and returns how
// many recipients it then has. A record of internal/esmtp in front of T belongs
// to that recipient.
func changeEnvelope(envelope []byte, changes []milter.Change, utf8 bool) (changed []byte, recipients int, err error) {
	records := bytes.SplitAfter(envelope, []byte{0})
	records = records[:len(records)-1] // nothing is behind the last NUL
	sender := records[0]
	var facts, one []byte
	var list [][]byte // of recipients
	for _, record := range records[1:] {
		switch {
		case record[0] == 'T':
			list = append(list, append(one, record...))
			one = nil
		case esmtp.IsRecipientRecord(record[0]):
			one = append(one, record...)
		default:
			facts = append(facts, record...)
		}
	}
	for _, c := range changes {
		keyword := "TO"
		if c.Kind == milter.NewSender {
			keyword = "FROM"
		}
		path, parameters, err := parsePath(keyword+":<"+c.Path+">", keyword)
		if err == nil && (parameters != "" || path.IsNull() && keyword == "TO" || !utf8 && !isASCII(path.String())) {
			err = errors.New("it is no address")
		}
		if err != nil {
			return nil, 0, fmt.Errorf("a milter gives %q: %w", c.Path, err)
		}
		switch c.Kind {
		case milter.NewSender:
			sender = appendRecord(nil, 'F', path.String())
		case milter.AddRcpt:
			if !hasRecipient(list, path) {
				list = append(list, appendRecord(nil, 'T', path.String()))
			}
		case milter.DeleteRcpt:
			list = withoutRecipient(list, path)
		case milter.OnlyRcpt:
			list = [][]byte{appendRecord(nil, 'T', path.String())}
		}
	}
	changed = append(bytes.Clone(sender), facts...)
	return append(changed, bytes.Join(list, nil)...), len(list), nil
}

func appendRecord(b []byte, letter byte, value string) []byte {
	return append(append(append(b, letter), value...), 0)
}

// isRecipient reports whether records end with a path as recipient. Milters
// may spell it in other letters.
func isRecipient(records []byte, path address.Address) bool {
	n := len(path.String())
	at := len(records) - n - 2
	return at >= 0 && records[at] == 'T' && (at == 0 || records[at-1] == 0) && strings.EqualFold(string(records[at+1:at+1+n]), path.String())
}

func hasRecipient(list [][]byte, path address.Address) bool {
	return slices.ContainsFunc(list, func(records []byte) bool { return isRecipient(records, path) })
}

func withoutRecipient(list [][]byte, path address.Address) [][]byte {
	return slices.DeleteFunc(list, func(records []byte) bool { return isRecipient(records, path) })
}
