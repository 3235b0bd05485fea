package binarymime

import (
	"bytes"
	"encoding/base64"
)

// lineOctets make a line of base64 of 76 characters, the longest one that
// RFC 2045 section 6.8 allows.
const lineOctets = 57

// binaryPart is the state of a part in binary.
type binaryPart struct {
	group    [lineOctets]byte // of the line that is not full
	groupLen int
	held     heldPart
}

// heldPart is which octets of what may be the end of the part are held back:
// those, and behind them what Converter.line has.
type heldPart byte

const (
	heldNone   heldPart = iota // the next octet is in the middle of a line
	heldCR                     // CR
	heldCRLF                   // CR LF
	heldNoCRLF                 // none, at the start of a line: that of the part
	heldEnd                    // CR LF, a line with a boundary, CR
	heldEndTop                 // the same at the start of the part
)

// beginBinary is behind the header. That the part is empty is said by the
// boundary there, too.
func (c *Converter) beginBinary() {
	c.state = inBinary
	c.binary.groupLen, c.binary.held = 0, heldNoCRLF
	c.lineLen = 0
}

// appendBinary takes a piece of the part, and returns what it does not need.
func (c *Converter) appendBinary(dst, src []byte) (out, rest []byte) {
	p := &c.binary
	if c.open.depth == 0 { // nothing ends it
		return p.encode(dst, src), nil
	}
	for len(src) > 0 && c.state == inBinary {
		if p.held == heldNone {
			cr := bytes.IndexByte(src, '\r')
			if cr < 0 {
				return p.encode(dst, src), nil
			}
			dst = p.encode(dst, src[:cr])
			src = src[cr+1:]
			p.held, c.lineLen = heldCR, 0
			continue
		}
		var used bool
		dst, used = c.hold(dst, src[0])
		if used {
			src = src[1:]
		}
	}
	return dst, src
}

// hold takes an octet behind those that are held back. If it shows that they
// are none of a boundary they are encoded, and it is not used.
func (c *Converter) hold(dst []byte, octet byte) (out []byte, used bool) {
	p := &c.binary
	switch p.held {
	case heldCR:
		if octet == '\n' {
			p.held = heldCRLF
			return dst, true
		}
	case heldEnd, heldEndTop:
		if octet == '\n' {
			return c.endPart(dst), true
		}
	default:
		if octet == '\r' {
			if _, _, found := c.open.find(c.line[:c.lineLen]); !found {
				break
			}
			if p.held == heldCRLF {
				p.held = heldEnd
			} else {
				p.held = heldEndTop
			}
			return dst, true
		}
		if c.lineLen < len(c.line) && (c.lineLen >= 2 || octet == '-') {
			c.line[c.lineLen] = octet
			c.lineLen++
			return dst, true
		}
	}
	return c.release(dst), false
}

// release encodes what is held back.
func (c *Converter) release(dst []byte) []byte {
	p := &c.binary
	held := p.held
	p.held = heldNone
	switch held {
	case heldCR:
		return p.encode(dst, []byte("\r"))
	case heldCRLF, heldEnd:
		dst = p.encode(dst, []byte("\r\n"))
	}
	dst = p.encode(dst, c.line[:c.lineLen])
	if held == heldEnd || held == heldEndTop {
		dst = p.encode(dst, []byte("\r"))
	}
	return dst
}

// endPart ends the part at the line with a boundary that is held back.
func (c *Converter) endPart(dst []byte) []byte {
	line := c.line[:c.lineLen]
	level, last, _ := c.open.find(line)
	dst = append(append(c.binary.end(dst), line...), '\n')
	c.delimit(level, last)
	return dst
}

// endBinary ends the message in a part in binary.
func (c *Converter) endBinary(dst []byte) []byte {
	p := &c.binary
	if c.open.depth == 0 {
		return p.end(dst)
	}
	if p.held != heldNone && p.held != heldCR {
		if _, _, found := c.open.find(c.line[:c.lineLen]); found {
			return c.endPart(dst)
		}
	}
	c.fail(ErrNoEnd)
	return dst
}

// encode appends what is complete of the lines in base64.
func (p *binaryPart) encode(dst, src []byte) []byte {
	if p.groupLen > 0 {
		n := copy(p.group[p.groupLen:], src)
		p.groupLen += n
		src = src[n:]
		if p.groupLen < lineOctets {
			return dst
		}
		dst = p.end(dst)
	}
	for len(src) >= lineOctets {
		dst = append(base64.StdEncoding.AppendEncode(dst, src[:lineOctets]), '\n')
		src = src[lineOctets:]
	}
	p.groupLen = copy(p.group[:], src)
	return dst
}

// end appends the last line.
func (p *binaryPart) end(dst []byte) []byte {
	if p.groupLen == 0 {
		return dst
	}
	dst = append(base64.StdEncoding.AppendEncode(dst, p.group[:p.groupLen]), '\n')
	p.groupLen = 0
	return dst
}
