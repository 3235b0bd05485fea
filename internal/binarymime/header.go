package binarymime

// names are those of the fields that count; nameSplit is where they differ.
var names = [...]string{"content-type", "content-transfer-encoding"}

const nameSplit = len("content-t")

// fieldKind is what is known of the field that a header line belongs to.
type fieldKind byte

const (
	noField       fieldKind = iota // none has begun
	undecided                      // its name may be one of names
	unnamed                        // it is none of them, and has no colon so far
	otherField                     // it is none of them, or no field
	typeField                      // Content-Type
	encodingField                  // Content-Transfer-Encoding
)

// partHeader is the header of a message or part, as far as it counts.
type partHeader struct {
	kind     fieldKind
	digest   bool // it is in a multipart/digest
	broken   bool // it has a line that is no field
	hasType  bool
	hasCode  bool
	encoding encoding
	media    media

	contentType [maxType]byte // the value, without line ends
	typeLen     int
	held        [maxEncoding]byte // of a field that may go
	heldLen     int
}

func (c *Converter) beginHeader(digest bool) {
	h := &c.header
	c.state = inHeader
	h.kind, h.digest, h.broken = noField, digest, false
	h.hasType, h.hasCode, h.encoding = false, false, asIs
	h.typeLen, h.heldLen = 0, 0
}

// appendHeader takes a piece of a line of the header; first says that the line
// begins with it.
func (c *Converter) appendHeader(dst, piece []byte, first bool) []byte {
	h := &c.header
	switch {
	case !first:
	case !isBlank(piece[0]):
		dst = c.endField(dst)
		h.kind, h.heldLen = undecided, 0
	case h.kind == noField: // nothing is continued
		h.kind, h.broken = otherField, true
	}
	if h.kind == undecided {
		dst, piece = c.appendName(dst, piece)
	}
	switch h.kind {
	case undecided:
	case encodingField:
		c.holdField(piece)
	case typeField:
		n := copy(h.contentType[h.typeLen:], piece)
		h.typeLen += n
		if n < len(piece) {
			c.fail(ErrTypeLong)
		}
		dst = append(dst, piece...)
	case unnamed:
		h.scanName(piece)
		dst = append(dst, piece...)
	default:
		dst = append(dst, piece...)
	}
	return dst
}

// appendName takes what a field begins with until it is clear whether it
// counts, and returns what is behind that.
func (c *Converter) appendName(dst, piece []byte) (out, rest []byte) {
	h := &c.header
	for i, octet := range piece {
		at := h.heldLen
		c.holdField(piece[i : i+1])
		switch {
		case c.err != nil:
			return dst, nil
		case octet == ':' && at >= len(h.candidate()):
			return c.named(dst), piece[i+1:]
		case octet == ':' || !h.fits(at, octet):
			h.kind = unnamed
			h.broken = h.broken || octet == ':' && at == 0 // it has no name
			h.scanName(h.held[:h.heldLen])
			return h.give(dst), piece[i+1:]
		}
	}
	return dst, nil
}

// candidate is which of names the field may have.
func (h *partHeader) candidate() string {
	if h.heldLen > nameSplit && lower(h.held[nameSplit]) == names[1][nameSplit] {
		return names[1]
	}
	return names[0]
}

// fits reports whether an octet of the name, or behind it, may be one of the
// candidate. Blanks before the colon are obsolete, and still read.
func (h *partHeader) fits(at int, octet byte) bool {
	name := h.candidate()
	if at < len(name) {
		return lower(octet) == name[at]
	}
	return isBlank(octet)
}

// named is behind the colon of a field that counts.
func (c *Converter) named(dst []byte) []byte {
	h := &c.header
	if h.candidate() == names[1] {
		h.kind = encodingField
		return dst
	}
	if h.hasType {
		c.fail(ErrTwice)
	}
	h.kind, h.hasType = typeField, true
	return h.give(dst)
}

// scanName looks for the colon behind a name (RFC 5322 section 2.2).
func (h *partHeader) scanName(piece []byte) {
	for _, octet := range piece {
		switch {
		case octet == ':':
			h.kind = otherField
			return
		case octet <= ' ' || octet > '~':
			h.kind, h.broken = otherField, true
			return
		}
	}
}

// holdField holds back a piece of a field that may go.
func (c *Converter) holdField(piece []byte) {
	h := &c.header
	n := copy(h.held[h.heldLen:], piece)
	h.heldLen += n
	if n < len(piece) {
		c.fail(ErrEncodingLong)
	}
}

// give appends what was held back.
func (h *partHeader) give(dst []byte) []byte { return append(dst, h.held[:h.heldLen]...) }

// endHeaderLine ends a line of the header that is not empty.
func (c *Converter) endHeaderLine(dst []byte) []byte {
	h := &c.header
	switch h.kind {
	case encodingField:
		c.holdField([]byte{'\n'})
		return dst
	case undecided:
		dst = h.give(dst)
		h.kind, h.broken = otherField, true
	case unnamed:
		h.kind, h.broken = otherField, true
	}
	return append(dst, '\n')
}

// endField is where the next field begins, or the header ends.
func (c *Converter) endField(dst []byte) []byte {
	h := &c.header
	if h.kind != encodingField {
		return dst
	}
	h.kind = otherField
	e := parseEncoding(h.held[:h.heldLen])
	if h.hasCode && e != h.encoding {
		c.fail(ErrTwice)
		return dst
	}
	h.hasCode, h.encoding = true, e
	if e == binary {
		return dst
	}
	return h.give(dst)
}

// endFields is behind the last field: it decides what the body is, and says so.
func (c *Converter) endFields(dst []byte) []byte {
	h := &c.header
	dst = c.endField(dst)
	if c.err == nil {
		c.judge()
	}
	if c.err != nil || h.encoding != binary {
		return dst
	}
	if h.broken {
		c.fail(ErrNoField)
		return dst
	}
	if h.media == leaf {
		return append(dst, "Content-Transfer-Encoding: base64\n"...)
	}
	return append(dst, "Content-Transfer-Encoding: 8bit\n"...)
}

// judge finds out what the body is.
func (c *Converter) judge() {
	h := &c.header
	h.media = leaf
	if h.digest {
		h.media = message
	}
	if !h.hasType {
		return
	}
	t := parseType(h.contentType[:h.typeLen])
	h.media = t.media
	if t.media != multipart {
		return
	}
	if h.encoding == encoded {
		c.fail(ErrEncoded)
	} else if err := c.open.push(t.boundary, t.digest); err != nil {
		c.fail(err)
	}
}

// endHeader is at the empty line behind the header.
func (c *Converter) endHeader(dst []byte) []byte {
	h := &c.header
	dst = c.endFields(dst)
	if c.err != nil {
		return dst
	}
	switch {
	case h.media == message && h.encoding != encoded:
		c.beginHeader(false)
	case h.media == leaf && h.encoding == binary:
		c.beginBinary()
	default:
		c.state = inLines
	}
	return append(dst, '\n')
}

func lower(octet byte) byte {
	if 'A' <= octet && octet <= 'Z' {
		return octet + 'a' - 'A'
	}
	return octet
}
