package sevenbit

import "encoding/base64"

const (
	// quotedLine is the longest line of quoted-printable, with the "=" at its
	// end (RFC 2045 section 6.7).
	quotedLine = 76
	// base64Line is how many octets make a line of base64 of 76 characters.
	base64Line = 57

	hexDigits = "0123456789ABCDEF"
)

// quoted is the state of a body that becomes quoted-printable.
type quoted struct {
	column int
	blank  byte // a blank or tab that may be the last octet of its line
}

// append appends the encoded form of a piece.
func (q *quoted) append(out, piece []byte) []byte {
	for _, c := range piece {
		if c == '\n' {
			out = append(q.end(out), '\n')
			continue
		}
		if q.blank != 0 {
			out = q.put(out, q.blank, false)
			q.blank = 0
		}
		switch {
		case c == ' ', c == '\t':
			q.blank = c
		case c > ' ' && c <= '~' && c != '=':
			out = q.put(out, c, false)
		default:
			out = q.put(out, c, true)
		}
	}
	return out
}

// put appends one octet, and before it a soft line end where it does not fit.
func (q *quoted) put(out []byte, c byte, escape bool) []byte {
	width := 1
	if escape {
		width = 3
	}
	if q.column+width > quotedLine-1 {
		out = append(out, "=\n"...)
		q.column = 0
	}
	q.column += width
	if escape {
		return append(out, '=', hexDigits[c>>4], hexDigits[c&15])
	}
	return append(out, c)
}

// end ends a line: a blank at its end would be lost.
func (q *quoted) end(out []byte) []byte {
	if q.blank != 0 {
		out = q.put(out, q.blank, true)
	}
	*q = quoted{}
	return out
}

// base64Lines is the state of a body that becomes base64.
type base64Lines struct {
	held    [base64Line]byte
	n       int
	lineEnd bool // one that may belong to the border that follows
}

// append appends the encoded form of a piece; line ends become CR LF.
func (b *base64Lines) append(out, piece []byte) []byte {
	for _, c := range piece {
		if b.lineEnd {
			out = b.put(b.put(out, '\r'), '\n')
			b.lineEnd = false
		}
		if c == '\n' {
			b.lineEnd = true
			continue
		}
		out = b.put(out, c)
	}
	return out
}

func (b *base64Lines) put(out []byte, c byte) []byte {
	b.held[b.n] = c
	if b.n++; b.n == base64Line {
		out = b.flush(out)
	}
	return out
}

func (b *base64Lines) flush(out []byte) []byte {
	if b.n == 0 {
		return out
	}
	out = append(base64.StdEncoding.AppendEncode(out, b.held[:b.n]), '\n')
	b.n = 0
	return out
}

// end ends the body. The line end before a border is none of it.
func (b *base64Lines) end(out []byte, border bool) []byte {
	if b.lineEnd && !border {
		out = b.put(b.put(out, '\r'), '\n')
	}
	b.lineEnd = false
	return b.flush(out)
}
