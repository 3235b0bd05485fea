package smtpd

import (
	"bytes"
	"slices"

	"postrider/internal/enqueue"
	"postrider/internal/world"
)

// programs is the queue of the classic form: $QMAILQUEUE, else the public
// socket, else the drop directory.
type programs struct {
	world world.World
	login []string // what a login adds to the environment
}

// identify tells programs who has logged in, in the words of spec section 6.7.
func (p *programs) identify(user, method string) {
	p.login = []string{"RELAYCLIENT=", "TCPREMOTEINFO=" + user, "SMTPAUTHUSER=" + user, "SMTP_AUTH_USER=" + user, "SMTPAUTHMETHOD=" + method}
}

// environ is the environment of a program; of equal names the first one counts.
func (p *programs) environ() []string { return append(slices.Clone(p.login), p.world.Environ...) }

func (p *programs) begin(origin) (submission, error) {
	program, _ := p.world.Getenv("QMAILQUEUE")
	s, err := enqueue.Begin(enqueue.Options{Home: p.world.Home, QueueProgram: program, Environ: p.environ()})
	if err != nil {
		return nil, err
	}
	return programSubmission{s}, nil
}

// takesFacts is false for a program, which takes addresses only.
func (p *programs) takesFacts() bool {
	program, _ := p.world.Getenv("QMAILQUEUE")
	return program == "" && enqueue.StandIn(p.world.Home) == ""
}

// takesUser is false: the queue believes that of the daemon only.
func (p *programs) takesUser() bool { return false }

func (p *programs) full() bool { return false }

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
