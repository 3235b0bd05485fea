package authresults

import (
	"bytes"

	"postrider/internal/idn"
)

// MaxHeld bounds what a Remover has taken and not yet given: a field of which it
// is not known yet whose it is. One that takes longer to say so goes.
const MaxHeld = 512

const fieldName = "authentication-results"

// step is where a Remover is in the message.
type step byte

const (
	lineStart step = iota // in the header, at the start of a line
	inName                // in what may be fieldName; held has it
	inServer              // in front of, or in, the name of the server; held has all
	passing               // in a line that stays
	dropping              // in a line that goes
	inBody
)

// Remover removes the fields of one server from the header of a message with LF
// line ends, which it reads once, in any pieces.
type Remover struct {
	own    string // as idn.Key has it
	step   step
	goes   bool // the field of the last line goes
	server serverReader
	held   [MaxHeld]byte
	n      int
}

// NewRemover returns one for fields that name a server.
func NewRemover(server string) *Remover { return &Remover{own: idn.Key(server)} }

// Rewrite takes what is behind the first octets of text, which it has seen, and
// returns text with what that becomes. There must be room for MaxHeld more.
func (r *Remover) Rewrite(text []byte, seen int) []byte {
	if r.step == inBody {
		return text
	}
	// What was held back goes in front of the piece, which makes room for that.
	end := len(text)
	text = text[:end+r.n]
	copy(text[seen+r.n:], text[seen:end])
	return r.append(text[:seen], text[seen+r.n:])
}

// append takes a piece. dst may be in front of it in the same array: at no time
// is more given than was held and is taken.
func (r *Remover) append(dst, piece []byte) []byte {
	for len(piece) > 0 {
		switch r.step {
		case inBody:
			return append(dst, piece...)
		case passing, dropping:
			end := bytes.IndexByte(piece, '\n') + 1
			line := piece[:end]
			if end == 0 {
				line = piece
			}
			if r.step == passing {
				dst = append(dst, line...)
			}
			if end > 0 {
				r.step = lineStart
			}
			piece = piece[len(line):]
		case lineStart:
			dst = r.begin(dst, piece[0])
		default:
			dst = r.hold(dst, piece[0])
			piece = piece[1:]
		}
	}
	return dst
}

// begin looks at the first octet of a line.
func (r *Remover) begin(dst []byte, octet byte) []byte {
	folded := octet == ' ' || octet == '\t'
	switch {
	case octet == '\n':
		dst = r.give(dst)
		r.step = inBody
	case folded && r.n > 0: // the field of which nothing is known yet
		r.step = inServer
	case folded && r.goes:
		r.step = dropping
	case folded:
		r.step = passing
	default:
		dst = r.give(dst)
		r.step, r.goes = inName, false
	}
	return dst
}

// hold takes an octet of a line that may be one of the server's.
func (r *Remover) hold(dst []byte, octet byte) []byte {
	r.held[r.n] = octet
	r.n++
	if r.step == inName {
		return r.holdName(dst, octet)
	}
	ends := r.server.read(octet)
	switch {
	case ends && !r.isOwn(r.server.name()):
		return r.keep(dst, octet)
	case ends, r.n == MaxHeld:
		r.drop(octet)
	case octet == '\n':
		r.step = lineStart // the next line may go on
	}
	return dst
}

// isOwn reports whether a server that a field names is ours. Whose name is too
// long to be understood is.
func (r *Remover) isOwn(name string) bool { return name == "" || idn.Key(name) == r.own }

// holdName takes an octet of a name, or of the blanks that old messages have
// behind it.
func (r *Remover) holdName(dst []byte, octet byte) []byte {
	at := r.n - 1
	switch {
	case at < len(fieldName) && lower(octet) == fieldName[at]:
	case at >= len(fieldName) && octet == ':':
		r.step, r.server = inServer, serverReader{}
		if r.n == MaxHeld {
			r.drop(octet)
		}
	case at >= len(fieldName) && isBlank(octet):
		if r.n == MaxHeld {
			r.drop(octet)
		}
	default:
		return r.keep(dst, octet)
	}
	return dst
}

// drop forgets a line up to its last octet, and the rest of the field with it.
func (r *Remover) drop(last byte) {
	r.n, r.goes = 0, true
	r.step = dropping
	if last == '\n' {
		r.step = lineStart
	}
}

// keep gives a line that stays up to its last octet.
func (r *Remover) keep(dst []byte, last byte) []byte {
	r.step = passing
	if last == '\n' {
		r.step = lineStart
	}
	return r.give(dst)
}

// give appends what was held back.
func (r *Remover) give(dst []byte) []byte {
	dst = append(dst, r.held[:r.n]...)
	r.n = 0
	return dst
}

// AppendEnd appends what is held back at the end of the message.
func (r *Remover) AppendEnd(dst []byte) []byte { return r.give(dst) }
