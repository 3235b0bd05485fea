package binarymime

import "errors"

const (
	// MaxHeld bounds what a Converter has taken and not yet given.
	MaxHeld = 1 << 10
	// Memory is more than a Converter has.
	Memory = 8 << 10

	maxType     = 4 << 10 // octets of a Content-Type field
	maxEncoding = 512     // octets of a Content-Transfer-Encoding field
	maxPadded   = 256     // octets of the line of a boundary with what pads it
)

// Why a message cannot be converted.
var (
	ErrTypeLong     = errors.New("a Content-Type field is too long")
	ErrEncodingLong = errors.New("a Content-Transfer-Encoding field is too long")
	ErrTwice        = errors.New("a header has Content-Type or Content-Transfer-Encoding twice")
	ErrNoField      = errors.New("the header of a part in binary has a line that is no field")
	ErrBoundary     = errors.New("a multipart has no boundary, or one that cannot be told from others")
	ErrDeep         = errors.New("too many multiparts are inside each other")
	ErrEncoded      = errors.New("a multipart is in base64 or quoted-printable")
	ErrNoEnd        = errors.New("no boundary ends a part in binary")
)

type state byte

const (
	inHeader state = iota
	inLines        // the body of a part that is lines, or what is around parts
	inBinary       // the body of a part in binary
)

// Converter converts one message. The zero value is at its start.
type Converter struct {
	err    error
	state  state
	heldCR bool // the last octet was a CR that ended a line
	begun  bool // the line has an octet

	// marked: the line begins like one with a boundary. line is how it begins,
	// and in a part in binary all that is held back of it.
	marked  bool
	unlike  bool // it is longer than line, and not by blanks
	line    [maxPadded]byte
	lineLen int

	open   boundaries
	header partHeader
	binary binaryPart
}

// Err is why the message cannot be converted, nil so far. Behind an error
// nothing comes out.
func (c *Converter) Err() error { return c.err }

// Append takes a piece of the message and appends what it becomes.
func (c *Converter) Append(dst, src []byte) []byte {
	for len(src) > 0 && c.err == nil {
		if c.heldCR {
			c.heldCR = false
			if src[0] == '\n' {
				src = src[1:]
				continue
			}
		}
		if c.state == inBinary {
			dst, src = c.appendBinary(dst, src)
			continue
		}
		end := lineEnd(src)
		dst = c.appendText(dst, src[:end])
		if end == len(src) || c.err != nil {
			break
		}
		c.heldCR = src[end] == '\r'
		src = src[end+1:]
		dst = c.endLine(dst)
	}
	return dst
}

// AppendEnd ends the message.
func (c *Converter) AppendEnd(dst []byte) []byte {
	if c.err == nil && c.state == inBinary {
		dst = c.endBinary(dst)
	}
	if c.err == nil && c.begun {
		dst = c.endLine(dst)
	}
	if c.err == nil && c.state == inHeader {
		dst = c.endFields(dst)
	}
	return dst
}

// lineEnd returns where the first CR or LF is, len(b) if there is none.
func lineEnd(b []byte) int {
	for i, octet := range b {
		if octet == '\n' || octet == '\r' {
			return i
		}
	}
	return len(b)
}

// appendText takes a piece of a line.
func (c *Converter) appendText(dst, piece []byte) []byte {
	if len(piece) == 0 {
		return dst
	}
	first := !c.begun
	if first {
		c.begun = true
		c.marked = piece[0] == '-' && c.open.depth > 0
		c.unlike, c.lineLen = false, 0
	}
	if c.marked {
		c.remember(piece)
	}
	if c.state == inHeader {
		return c.appendHeader(dst, piece, first)
	}
	return append(dst, piece...)
}

// remember keeps how a line begins; blanks behind that may pad a boundary.
func (c *Converter) remember(piece []byte) {
	n := copy(c.line[c.lineLen:], piece)
	c.lineLen += n
	for _, octet := range piece[n:] {
		c.unlike = c.unlike || !isBlank(octet)
	}
}

// endLine takes the end of a line.
func (c *Converter) endLine(dst []byte) []byte {
	empty := !c.begun
	c.begun = false
	if c.state == inHeader {
		if empty {
			return c.endHeader(dst)
		}
		dst = c.endHeaderLine(dst)
	} else {
		dst = append(dst, '\n')
	}
	if c.marked && !c.unlike {
		if level, last, found := c.open.find(c.line[:c.lineLen]); found {
			c.delimit(level, last)
		}
	}
	c.marked = false
	return dst
}

// delimit goes on behind a line with a boundary: in the header of the next part
// of that multipart, or behind its last one.
func (c *Converter) delimit(level int, last bool) {
	c.marked = false
	if last {
		c.open.depth = level
		c.state = inLines
		return
	}
	c.open.depth = level + 1
	c.beginHeader(c.open.digests[level])
}

func (c *Converter) fail(err error) { c.err = err }

func isBlank(octet byte) bool { return octet == ' ' || octet == '\t' }
