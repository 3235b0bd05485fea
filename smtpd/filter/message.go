package filter

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"postrider/internal/enqueue"
	"postrider/internal/tcprules"
	"postrider/internal/wire/filter"
	milterlink "postrider/internal/wire/milter"
	"postrider/internal/wire/submit"
)

const (
	// arrivalTime is the longest that a message may take to come, as for
	// qmail-queue (spec section 1.1); qmail-smtpd has shorter limits.
	arrivalTime = 24 * time.Hour
	// maxEnvelope bounds the envelope of one message.
	maxEnvelope = 64 << 20
	// answerTime is how long qmail-smtpd may leave an answer unread.
	answerTime = 10 * time.Second
)

// message is one that comes over a connection.
type message struct {
	*daemon
	intake
	ip       netip.Addr
	program  string
	environ  []string
	body     int64 // bytes of the message, at the beginning of the file
	envelope int64 // bytes of the envelope, behind it
}

// trouble is a refusal that no program had a part in.
type trouble struct {
	text string // for the client
	err  error
}

func (t *trouble) Error() string { return t.err.Error() }

func refuse(text string, err error) error { return &trouble{text: text, err: err} }

const (
	textNoFilter = "the mail filter for your address is not available (#4.3.5)"
	textNoMilter = "the mail filter is not available (#4.3.5)"
	textNoRoom   = "too much mail waits for its filter, try again soon (#4.3.2)"
	textBroken   = "qq internal bug (#4.3.0)"
)

// serve takes a connection: its first frame says what is wanted.
func (d *daemon) serve(conn *os.File) {
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(arrivalTime)); err != nil {
		return
	}
	kind, n, err := submit.ReadHeader(conn)
	switch {
	case err != nil:
	case kind == milterlink.Begin:
		err = d.transact(conn, n)
	case kind == filter.Variables:
		err = d.filter(conn, n)
	default:
		err = fmt.Errorf("begins with a frame %q", kind)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		d.log.Line(logPrefix + "warning: message of qmail-smtpd: " + err.Error())
	}
}

// filter takes a message and answers it. The first frame has n bytes.
func (d *daemon) filter(conn *os.File, n int) error {
	m := &message{daemon: d, intake: intake{conn: conn}}
	defer m.close()
	if err := m.receive(n); err != nil {
		return err
	}
	began := time.Now()
	answer := m.answer()
	if answer.Kind == 0 {
		return nil // nobody waits for it
	}
	m.report(answer, time.Since(began))
	if conn.SetWriteDeadline(time.Now().Add(answerTime)) == nil {
		_, _ = conn.Write(submit.AppendAnswer(nil, answer)) // who is gone does not hear it
	}
	return nil
}

// receive takes all frames up to the commit. An error ends the connection:
// its peer left, or breaks the protocol.
func (m *message) receive(n int) error {
	if err := m.receiveClient(n); err != nil {
		return err
	}
	m.room(m.scratch)
	for {
		kind, n, err := submit.ReadHeader(m.conn)
		if err != nil {
			return err
		}
		switch {
		case kind == submit.Commit:
			_, err := io.CopyN(io.Discard, m.conn, int64(n))
			return err
		case kind == submit.Message && m.envelope == 0:
			m.body += int64(n)
		case kind == submit.Envelope && m.envelope+int64(n) <= maxEnvelope:
			m.envelope += int64(n)
		default:
			return fmt.Errorf("unexpected frame %q of %d bytes", kind, n)
		}
		if err := m.take(int64(n)); err != nil {
			return err
		}
	}
}

// receiveClient takes the first frame and looks up what follows from it.
func (m *message) receiveClient(n int) error {
	if n > filter.MaxVariables {
		return fmt.Errorf("%d bytes of variables", n)
	}
	block := make([]byte, n)
	if _, err := io.ReadFull(m.conn, block); err != nil {
		return err
	}
	variables, ip, err := filter.ParseVariables(block)
	if err != nil {
		return err
	}
	m.ip = ip
	var rule tcprules.Decision
	rules, _, err := m.rules.Get(time.Now())
	if err == nil {
		rule, err = rules.Match(tcprules.Client{IP: ip})
	}
	if err != nil {
		m.failure = refuse(textNoFilter, err)
		return nil
	}
	m.program, _ = rule.Lookup("QMAILQUEUE")
	if m.program == "" || rule.Deny {
		m.failure = refuse(textNoFilter, errors.New("control/tcp.smtp names no program for "+ip.String()))
		return nil
	}
	m.mu.Lock()
	inherited := m.daemon.environ
	m.mu.Unlock()
	m.environ = environment(inherited, rule, variables)
	return nil
}

// environment is that of a program under tcpserver: what the server was started
// with, what its rule says, and what the session has found out (spec section
// 6.1). The last counts.
func environment(inherited []string, rule tcprules.Decision, variables []string) []string {
	ofClients := func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(filter.Names, name)
	}
	environ := slices.DeleteFunc(slices.Clone(inherited), ofClients)
	environ = slices.DeleteFunc(rule.Apply(environ), ofClients)
	return append(environ, variables...)
}

// answer waits for the message's turn and passes it through its program. An
// answer without a kind is none: its client left before a program was started.
func (m *message) answer() submit.Answer {
	if m.failure != nil {
		return m.refused(m.failure)
	}
	if err := m.turn(); err != nil {
		return m.refused(err)
	}
	defer func() { <-m.turns }()
	if m.gone() {
		return submit.Answer{}
	}
	return m.run()
}

// turn waits until it is a message's turn; it ends with a read from turns.
func (d *daemon) turn() error {
	timer := time.NewTimer(turnTime)
	defer timer.Stop()
	select {
	case d.turns <- struct{}{}:
		return nil
	case <-timer.C:
		return refuse(textNoRoom, errors.New("too many messages are being filtered: control/concurrencyfilter"))
	case <-d.stopped:
		return refuse(textNoFilter, errors.New("shutdown"))
	}
}

func (m *message) refused(err error) submit.Answer {
	a := submit.Answer{Kind: submit.Temporary, ExitCode: enqueue.ExitConfig, Text: textBroken}
	var t *trouble
	if errors.As(err, &t) {
		a.Text = t.text
	}
	m.log.Line(logPrefix + "warning: a message cannot be filtered: " + err.Error())
	return a
}
