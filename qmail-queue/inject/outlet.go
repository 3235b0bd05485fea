package inject

import (
	"io"

	"postrider/internal/enqueue"
	"postrider/internal/world"
)

// An outlet takes the message, then the envelope.
type outlet interface {
	io.Writer
	// finish submits what was written. forEach calls its argument with each
	// recipient.
	finish(sender string, forEach func(func(string) error) error) error
	// abort takes everything back, unless it is finished.
	abort()
}

func newOutlet(w world.World, req request) outlet {
	if req.print {
		return &printer{w.Stdout}
	}
	program, _ := w.Getenv("QMAILQUEUE")
	return &queue{options: enqueue.Options{Home: w.Home, QueueProgram: program, Environ: w.Environ}, facts: req.facts}
}

// queue submits the message. The submission begins with the first write, so
// that a small message that is refused never reaches it.
type queue struct {
	options enqueue.Options
	facts   facts
	sub     *enqueue.Submission
}

func (q *queue) begin() error {
	if q.sub != nil {
		return nil
	}
	var err error
	q.sub, err = enqueue.Begin(q.options)
	return err
}

func (q *queue) Write(p []byte) (int, error) {
	if err := q.begin(); err != nil {
		return 0, err
	}
	return q.sub.Write(p)
}

func (q *queue) finish(sender string, forEach func(func(string) error) error) error {
	if err := q.begin(); err != nil {
		return err
	}
	if err := q.sub.Sender(sender); err != nil {
		return err
	}
	if err := q.facts.ofMessage(q.sub); err != nil {
		return err
	}
	if err := forEach(func(recipient string) error {
		if err := q.facts.ofRecipient(q.sub); err != nil {
			return err
		}
		return q.sub.Recipient(recipient)
	}); err != nil {
		return err
	}
	sub := q.sub
	q.sub = nil
	_, err := sub.Commit()
	return err
}

func (q *queue) abort() {
	if q.sub != nil {
		q.sub.Abort()
	}
}

// printer writes the message to standard output and ignores the envelope.
type printer struct{ to io.Writer }

func (p *printer) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	if err != nil {
		err = trouble("unable to write to standard output", err)
	}
	return n, err
}

func (p *printer) finish(string, func(func(string) error) error) error { return nil }

func (p *printer) abort() {}
