package qmtp

import (
	"errors"
	"io"
	"time"

	"postrider/internal/address"
	"postrider/internal/authresults"
	"postrider/internal/header"
	"postrider/internal/netstring"
)

const (
	// maxLength is the longest netstring that stock qmail takes: it looks for
	// 200000000 before it takes the last digit.
	maxLength = 2000000009
	// maxAddress is the longest address that qmail takes here.
	maxAddress = 999
)

// maxSurplus is how many recipients behind the last one that is taken are told
// so, at least.
const maxSurplus = 100000

// errTooMany ends a session whose client names recipients without end.
var errTooMany = errors.New("too many recipients")

// message is one on its way from the client into the queue.
type message struct {
	*session
	submission submission // nil: the message is refused, the rest is read and dropped
	hops       header.HopCounter
	limit      int64 // octets; 0 is none
	size       int64 // octets stored, without our Received line
	begun      bool  // the text has an octet
	verdict    answer
	sender     string
	recipients int // of the submission

	forged *authresults.Remover // of fields in our name; nil: there is no such name
	text   []byte               // what it returns

	// of QMTP
	verdicts []verdict // on the first recipients
	tooMany  int       // recipients behind them
	logged   int       // refused recipients in the log
	unsure   bool      // qmail-lookup does not answer
}

// begin begins a message with our Received line.
func (s *session) begin() *message {
	m := &message{session: s, limit: s.settings.databytes}
	if s.settings.authServID != "" {
		m.forged = authresults.NewRemover(s.settings.authServID)
		m.text = make([]byte, 0, 1+pieceSize+authresults.MaxHeld)
	}
	if s.peer.limited {
		m.limit = s.peer.databytes
	}
	switch {
	case s.peer.filter != "" && s.filterMissing:
		m.refuse(answerNoFilter)
		return m
	case s.peer.refusal != "":
		m.refuse(refusedAnswer(s.peer.refusal))
		return m
	}
	submission, err := s.queue.begin(origin{s.client, s.peer.relay || s.protocol.emptyEnvelopes})
	if err != nil {
		m.logProblem("queue", err)
		m.refuse(queueAnswer(err))
		return m
	}
	m.submission = submission
	received := header.Received{
		Host: s.peer.host, IP: s.peer.ip, Info: s.peer.info, HasInfo: s.peer.hasInfo,
		By: s.peer.local, Protocol: s.protocol.name,
	}
	m.write(received.Append(nil, s.clock.Now()))
	return m
}

// refuse gives up the message; what still comes of it is read and forgotten.
// The first reason counts.
func (m *message) refuse(a answer) {
	if m.verdict.class == 0 {
		m.verdict = a
	}
	m.drop()
}

func (m *message) drop() {
	if m.submission != nil {
		m.submission.Abort()
		m.submission = nil
	}
}

// end frees what the message holds, whatever became of it.
func (m *message) end() {
	m.drop()
	m.lent.give(cap(m.verdicts))
	m.verdicts = nil
}

// interrupted ends a message that did not end.
func (m *message) interrupted(err error) error {
	m.drop()
	err = cause(err)
	m.logInterrupted(err)
	return err
}

// readText reads the text of the message to its end.
func (m *message) readText(from *netstring.String, crlf bool) error {
	if m.piece == nil {
		m.piece = make([]byte, 1+pieceSize)
	}
	var lines lineEnds
	for {
		n, err := from.Read(m.piece[1:])
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if crlf {
			m.take(lines.decode(m.piece, n))
		} else {
			m.take(m.piece[1 : 1+n])
		}
	}
	m.take(lines.rest())
	if m.forged != nil && m.submission != nil {
		m.write(m.forged.AppendEnd(m.text[:0]))
	}
	return from.Close()
}

