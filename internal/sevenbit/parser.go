package sevenbit

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const (
	pieceSize   = 4096      // read at a time; longer than any border
	maxHeader   = 256 << 10 // octets of one header
	maxDepth    = 32        // of parts in parts
	maxEntities = 10000
	maxBoundary = 70 // RFC 2046 section 5.1.1
)

// sink takes what a parser finds, in the order of the message. Entities are
// numbered by their headers.
type sink interface {
	header(at int, h header) error
	// body is a piece of the body of an entity that has no parts.
	body(at int, piece []byte) error
	// between is a piece of what stands before the first part of an entity or
	// behind its last.
	between(piece []byte) error
	// end says that such a body is complete; border, that the line end before
	// belongs to the border that follows.
	end(at int, border bool) error
	border(line []byte)
}

// level is an entity that has others in it.
type level struct {
	at       int
	boundary string // empty: a message, which ends with the entity around it
	sealed   bool   // signed or encrypted
	digest   bool   // its parts are messages unless they say otherwise
}

// state is what the next line belongs to.
type state byte

const (
	inHeader  state = iota
	inBody          // of the entity whose header came last
	inBetween       // of the innermost open entity
)

// parser goes through a message line by line.
type parser struct {
	r       *bufio.Reader
	open    []level // outermost first
	state   state
	head    []byte // the header that is being read
	next    int    // number of the next entity
	midLine bool   // the piece before had no line end
}

func newParser(r *bufio.Reader) *parser { return &parser{r: r} }

// step reads one piece of the message, at most a line, and tells s. At the end
// of the message it returns io.EOF.
func (p *parser) step(s sink) error {
	piece, err := p.r.ReadSlice('\n')
	switch {
	case len(piece) == 0 && err == io.EOF:
		if err := p.finish(s, false); err != nil {
			return err
		}
		return io.EOF
	case err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull):
		return err
	}
	start := !p.midLine
	p.midLine = piece[len(piece)-1] != '\n'
	if start {
		if at, last, ok := p.isBorder(piece); ok {
			return p.cross(s, piece, at, last)
		}
	}
	switch p.state {
	case inBody:
		return s.body(p.next-1, piece)
	case inBetween:
		return s.between(piece)
	}
	if len(p.head)+len(piece) > maxHeader {
		return TooComplex
	}
	p.head = append(p.head, piece...)
	if start && len(piece) == 1 && piece[0] == '\n' {
		return p.headerEnds(s)
	}
	return nil
}

// isBorder reports whether a line is a border of an open entity, and if it is
// its last one (RFC 2046 section 5.1.1). The innermost comes first.
func (p *parser) isBorder(line []byte) (at int, last, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte("--"))
	if !ok || len(p.open) == 0 {
		return 0, false, false
	}
	rest = bytes.TrimRight(rest, " \t\r\n")
	for at := len(p.open) - 1; at >= 0; at-- {
		behind, ok := bytes.CutPrefix(rest, []byte(p.open[at].boundary))
		if p.open[at].boundary == "" || !ok {
			continue
		}
		if len(behind) == 0 || string(behind) == "--" {
			return at, len(behind) > 0, true
		}
	}
	return 0, false, false
}

// cross goes over a border of p.open[at]: what is open in it ends.
func (p *parser) cross(s sink, line []byte, at int, last bool) error {
	if err := p.finish(s, true); err != nil {
		return err
	}
	s.border(line)
	p.open = p.open[:at+1]
	p.state = inHeader
	if last {
		// What follows stands between: the entity around it goes on.
		p.open[at].boundary = ""
		p.state = inBetween
	}
	return nil
}

// finish ends what is being read.
func (p *parser) finish(s sink, border bool) error {
	switch p.state {
	case inHeader:
		if len(p.head) > 0 || p.next == 0 {
			if err := p.headerEnds(s); err != nil {
				return err
			}
		}
		if p.state == inBody {
			return s.end(p.next-1, border)
		}
	case inBody:
		return s.end(p.next-1, border)
	}
	return nil
}

// headerEnds takes in the header of the next entity.
func (p *parser) headerEnds(s sink) error {
	digest := len(p.open) > 0 && p.open[len(p.open)-1].digest && p.open[len(p.open)-1].boundary != ""
	h := parseHeader(p.head, digest)
	at := p.next
	if at == maxEntities {
		return TooComplex
	}
	p.next++
	if err := s.header(at, h); err != nil {
		return err
	}
	p.head = p.head[:0]
	p.state = inBody
	if !h.message && h.boundary == "" {
		return nil
	}
	if len(p.open) == maxDepth {
		return TooComplex
	}
	p.open = append(p.open, level{at: at, boundary: h.boundary, sealed: h.sealed, digest: h.digest})
	p.state = inBetween
	if h.message {
		p.state = inHeader
	}
	return nil
}
