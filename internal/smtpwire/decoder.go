package smtpwire

import "bytes"

// Flaw is what is wrong with the line ends of a message.
type Flaw int

const (
	// NoFlaw means that all lines so far end with CR LF.
	NoFlaw Flaw = iota
	// BareLF means that an LF without CR before it was seen.
	BareLF
	// BareCR means that a CR without LF behind it was seen.
	BareCR
)

// decoderState is what was read last; the names of octets are those of the
// current line.
type decoderState int

const (
	lineStart  decoderState = iota // CR LF, or nothing at all yet
	inLine                         // part of a line
	afterCR                        // part of a line (or nothing of it), then CR
	afterDot                       // CR LF .
	afterDotCR                     // CR LF . CR
	ended                          // CR LF . CR LF
)

// Decoder turns what a client sends after 354 into a message with LF line
// ends. The zero value is ready to read a message.
type Decoder struct {
	state decoderState
	flaw  Flaw
}

// MaxHeld is the most octets a Decoder holds back from one call to the next:
// room for len(src)+MaxHeld octets is room for what Append appends.
const MaxHeld = 3

// Append appends to dst what src holds of the message and returns how many
// octets of src belonged to it: all of them until the end mark was read.
func (d *Decoder) Append(dst, src []byte) (out []byte, consumed int) {
	i, lf := 0, -1 // lf: the next LF at or behind i, once looked for
	for i < len(src) && d.state != ended {
		switch d.state {
		case inLine:
			if lf < i {
				lf = indexOr(src, i, len(src), '\n')
			}
			end := indexOr(src, i, lf, '\r')
			dst = append(dst, src[i:end]...)
			i = end
			if i < len(src) {
				dst = d.lineEnd(dst, src[i])
				i++
			}
		case lineStart:
			if src[i] == '.' {
				d.state = afterDot
				i++
				continue
			}
			d.state = inLine
		case afterCR:
			dst = d.afterCR(dst, src[i])
			i++
		case afterDot:
			// The dot is dropped here; only ". CR x" needs it again.
			if src[i] == '\r' {
				d.state = afterDotCR
				i++
				continue
			}
			if src[i] == '\n' {
				dst = append(dst, '.') // no line of one dot: keep it visible
			}
			d.state = inLine
			if src[i] == '.' {
				dst = append(dst, '.')
				i++
			}
		case afterDotCR:
			if src[i] == '\n' {
				d.state = ended
				i++
				continue
			}
			dst = append(dst, '.')
			dst = d.afterCR(dst, src[i])
			i++
		}
	}
	return dst, i
}

// indexOr returns where c first is in src[from:to], to if it is not there.
func indexOr(src []byte, from, to int, c byte) int {
	if i := bytes.IndexByte(src[from:to], c); i >= 0 {
		return from + i
	}
	return to
}

// lineEnd takes the CR or LF that follows part of a line.
func (d *Decoder) lineEnd(dst []byte, c byte) []byte {
	if c == '\r' {
		d.state = afterCR
		return dst
	}
	d.note(BareLF)
	return append(dst, '\n')
}

// afterCR takes the octet that follows a CR which is not yet in dst.
func (d *Decoder) afterCR(dst []byte, c byte) []byte {
	switch c {
	case '\n':
		d.state = lineStart
		return append(dst, '\n')
	case '\r':
		d.note(BareCR)
		d.state = afterCR
		return append(dst, '\r')
	}
	d.note(BareCR)
	d.state = inLine
	return append(dst, '\r', c)
}

func (d *Decoder) note(f Flaw) {
	if d.flaw == NoFlaw {
		d.flaw = f
	}
}

// Ended reports whether the end mark was read.
func (d *Decoder) Ended() bool { return d.state == ended }

// Flaw returns the first flaw that was seen.
func (d *Decoder) Flaw() Flaw { return d.flaw }
