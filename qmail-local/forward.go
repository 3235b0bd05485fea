package qmaillocal

import (
	"errors"
	"io"
	"strings"

	"postrider/internal/enqueue"
	"postrider/internal/esmtp"
	"postrider/internal/fate"
)

// forward hands the message in for all addresses that were collected.
func (d *delivery) forward(sender string) (qp string, err error) {
	if err := d.takeSlot(); err != nil {
		return "", err
	}
	submission, err := enqueue.Begin(enqueue.Options{
		Home:         d.qmail,
		QueueProgram: getenv(d.variables, "QMAILQUEUE"),
		Environ:      d.variables,
	})
	if err != nil {
		return "", refused(err)
	}
	defer submission.Abort()
	if err := d.handIn(submission, sender); err != nil {
		return "", err
	}
	if qp, err = submission.Commit(); err != nil {
		return "", refused(err)
	}
	return qp, nil
}

func (d *delivery) handIn(s *enqueue.Submission, sender string) error {
	message := &sourceReader{r: io.MultiReader(strings.NewReader(d.lines.deliveredTo), d.message.reader())}
	if _, err := io.Copy(s, message); err != nil {
		if message.err != nil {
			return unreadable(message.err)
		}
		return refused(err)
	}
	if err := s.Sender(sender); err != nil {
		return refused(err)
	}
	if d.requireTLS {
		if !s.TakesFacts() {
			return fate.Perm("7.30", noRequireTLS, "forward", nil)
		}
		if err := s.Fact(esmtp.RecordRequireTLS, ""); err != nil {
			return refused(err)
		}
	}
	for _, recipient := range d.forwards {
		if err := s.Recipient(recipient); err != nil {
			return refused(err)
		}
	}
	return nil
}

// noRequireTLS tells that a program that is handed forwards would not know.
const noRequireTLS = "Unable to forward message: it came with REQUIRETLS, which a program in place of qmail-queue does not know. (#5.7.30)"

// refused is the failure for what the queue answered.
func refused(err error) error {
	var e *fate.Error
	if !errors.As(err, &e) {
		return temporary("forward", err, "Unable to forward message: %s. (#4.3.0)", reason(err))
	}
	refusal := *e
	refusal.Text = "Unable to forward message: " + e.Text + "."
	return &refusal
}

// sourceReader remembers that reading failed: io.Copy does not say which side.
type sourceReader struct {
	r   io.Reader
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
