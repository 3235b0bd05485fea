package enqueue

import (
	"golang.org/x/sys/unix"

	"postrider/internal/queuedir"
	"postrider/internal/wire/submit"
)

// attempts is how often a message is handed in: a qmail-spool that is being
// replaced ends connections, and the next one has the same socket.
const attempts = 2

// inMemory is how much of a message and its envelope is kept in memory, from
// where it can be sent again.
const inMemory = 64 << 10

// sink is where a message streams that is too large for memory.
type sink interface {
	write(kind byte, p []byte) error // kind: submit.Message or submit.Envelope
	commit() (qp string, err error)
	abort()
}

// direct carries a message to qmail-spool, or into drop/.
type direct struct {
	home  string
	nonce queuedir.Nonce
	body  []byte // while out is nil: everything so far
	env   []byte
	out   sink
}

func newDirect(home string) (*direct, error) {
	d := &direct{home: home}
	if err := random(d.nonce[:]); err != nil {
		return nil, failure(ExitWrite, "get random bytes", err)
	}
	return d, nil
}

func random(p []byte) error {
	for len(p) > 0 {
		n, err := unix.Getrandom(p, 0)
		if err != nil && err != unix.EINTR {
			return err
		}
		p = p[max(n, 0):]
	}
	return nil
}

func (d *direct) message(p []byte) error { return d.add(submit.Message, &d.body, p) }

func (d *direct) envelope(p []byte) error { return d.add(submit.Envelope, &d.env, p) }

func (d *direct) add(kind byte, b *[]byte, p []byte) error {
	if d.out == nil && len(d.body)+len(d.env)+len(p) <= inMemory {
		*b = append(*b, p...)
		return nil
	}
	if d.out == nil {
		if err := d.overflow(); err != nil {
			return err
		}
	}
	return d.out.write(kind, p)
}

// overflow sends what is in memory on its way.
func (d *direct) overflow() error {
	for range attempts {
		s, err := dialSpool(d.home, d.nonce)
		if err != nil {
			break
		}
		if d.pour(s) == nil {
			d.out = s
			return nil
		}
		s.abort() // nothing is lost yet
	}
	f, err := createDrop(d.home, d.nonce)
	if err != nil {
		return err
	}
	if err := d.pour(f); err != nil {
		f.abort()
		return err
	}
	d.out = f
	return nil
}

func (d *direct) pour(s sink) error {
	err := s.write(submit.Message, d.body)
	if err == nil {
		err = s.write(submit.Envelope, d.env)
	}
	return err
}

func (d *direct) commit() (string, error) {
	if d.out != nil {
		return d.out.commit()
	}
	for range attempts {
		s, err := dialSpool(d.home, d.nonce)
		if err != nil {
			break
		}
		if a, err := s.exchange(d.body, d.env); err == nil {
			return verdict(a)
		}
	}
	// No answer: qmail-spool may or may not have the message. The nonce makes
	// one of two.
	f, err := createDrop(d.home, d.nonce)
	if err != nil {
		return "", err
	}
	if err := d.pour(f); err != nil {
		f.abort()
		return "", err
	}
	return f.commit()
}

func (d *direct) abort() {
	if d.out != nil {
		d.out.abort()
	}
}
