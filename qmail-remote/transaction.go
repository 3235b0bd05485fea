package qmailremote

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"postrider/internal/address"
	"postrider/internal/esmtp"
	"postrider/internal/queuedir"
	"postrider/internal/smtpwire"
)

// mail is a message with its envelope, for one destination.
type mail struct {
	sender     address.Address
	recipients []address.Address
	facts      esmtp.Message
	wishes     []esmtp.Recipient // one for each recipient, or none
	body       *body
	id         queuedir.ID // of a worker's message
	signing    *signing    // nil: it is not signed
	relay      string      // the next host, if an operator has named it
	probe      bool        // hosts that are known to be down are asked, too
	limits     limits      // of control/destinations
}

// only returns the message for the recipients at the given places.
func (m mail) only(places []int) mail {
	part := m
	part.recipients = make([]address.Address, len(places))
	for i, at := range places {
		part.recipients[i] = m.recipients[at]
	}
	if m.wishes != nil {
		part.wishes = make([]esmtp.Recipient, len(places))
		for i, at := range places {
			part.wishes[i] = m.wishes[at]
		}
	}
	return part
}

// state is how far a transaction came.
type state int

const (
	// settled: the outcome counts.
	settled state = iota
	// refused: the server did not take the sender.
	refused
	// gone: the connection ended before the server could have accepted
	// anything, so that another one may be tried.
	gone
	// unchunked: the server offers CHUNKING and does not know BDAT.
	unchunked
)

// lateReply is how long a reply is waited for when the server has closed the
// connection in the middle of a message.
const lateReply = time.Second

// envelope is what the server said before the message. A code of 0 means that
// the command was not sent.
type envelope struct {
	mail  smtpwire.Reply
	rcpt  []smtpwire.Reply
	taken bool // a recipient was
	data  smtpwire.Reply
}

// transact sends a message, unless ctx ends before all of it is sent; after
// that the server's answer is waited for in any case.
func (s *session) transact(ctx context.Context, m mail) (outcome, state) {
	if s.ext.utf8 {
		return s.transactAll(ctx, m)
	}
	part, refused, never := inASCII(s.ip(), m)
	if never != nil {
		return outcome{message: *s.lacks(never), recipients: refused}, settled
	}
	if s.ext.postponed != "" {
		for i := range refused {
			if refused[i].class == rcptNever {
				refused[i] = report{class: rcptLater, text: nameRejected(s.ip(), s.ext.postponed).text}
			}
		}
	}
	o, st := s.transactAll(ctx, part)
	return spread(o, m.recipients, refused), st
}

// lacks is never, the report on a message for which the server lacks an
// extension, unless that is to be found out another time.
func (s *session) lacks(never *report) *report {
	if s.ext.postponed != "" && never.class == failed {
		return nameRejected(s.ip(), s.ext.postponed)
	}
	return never
}

// transactAll is transact for a message that the server's extensions allow.
func (s *session) transactAll(ctx context.Context, m mail) (outcome, state) {
	release := s.guard(ctx)
	defer release()
	ip := s.ip()
	var never *report
	if m.body, never = s.forServer(ctx, m); never != nil {
		return whole(s.lacks(never)), settled
	}
	if s.ext.maxSize > 0 && m.body.wireSize > s.ext.maxSize {
		return whole(tooLarge(ip, m.body.wireSize, s.ext.maxSize)), settled
	}

	s.uses++
	chunked := s.ext.chunking && m.body.chunkable()
	env, err := s.envelope(m, chunked)
	if err != nil {
		return s.loss(err), gone
	}
	if env.mail.Code >= 400 {
		return whole(senderRejected(ip, env.mail)), refused
	}
	o := outcome{recipients: s.rcptReports(m, env.rcpt)}
	switch {
	case !env.taken:
		o.message = *givingUp(ip)
		return o, settled
	case chunked: // it is not asked whether it wants the message
	case env.data.Code >= 400:
		o.message = *dataFailed(ip, env.data)
		return o, settled
	case env.data.Code < 300:
		// No server that is in step with us says so to DATA.
		s.broken = true
		return whole(died(ip, false, env.data.Text)), gone
	}

	if s.key.protocol == lmtp {
		return s.messageByLMTP(m.body, release, o)
	}
	message, st := s.message(m.body, chunked, release)
	if st != settled {
		return whole(&message), st
	}
	o.message = message
	m.signing.note(&o)
	return o, settled
}

// loss is the outcome of a connection that ended before the end of a message.
func (s *session) loss(err error) outcome {
	var l *lost
	said := ""
	if errors.As(err, &l) {
		said = l.said
	}
	return whole(died(s.ip(), false, said))
}

