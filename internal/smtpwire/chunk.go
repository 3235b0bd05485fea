package smtpwire

import "bytes"

// ChunkDecoder turns the octets of BDAT (RFC 3030) into a message with LF line
// ends. The zero value is ready to read a message, whose chunks it takes one
// after another.
//
// Nothing in a chunk ends the message, so that a line end may be spelled in any
// way: CR LF, LF alone and CR alone each become one LF, as the Encoder would
// have it. A last line without its end gets it. Dots are what they are.
type ChunkDecoder struct {
	heldCR bool // the last octet was a CR, whose LF was appended
	inLine bool // the last line has no end yet
}

// Append appends to dst what src holds of the message, at most as much.
func (d *ChunkDecoder) Append(dst, src []byte) []byte {
	if d.heldCR && len(src) > 0 {
		d.heldCR = false
		if src[0] == '\n' {
			src = src[1:]
		}
	}
	for len(src) > 0 {
		i := bytes.IndexByte(src, '\r')
		if i < 0 {
			d.inLine = src[len(src)-1] != '\n'
			return append(dst, src...)
		}
		dst = append(append(dst, src[:i]...), '\n')
		d.inLine = false
		if src = src[i+1:]; len(src) == 0 {
			d.heldCR = true
		} else if src[0] == '\n' {
			src = src[1:]
		}
	}
	return dst
}

// AppendEnd appends the end of a last line that has none.
func (d *ChunkDecoder) AppendEnd(dst []byte) []byte {
	if !d.inLine {
		return dst
	}
	d.inLine = false
	return append(dst, '\n')
}
