package sevenbit

import (
	"bufio"
	"errors"
	"io"
)

// treatment is what becomes of an entity: the message, a part, or a message in
// a part.
type treatment byte

const (
	keep    treatment = iota
	quote             // its body becomes quoted-printable
	encode            // its body becomes base64
	contain           // something in it is encoded: it is 7bit itself then
)

// Refusal says why a message has no 7-bit form.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// The refusals.
const (
	Signed     Refusal = "a signed or encrypted part has octets over 127"
	Encoded    Refusal = "an encoded part has octets over 127"
	Opaque     Refusal = "a part that cannot be encoded has octets over 127"
	TooComplex Refusal = "its parts are too many, or too deep, or have too long a header"
)

// planner is the sink that finds out what is to be encoded.
type planner struct {
	parser *parser
	plan   []treatment
	heads  []description
}

// makePlan reads a message. The plan is nil if all of it stays as it is.
func makePlan(src io.Reader) ([]treatment, error) {
	p := &planner{parser: newParser(bufio.NewReaderSize(src, pieceSize))}
	var err error
	for err == nil {
		err = p.parser.step(p)
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	for _, t := range p.plan {
		if t != keep {
			return p.plan, nil
		}
	}
	return nil, nil
}

func (p *planner) header(_ int, h header) error {
	p.plan = append(p.plan, keep)
	p.heads = append(p.heads, description{encoded: h.encoded, text: h.text, opaque: h.opaque})
	return nil
}

func (p *planner) body(at int, piece []byte) error {
	if p.plan[at] != keep || !eightBit(piece) {
		return nil
	}
	switch d := p.heads[at]; {
	case d.encoded:
		return Encoded
	case d.opaque:
		return Opaque
	case d.text:
		p.plan[at] = quote
	default:
		p.plan[at] = encode
	}
	return p.contain()
}

func (p *planner) between(piece []byte) error {
	if !eightBit(piece) {
		return nil
	}
	return p.contain()
}

// contain notes that something in the entities that are open changes.
func (p *planner) contain() error {
	for _, l := range p.parser.open {
		if l.sealed {
			return Signed
		}
		p.plan[l.at] = contain
	}
	return nil
}

func (p *planner) end(int, bool) error { return nil }
func (p *planner) border([]byte)       {}

func eightBit(p []byte) bool {
	for _, c := range p {
		if c >= 0x80 {
			return true
		}
	}
	return false
}
