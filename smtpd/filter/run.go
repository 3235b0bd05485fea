package filter

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"postrider/internal/enqueue"
	"postrider/internal/fate"
	"postrider/internal/footprint"
	"postrider/internal/logline"
	"postrider/internal/wire/submit"
)

// exitCustomOld is the exit code whose text is on another descriptor than 6,
// that of standard error in one lineage (spec section 1.3).
const exitCustomOld = 88

// run passes the message through its program.
func (m *message) run() submit.Answer {
	out, err := newOutput(m)
	if err != nil {
		return m.refused(refuse(textNoFilter, err))
	}
	qp, err := m.pass(out)
	said := out.end()
	if err == nil {
		return submit.Answer{Kind: submit.Accepted, ID: qp}
	}
	if what := enqueue.Trouble(err); what != "" {
		m.log.Line(logPrefix + "warning: " + m.program + ": " + what)
	}
	return verdict(err, said)
}

// pass starts the program, hands it the message and its envelope, and waits
// for its end.
func (m *message) pass(out *output) (qp string, err error) {
	options := enqueue.Options{Home: m.home, QueueProgram: m.program, Environ: m.environ,
		Stderr: out.write, Limit: m.limit, GiveUp: m.stopped, StartBy: m.programs.Start}
	var s *enqueue.Submission
	footprint.UsualTimers(func() { s, err = enqueue.Begin(options) })
	out.started()
	if err != nil {
		return "", err
	}
	defer s.Abort() // unless it is committed
	piece := pieces.Get().(*[]byte)
	defer pieces.Put(piece)
	if _, err := io.CopyBuffer(struct{ io.Writer }{s}, struct{ io.Reader }{m.file.Section(0, m.body)}, *piece); err != nil {
		return "", err
	}
	if err := m.address(s); err != nil {
		return "", err
	}
	return s.Commit()
}

var errEnvelope = errors.New("the envelope of a message is broken")

// address hands over the envelope.
func (m *message) address(s *enqueue.Submission) error {
	in := bufio.NewReader(m.file.Section(m.body, m.envelope))
	give := s.Sender
	for letter := byte('F'); ; letter = 'T' {
		record, err := in.ReadSlice(0)
		switch {
		case err == io.EOF, errors.Is(err, bufio.ErrBufferFull):
			return errEnvelope
		case err != nil:
			return fmt.Errorf("read the envelope: %w", err)
		case len(record) == 1 && letter == 'T':
			return nil
		case len(record) == 1 || record[0] != letter:
			return errEnvelope
		}
		if err := give(string(record[1 : len(record)-1])); err != nil {
			return err
		}
		give = s.Recipient
	}
}

// verdict is the answer for a program that did not take the message.
func verdict(err error, said string) submit.Answer {
	a := submit.Answer{Kind: submit.Temporary, ExitCode: enqueue.ExitCode(err)}
	if fate.ClassOf(err) == fate.Permanent {
		a.Kind = submit.Permanent
	}
	var e *fate.Error
	if a.ExitCode == enqueue.ExitBug && errors.As(err, &e) {
		a.Text = e.Text // a crash has no exit code
	}
	text := enqueue.Explanation(err)
	if text == "" && a.ExitCode == exitCustomOld {
		text = said
	}
	if len(text) <= 2 || text[0] != submit.Temporary && text[0] != submit.Permanent {
		return a
	}
	a.Kind, a.Text = text[0], text[1:]
	return a
}

// report logs what became of a message.
func (m *message) report(a submit.Answer, took time.Duration) {
	event, code := "passed", ""
	if a.Kind != submit.Accepted {
		event, code = "refused", " code="+strconv.Itoa(a.ExitCode)
		if a.Text != "" {
			code += " text=" + logline.Safe(a.Text)
		}
	}
	line := fmt.Sprintf("%s%s ip=%s program=%s bytes=%d ms=%d%s", logPrefix, event, m.ip, logline.Safe(m.program), m.body, took.Milliseconds(), code)
	if a.Kind == submit.Accepted {
		m.log.Status(line + " pid=" + logline.Safe(a.ID))
		return
	}
	m.log.Line(line)
}