// rcptReports is what the server said about each recipient.
func (s *session) rcptReports(m mail, replies []smtpwire.Reply) []report {
	reports := make([]report, len(replies))
	taken := false
	for i, reply := range replies {
		if reply.Code >= 400 {
			reports[i] = recipientRejected(s.ip(), reply, taken)
			continue
		}
		reports[i] = report{class: rcptTaken, passedOn: s.ext.dsn && m.wishes != nil && m.wishes[i].Notify != 0}
		taken = true
	}
	return reports
}

// envelope sends MAIL, RCPT and, if a recipient was taken and the message goes by
// it, DATA: in groups if the server allows that (RFC 2920), else one by one.
func (s *session) envelope(m mail, chunked bool) (envelope, error) {
	env := envelope{rcpt: make([]smtpwire.Reply, 0, len(m.recipients))}
	commands := s.commands(m)
	dataAt := len(commands)
	mailAt := dataAt - len(m.recipients) - 1
	if !chunked {
		commands = append(commands, "DATA\r\n")
	}
	for next := 0; next < len(commands); {
		end, group := s.group(commands, next)
		if next == dataAt && !env.taken {
			return env, nil
		}
		s.await(stepOf(next, mailAt, dataAt))
		if err := s.send(group); err != nil {
			return env, err
		}
		for ; next < end; next++ {
			s.await(stepOf(next, mailAt, dataAt))
			reply, err := s.reply()
			if err != nil {
				return env, err
			}
			switch {
			case next < mailAt: // RSET: MAIL will tell if that went wrong
				s.reset = false
			case next == mailAt:
				env.mail = reply
				s.reset = s.reset || reply.Code < 400
			case next < dataAt:
				env.rcpt = append(env.rcpt, reply)
				env.taken = env.taken || reply.Code < 400
			default:
				env.data = reply
			}
		}
		if next > mailAt && env.mail.Code >= 400 {
			break
		}
	}
	return s.withoutData(env), nil
}

// stepOf is the step of a command.
func stepOf(command, mailAt, dataAt int) step {
	switch {
	case command <= mailAt:
		return stepMail
	case command < dataAt:
		return stepRcpt
	}
	return stepData
}

// withoutData handles a DATA that had been sent together with recipients of
// which none was taken. If the server nevertheless waits for a message, it
// gets none, and with it ends the connection.
func (s *session) withoutData(env envelope) envelope {
	if env.mail.Code < 400 && env.taken {
		return env
	}
	if env.data.Code != 0 && env.data.Code < 400 {
		s.broken = true
	}
	env.data = smtpwire.Reply{}
	return env
}

// commands lists the commands of a transaction up to the message.
func (s *session) commands(m mail) []string {
	commands := make([]string, 0, len(m.recipients)+3)
	if s.reset {
		commands = append(commands, "RSET\r\n")
	}
	utf8 := s.ext.utf8 && m.needsUTF8()
	commands = append(commands, "MAIL FROM:<"+wireAddress(m.sender)+">"+s.mailParameters(m, utf8)+"\r\n")
	for i, r := range m.recipients {
		commands = append(commands, "RCPT TO:<"+wireAddress(r)+">"+s.rcptParameters(m, i, utf8)+"\r\n")
	}
	return commands
}

func (s *session) mailParameters(m mail, utf8 bool) string {
	var params string
	if s.ext.size && m.body.wireSize >= 0 {
		params += " SIZE=" + strconv.FormatInt(m.body.wireSize, 10)
	}
	if s.ext.eightBit && m.body.eightBit {
		params += " BODY=8BITMIME"
	}
	if utf8 {
		params += " SMTPUTF8"
	}
	if m.facts.RequireTLS {
		params += " REQUIRETLS"
	}
	if s.ext.dsn && m.facts.Return != 0 {
		params += " RET=" + m.facts.Return.String()
	}
	if s.ext.dsn && m.facts.EnvelopeID != "" {
		params += " ENVID=" + m.facts.EnvelopeID
	}
	return params
}

// rcptParameters are those of recipient i. Without SMTPUTF8 an original address
// in UTF-8 cannot be sent (RFC 6533 section 3).
func (s *session) rcptParameters(m mail, i int, utf8 bool) string {
	if !s.ext.dsn || m.wishes == nil {
		return ""
	}
	var params string
	if notify := m.wishes[i].Notify.String(); notify != "" {
		params += " NOTIFY=" + notify
	}
	if original := m.wishes[i].Original; original != "" && (utf8 || isASCII(original)) {
		params += " ORCPT=" + original
	}
	return params
}

// group returns the commands from next on that are sent together, and the
// index behind them.
func (s *session) group(commands []string, next int) (end int, group []byte) {
	for end = next; end < len(commands); end++ {
		if end > next && (!s.ext.pipelining || len(group)+len(commands[end]) > maxGroup) {
			break
		}
		group = append(group, commands[end]...)
	}
	return end, group
}

