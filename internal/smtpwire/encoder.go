package smtpwire

import "bytes"

// Encoder turns a message as the queue holds it, lines ended by LF, into the
// bytes that follow the 354 reply to DATA (RFC 5321 sections 2.3.8, 4.5.2), or the
// command BDAT (RFC 3030). The zero value is ready to use, for DATA.
//
// Whatever is stored, the output holds CR and LF only as the pair CRLF, and
// the end mark, CRLF "." CRLF, only where AppendEnd puts it:
//
//   - LF, CRLF and a CR that stands alone each become one CRLF,
//   - a dot is doubled after line ends were converted, so that one which a
//     stored CR brings to the start of a line is doubled too,
//   - a last line without LF gets its line end.
type Encoder struct {
	// Chunk says that it is for BDAT: no dot is doubled, and there is no end mark.
	Chunk bool

	inLine bool // output is behind the first byte of a line
	heldCR bool // input ended in CR: the next byte says whether LF follows
}

var (
	crlf    = []byte("\r\n")
	endMark = []byte(".\r\n")
	lf      = crlf[1:]
	cr      = crlf[:1]
)

// Append appends the encoded form of src, the next piece of the message, to
// dst. It adds at most 2*len(src)+2 bytes.
func (e *Encoder) Append(dst, src []byte) []byte {
	for len(src) > 0 {
		line, rest, ended := bytes.Cut(src, lf)
		dst = e.appendText(dst, line)
		if ended {
			dst = e.appendLineEnd(dst)
		}
		src = rest
	}
	return dst
}

// AppendEnd appends what completes the message: the end of a last line that
// has none, and the end mark. Nothing may follow.
func (e *Encoder) AppendEnd(dst []byte) []byte {
	if e.inLine || e.heldCR {
		dst = e.appendLineEnd(dst)
	}
	if e.Chunk {
		return dst
	}
	return append(dst, endMark...)
}

// appendText appends a piece that holds no LF.
func (e *Encoder) appendText(dst, text []byte) []byte {
	for len(text) > 0 {
		if e.heldCR {
			dst = e.appendLineEnd(dst)
		}
		part, rest, ended := bytes.Cut(text, cr)
		if len(part) > 0 {
			if !e.inLine && part[0] == '.' && !e.Chunk {
				dst = append(dst, '.')
			}
			dst = append(dst, part...)
			e.inLine = true
		}
		e.heldCR = ended
		text = rest
	}
	return dst
}

func (e *Encoder) appendLineEnd(dst []byte) []byte {
	e.inLine, e.heldCR = false, false
	return append(dst, crlf...)
}
