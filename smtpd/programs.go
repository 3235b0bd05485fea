package smtpd

import (
	"bytes"

	"postrider/internal/enqueue"
	"postrider/internal/world"
)

// programs is the queue of the classic form: $QMAILQUEUE, else the public
// socket, else the drop directory.
type programs struct{ world world.World }

func (p programs) begin() (submission, error) {
	program, _ := p.world.Getenv("QMAILQUEUE")
	s, err := enqueue.Begin(enqueue.Options{Home: p.world.Home, QueueProgram: program, Environ: p.world.Environ})
	if err != nil {
		return nil, err
	}
	return programSubmission{s}, nil
}

// takesFacts is false for a program, which takes addresses only.
func (p programs) takesFacts() bool {
	program, _ := p.world.Getenv("QMAILQUEUE")
	return program == ""
}

type programSubmission struct{ *enqueue.Submission }

func (s programSubmission) write(piece []byte) error {
	_, err := s.Write(piece)
	return err
}

func (s programSubmission) commit(last, envelope []byte) (string, error) {
	defer s.Abort() // of what was not committed
	if err := s.write(last); err != nil {
		return "", err
	}
	for len(envelope) > 0 {
		record, rest, _ := bytes.Cut(envelope, []byte{0})
		if err := s.add(record[0], string(record[1:])); err != nil {
			return "", err
		}
		envelope = rest
	}
	return s.Commit()
}

func (s programSubmission) add(letter byte, value string) error {
	switch letter {
	case 'F':
		return s.Sender(value)
	case 'T':
		return s.Recipient(value)
	}
	return s.Fact(letter, value)
}

func (s programSubmission) abort() { s.Abort() }