// messageSent sends the message after the server's 354, or as one chunk. release
// is called at the last moment at which the delivery can be called off. If it could
// not be sent, the report tells.
func (s *session) messageSent(b *body, chunked bool, release func() bool) (r report, st state, sent bool) {
	ip := s.ip()
	s.await(stepBlock)
	err := s.sendMessage(b, chunked, release)
	if err == nil {
		return report{}, settled, true
	}
	s.broken = true
	if errors.Is(err, errUnreadable) {
		return *unreadable(), settled, false
	}
	switch late, ok := s.lateRefusal(err); {
	case ok && chunked && isUnknown(late): // it has taken what it read for commands
		return *messageUnasked(ip, late), unchunked, false
	case ok:
		return *messageFailed(ip, late), settled, false
	}
	if !b.again() {
		return *died(ip, false, ""), settled, false
	}
	return *died(ip, false, ""), gone, false
}

// message sends the message and waits for the answer.
func (s *session) message(b *body, chunked bool, release func() bool) (report, state) {
	ip := s.ip()
	if r, st, sent := s.messageSent(b, chunked, release); !sent {
		return r, st
	}

	// Everything is sent and nothing answered: from here on only the answer
	// tells (RFC 1047), and no other host is tried.
	s.await(stepEnd)
	reply, err := s.reply()
	switch {
	case reply.Code == codeClosing && errors.Is(err, errClosing):
		return *messageFailed(ip, reply), settled
	case err != nil:
		return *died(ip, true, reply.Text), settled
	case chunked && isUnknown(reply):
		s.broken = true // it has taken the message for commands
		return *messageUnasked(ip, reply), unchunked
	case reply.Code >= 400:
		// A server that refused a chunk and did not read it takes the text for
		// commands, and its answers to them would pass for those to the next
		// message.
		s.last, s.reset = chunked, false
		return *messageFailed(ip, reply), settled
	case reply.Code >= 300:
		s.broken = true
		return *died(ip, true, reply.Text), settled
	}
	s.reset = false
	return *messageAccepted(ip, reply), settled
}

var errUnreadable = errors.New("message cannot be read")

// sendMessage sends the encoded message. The end mark, or the end of the chunk,
// goes out together with the last piece in one write: when that fails, it is not
// complete, and the server cannot have accepted the message.
func (s *session) sendMessage(b *body, chunked bool, release func() bool) error {
	r, err := b.open()
	if err != nil {
		return errUnreadable
	}
	if s.replies.Buffered() > 0 {
		return errUnasked
	}
	encoder := smtpwire.Encoder{Chunk: chunked}
	piece := make([]byte, b.piece())
	out := make([]byte, 0, len(piece)+len(piece)/16+64)
	left := int64(0) // of a chunk
	if chunked {
		out, left = appendChunk(out, b.wireSize), b.wireSize+chunkCommand(b.wireSize)
	}
	for {
		n, err := r.Read(piece)
		out = encoder.Append(out, piece[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return errUnreadable
		}
		if chunked && int64(len(out)) > left {
			return errUnreadable // it has become longer
		}
		if len(out) < pieceSize || chunked && int64(len(out)) == left {
			continue // that may be the last piece
		}
		left -= int64(len(out))
		if err := s.write(out); err != nil {
			return err
		}
		out = out[:0]
	}
	out = encoder.AppendEnd(out)
	if chunked && left != int64(len(out)) {
		return errUnreadable // it is not what it was
	}
	if !release() {
		return errCanceled
	}
	return s.write(out)
}

func (s *session) write(p []byte) error {
	if err := s.arm(); err != nil {
		return err
	}
	_, err := s.conn.Write(p)
	return err
}

// lateRefusal looks for the reply of a server that refused the message before
// its end and closed the connection.
func (s *session) lateRefusal(cause error) (smtpwire.Reply, bool) {
	if errors.Is(cause, errCanceled) || errors.Is(cause, errUnasked) || s.conn.SetDeadline(time.Now().Add(lateReply)) != nil {
		return smtpwire.Reply{}, false
	}
	reply, err := s.replies.Next()
	return reply, err == nil && reply.Code >= 400 && reply.Code != codeClosing
}

// wireAddress is an address as a command shows it. One without a domain goes
// as it is if the command allows that (spec 0.3).
func wireAddress(a address.Address) string {
	if !a.HasDomain() && !strings.ContainsFunc(a.String(), breaksCommand) {
		return a.String()
	}
	return a.Quoted()
}

// sendable reports whether a command can carry the address. Quotes protect
// the local part; a domain has none.
func sendable(a address.Address) bool {
	return !strings.ContainsFunc(a.Domain(), breaksCommand)
}

func breaksCommand(r rune) bool {
	return r <= ' ' || r == 0x7f || r == '<' || r == '>' || r == '"' || r == '\\'
}
