package filter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"time"

	"postrider/internal/logline"
	"postrider/internal/milter"
	"postrider/internal/milterwire"
	milterlink "postrider/internal/wire/milter"
	"postrider/internal/wire/submit"
)

// handTime is how long qmail-smtpd, which hands them on to the queue, may take
// for a piece of a message.
const handTime = 5 * time.Minute

// transaction is one that milters are asked about.
type transaction struct {
	*daemon
	intake
	milters *milter.Transaction
	id      string
	ip      netip.Addr
	stage   stage
	size    int64

	sender     string
	recipients []string // the first of those that milters take
	rcpts      int      // how many there are
}

// stage is what has come of a transaction.
type stage int

const (
	beforeMail stage = iota
	inEnvelope
	inText
)

// transact takes a transaction over a connection. The first frame has n bytes.
func (d *daemon) transact(conn *os.File, n int) error {
	payload, err := readStrings(conn, n)
	if err != nil {
		return err
	}
	session, err := milterlink.ParseSession(payload)
	if err != nil {
		return err
	}
	t := &transaction{daemon: d, intake: intake{conn: conn}, id: session.ID}
	defer t.close()
	client := clientOf(session)
	t.ip = client.IP
	list, _, err := d.milters.Get(time.Now())
	if err != nil {
		t.failure = refuse(textNoMilter, err)
	}
	t.milters = milter.Begin(list, client, func(line string) {
		d.log.Line(logPrefix + "warning: " + logline.Safe(line) + " id=" + logline.Safe(t.id))
	})
	defer t.milters.Close()
	for ended := false; !ended; {
		kind, n, err := submit.ReadHeader(conn)
		if err == nil {
			ended, err = t.frame(kind, n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func readStrings(r io.Reader, n int) ([]byte, error) {
	if n > milterlink.MaxStrings {
		return nil, fmt.Errorf("frame of %d bytes", n)
	}
	payload := make([]byte, n)
	_, err := io.ReadFull(r, payload)
	return payload, err
}

// clientOf returns what milters are told of a session. The macros are those of
// libmilter's documents that are known here.
func clientOf(s milterlink.Session) milter.Client {
	ip, _ := netip.ParseAddr(s.IP) // the zero one is an unknown client
	port, _ := strconv.ParseUint(s.Port, 10, 16)
	c := milter.Client{IP: ip.Unmap().WithZone(""), Port: uint16(port), Host: s.Host, Helo: s.Helo, Macros: milterwire.Macros{
		"j": s.Server, "v": "Postrider", "{daemon_name}": s.Server, "i": s.ID,
		"_": s.Host + " [" + s.IP + "]", "{client_addr}": s.IP, "{client_name}": s.Host, "{client_ptr}": s.Host, "{client_port}": s.Port,
	}}
	for name, value := range map[string]string{
		"{if_addr}": s.LocalIP, "{tls_version}": s.TLSVersion, "{cipher}": s.TLSCipher,
		"{auth_type}": s.AuthMethod, "{auth_authen}": s.User,
	} {
		if value != "" {
			c.Macros[name] = value
		}
	}
	return c
}

// frame does what qmail-smtpd says next.
func (t *transaction) frame(kind byte, n int) (ended bool, err error) {
	switch {
	case kind == milterlink.Mail && t.stage == beforeMail, kind == milterlink.Rcpt && t.stage == inEnvelope:
		t.stage = inEnvelope
		return false, t.path(kind, n)
	case kind == milterlink.Data && n == 0 && t.stage == inEnvelope:
		return false, t.answer("data", t.ask(t.milters.Data))
	case kind == milterlink.Message && t.stage >= inEnvelope:
		t.stage = inText
		t.room(t.scratch)
		t.size += int64(n)
		return false, t.take(int64(n))
	case kind == milterlink.End && n == 0 && t.stage == inText:
		return true, t.end()
	}
	return true, fmt.Errorf("unexpected frame %q of %d bytes", kind, n)
}

func (t *transaction) path(kind byte, n int) error {
	payload, err := readStrings(t.conn, n)
	if err != nil {
		return err
	}
	path, parameters, err := milterlink.ParsePath(payload)
	if err != nil {
		return err
	}
	if kind == milterlink.Mail {
		t.sender = path
		return t.answer("mail", t.ask(func() milterwire.Action { return t.milters.Mail(path, parameters) }))
	}
	a := t.ask(func() milterwire.Action { return t.milters.Rcpt(path, parameters) })
	if a.Verdict == milterwire.Continue {
		if t.rcpts++; t.rcpts <= maxListed {
			t.recipients = append(t.recipients, "<"+path+">")
		}
	}
	return t.answer("rcpt", a)
}

// ask asks the milters, if that can be done.
func (t *transaction) ask(what func() milterwire.Action) milterwire.Action {
	if t.failure != nil {
		return t.refused(t.failure)
	}
	return what()
}

// refused is the action for trouble of our own.
func (t *transaction) refused(err error) milterwire.Action {
	a := milterwire.Action{Verdict: milterwire.Refuse, Reply: milterwire.Reply{Code: 451, Enhanced: "4.3.5", Text: textNoMilter}}
	var own *trouble
	if errors.As(err, &own) {
		a.Reply.Text = own.text
	}
	if errors.Is(err, milter.ErrHeader) {
		a.Reply = milterwire.Reply{Code: 552, Enhanced: "5.3.4", Text: milter.ErrHeader.Error() + " (#5.3.4)"}
	}
	t.log.Line(logPrefix + "warning: milters cannot be asked: " + err.Error() + " id=" + logline.Safe(t.id))
	return a
}

// answer answers a command.
func (t *transaction) answer(step string, a milterwire.Action) error {
	answer := milterlink.Answer{Kind: milterlink.Continue}
	switch a.Verdict {
	case milterwire.Discard:
		answer.Kind = milterlink.Discard
	case milterwire.Refuse:
		answer = milterlink.Answer{Kind: milterlink.Refuse, Code: a.Reply.Code, Enhanced: a.Reply.Enhanced, Text: a.Reply.Text}
	}
	t.report(step, a)
	return t.send(milterlink.AppendAnswer(nil, answer))
}

func (t *transaction) send(frames []byte) error {
	if err := t.conn.SetWriteDeadline(time.Now().Add(handTime)); err != nil {
		return err
	}
	_, err := t.conn.Write(frames)
	return err
}

// report logs what milters have decided.
func (t *transaction) report(step string, a milterwire.Action) {
	line := fmt.Sprintf(" ip=%s id=%s step=%s", t.ip, logline.Safe(t.id), step)
	switch a.Verdict {
	case milterwire.Discard:
		if step == "end" { // what counts
			t.log.Line(logPrefix + "discarded" + line)
		}
	case milterwire.Refuse:
		t.log.Line(fmt.Sprintf("%srefused%s code=%d text=%s", logPrefix, line, a.Reply.Code, logline.Safe(a.Reply.Text)))
	}
}

// end has the milters read the message, and hands it back.
func (t *transaction) end() error {
	if t.failure == nil {
		if err := t.turn(); err != nil {
			t.failure = err
		} else {
			defer func() { <-t.turns }()
		}
	}
	if t.failure != nil {
		return t.answer("end", t.refused(t.failure))
	}
	message, err := milter.NewMessage(t.file, t.size)
	if err != nil {
		return t.answer("end", t.refused(err))
	}
	outcome, release := t.milters.End(message, t.scratch.Create)
	defer release()
	if outcome.Verdict != milterwire.Continue {
		return t.answer("end", outcome.Action)
	}
	var frames []byte
	switch {
	case outcome.Quarantine != "" && t.quarantine == "":
		return t.answer("end", noQuarantine)
	case outcome.Quarantine != "":
		if frames, err = t.quarantined(message, &outcome); err != nil {
			return t.answer("end", t.refused(err))
		}
	}
	if err := t.handBack(frames, message, outcome); err != nil {
		return err
	}
	if outcome.Quarantine != "" {
		t.log.Line(fmt.Sprintf("%squarantined ip=%s id=%s reason=%s", logPrefix, t.ip, logline.Safe(t.id), logline.Safe(outcome.Quarantine)))
	} else {
		t.log.Status(fmt.Sprintf("%spassed ip=%s id=%s milters=yes bytes=%d changes=%d", logPrefix, t.ip, logline.Safe(t.id), t.size, outcome.Changes))
	}
	return t.answer("end", outcome.Action)
}

// handBack sends the message as it is now, behind other frames.
func (t *transaction) handBack(frames []byte, message *milter.Message, o milter.Outcome) error {
	for _, c := range o.Envelope {
		kind := map[milterwire.Kind]byte{milterwire.ChangeFrom: milterlink.NewSender,
			milterwire.AddRcpt: milterlink.AddRcpt, milterwire.DeleteRcpt: milterlink.DeleteRcpt}[c.Kind]
		frames = milterlink.AppendPath(frames, kind, c.Address)
	}
	if err := t.send(frames); err != nil {
		return err
	}
	_, err := message.WriteTo(&pieceWriter{t: t})
	return err
}

// pieceWriter makes frames of what is written.
type pieceWriter struct {
	t     *transaction
	frame bytes.Buffer
}

func (w *pieceWriter) Write(p []byte) (int, error) {
	w.frame.Reset()
	w.frame.Write(submit.AppendHeader(nil, milterlink.Message, len(p)))
	w.frame.Write(p)
	if err := w.t.send(w.frame.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}
