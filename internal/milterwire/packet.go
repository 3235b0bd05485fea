package milterwire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// maxPacket is the longest packet that is read: more than libmilter sends.
	maxPacket = 1 << 20
	// maxSaid bounds all packets of a connection together, but for bodies.
	maxSaid = 4 << 20
	// maxProgress is how often a milter may say that it needs more time.
	maxProgress = 1000
	// flushAt is when what was written goes out although no answer is awaited.
	flushAt = 32 << 10
)

// ErrProtocol is in the chain of errors about what a milter has said.
var ErrProtocol = errors.New("milter breaks the protocol")

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrProtocol}, args...)...)
}

// Link is what a connection speaks over.
type Link interface {
	io.ReadWriter
	SetDeadline(time.Time) error
}

// packets sends and receives packets: four bytes of length, a letter, data.
type packets struct {
	link    Link
	in      *bufio.Reader
	out     []byte
	said    int
	timeout time.Duration // of each wait
	until   time.Time     // of all
}

// put adds a packet to those that go out with the next read.
func (p *packets) put(letter byte, parts ...[]byte) error {
	n := 1
	for _, part := range parts {
		n += len(part)
	}
	p.out = append(binary.BigEndian.AppendUint32(p.out, uint32(n)), letter)
	for _, part := range parts {
		p.out = append(p.out, part...)
	}
	if len(p.out) < flushAt {
		return nil
	}
	return p.flush()
}

func (p *packets) flush() error {
	if len(p.out) == 0 {
		return nil
	}
	if err := p.setDeadline(); err != nil {
		return err
	}
	_, err := p.link.Write(p.out)
	p.out = p.out[:0]
	return err
}

func (p *packets) setDeadline() error {
	deadline := time.Now().Add(p.timeout)
	if p.until.Before(deadline) {
		deadline = p.until
	}
	return p.link.SetDeadline(deadline)
}

// head waits for a packet and returns its letter and how much data it has.
func (p *packets) head() (letter byte, n int, err error) {
	if err := p.flush(); err != nil {
		return 0, 0, err
	}
	if err := p.setDeadline(); err != nil {
		return 0, 0, err
	}
	var head [5]byte
	if _, err := io.ReadFull(p.in, head[:4]); err != nil {
		return 0, 0, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size == 0 || size > maxPacket {
		return 0, 0, broken("packet of %d bytes", size)
	}
	if _, err := io.ReadFull(p.in, head[4:]); err != nil {
		return 0, 0, err
	}
	return head[4], int(size) - 1, nil
}

// get waits for a packet and returns all of it.
func (p *packets) get() (letter byte, data []byte, err error) {
	letter, n, err := p.head()
	if err == nil {
		data, err = p.data(n)
	}
	return letter, data, err
}

func (p *packets) data(n int) ([]byte, error) {
	if p.said += n + 5; p.said > maxSaid {
		return nil, broken("it says more than %d bytes", maxSaid)
	}
	data := make([]byte, n)
	_, err := io.ReadFull(p.in, data)
	return data, err
}
