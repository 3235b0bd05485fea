// Package miltertest is the milter's end of internal/milterwire, for tests: one
// that does what a test says, sensible or not.
package miltertest

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
)

// Packet is a packet of either side.
type Packet struct {
	Letter byte
	Data   string
}

// Packets are bytes to send, each packet with its length.
func Packets(list ...Packet) []byte {
	var b []byte
	for _, p := range list {
		b = binary.BigEndian.AppendUint32(b, uint32(1+len(p.Data)))
		b = append(append(b, p.Letter), p.Data...)
	}
	return b
}

// Options is the answer to the negotiation: version 6, all changes, and the
// steps that the milter does not want.
func Options(protocol uint32) []byte {
	data := binary.BigEndian.AppendUint32(nil, 6)
	data = binary.BigEndian.AppendUint32(data, 0x1ff)
	return Packets(Packet{Letter: 'O', Data: string(binary.BigEndian.AppendUint32(data, protocol))})
}

// Continue is the usual answer.
var Continue = Packets(Packet{Letter: 'c'})

// Milter is a running one.
type Milter struct {
	// Address is in the form of control/milters.
	Address string

	mu   sync.Mutex
	told []Packet
}

// Answer says what is sent for a packet; nil is nothing at all, and hangUp ends
// the connection behind it.
type Answer func(p Packet) (answer []byte, hangUp bool)

// Polite answers the negotiation, and all that wants an answer with Continue,
// but for letters in changed.
func Polite(changed map[byte][]byte) Answer {
	return func(p Packet) ([]byte, bool) {
		if b, found := changed[p.Letter]; found {
			return b, false
		}
		switch p.Letter {
		case 'O':
			return Options(0), false
		case 'D', 'A':
			return nil, false
		case 'Q':
			return nil, true
		}
		return Continue, false
	}
}

// Start starts a milter on a Unix socket until the test ends.
func Start(t testing.TB, answer Answer) *Milter {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	m := &Milter{Address: "unix:" + path}
	var running sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			running.Go(func() { m.Serve(c, answer) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return m
}

// Serve answers on one connection until that ends.
func (m *Milter) Serve(c io.ReadWriteCloser, answer Answer) {
	defer c.Close()
	for {
		var head [5]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		data := make([]byte, binary.BigEndian.Uint32(head[:])-1)
		if _, err := io.ReadFull(c, data); err != nil {
			return
		}
		p := Packet{Letter: head[4], Data: string(data)}
		m.mu.Lock()
		m.told = append(m.told, p)
		m.mu.Unlock()
		b, hangUp := answer(p)
		if len(b) > 0 {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
		if hangUp {
			return
		}
	}
}

// Told returns what the milter was told, of all connections.
func (m *Milter) Told() []Packet {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Packet(nil), m.told...)
}

// Text returns all that was told with one letter, in a row.
func (m *Milter) Text(letter byte) string {
	var b bytes.Buffer
	for _, p := range m.Told() {
		if p.Letter == letter {
			b.WriteString(p.Data)
		}
	}
	return b.String()
}