// take applies the rules to a piece of the text, and hands it on.
func (m *message) take(piece []byte) {
	m.keepApart(piece)
	m.size += int64(len(piece))
	m.hops.Add(piece)
	switch {
	case m.submission == nil:
	case m.limit > 0 && m.size > m.limit:
		m.refuse(answerTooBig)
	case m.hops.Hops >= header.MaxHops:
		m.refuse(answerTooManyHops)
	case m.forged != nil: // nobody else may give results in our name (RFC 8601 section 5)
		m.write(m.forged.Rewrite(append(m.text[:0], piece...), 0))
	default:
		m.write(piece)
	}
}

// keepApart puts an empty line in front of a message that begins with white
// space: its first line would continue our Received line.
func (m *message) keepApart(piece []byte) {
	if m.begun || len(piece) == 0 {
		return
	}
	m.begun = true
	if header.Continues(string(piece[:1])) {
		m.take([]byte{'\n'})
	}
}

// write hands octets to the queue.
func (m *message) write(p []byte) {
	if _, err := m.submission.Write(p); err != nil {
		m.queueFailed(err)
	}
}

func (m *message) queueFailed(err error) {
	m.logProblem("queue", err)
	m.refuse(queueAnswer(err))
}

// readSender reads the envelope sender; bad is the answer to one that cannot be.
func (m *message) readSender(from netstring.Source, bad answer) error {
	text, ok, err := m.readAddress(from)
	if err != nil {
		return err
	}
	sender, err := address.New(text)
	if !ok || err != nil {
		m.refuse(bad)
		return nil
	}
	m.sender = text
	if m.settings.badMailFrom.Has(sender) {
		m.refuse(answerBadMailFrom)
	}
	if m.submission != nil {
		if err := m.submission.Sender(text); err != nil {
			m.queueFailed(err)
		}
	}
	return nil
}

// readAddress reads the netstring of an address, behind that of the text. It is
// not ok if it is too long; then there is no text.
func (m *message) readAddress(from netstring.Source) (text string, ok bool, err error) {
	s, err := netstring.Open(from, maxLength)
	if err != nil {
		return "", false, err
	}
	if n := s.Left(); n > maxAddress {
		err = s.Skip()
	} else {
		_, err = io.ReadFull(s, m.piece[:n])
		text, ok = string(m.piece[:n]), true
	}
	if err == nil {
		err = s.Close()
	}
	return text, ok, err
}

// addRecipient adds a recipient to the envelope.
func (m *message) addRecipient(a address.Address) {
	m.recipients++
	if m.submission == nil {
		return
	}
	if err := m.submission.Recipient(a.String()); err != nil {
		m.queueFailed(err)
	}
}

// finish commits the message and says what became of it.
func (m *message) finish() answer {
	id := ""
	if m.submission != nil && (m.recipients > 0 || m.protocol.emptyEnvelopes) {
		submission := m.submission
		m.submission = nil
		var err error
		if id, err = submission.Commit(); err != nil {
			m.queueFailed(err)
		} else {
			m.queued++
			m.verdict = acceptedAnswer(m.clock.Now().Truncate(time.Second), id)
		}
	}
	m.logMessage(id)
	if m.verdict.class != 0 && m.verdict.class != classOK { // else each recipient was counted
		m.countRefusal(m.verdict.rule)
	}
	if m.verdict.class != classOK {
		m.session.refused++
	}
	return m.verdict
}

// lineEnds makes LF of CR LF; any other CR stays.
type lineEnds struct {
	held bool // a CR was seen last
}

// decode decodes the n octets behind the first of buf, into buf: that leaves
// room for a CR that was held.
func (l *lineEnds) decode(buf []byte, n int) []byte {
	out := buf[:0]
	for _, c := range buf[1 : 1+n] {
		if l.held && c != '\n' {
			out = append(out, '\r')
		}
		if l.held = c == '\r'; !l.held {
			out = append(out, c)
		}
	}
	return out
}

// rest is what is left behind the last octet.
func (l *lineEnds) rest() []byte {
	if l.held {
		return []byte{'\r'}
	}
	return nil
}
