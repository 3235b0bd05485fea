package dkim

import (
	"bytes"
	"hash"
)

// bodyHash hashes a body in the relaxed form (RFC 6376 section 3.4.4): blanks at
// the ends of lines and empty lines at its end do not count, others are one
// blank. It takes LF line ends and hashes CR LF.
type bodyHash struct {
	hash  hash.Hash
	out   []byte // not hashed yet
	lines int    // line ends that count if something follows
	blank bool   // blanks of which the same is true
	any   bool   // something was hashed
}

var (
	crlf  = []byte("\r\n")
	space = []byte{' '}
)

// outSize is how much is hashed at a time.
const outSize = 4096

func (b *bodyHash) write(p []byte) {
	for len(p) > 0 {
		switch p[0] {
		case '\n':
			b.lines++
			b.blank = false
			p = p[1:]
		case ' ', '\t':
			b.blank = true
			p = p[1:]
		default:
			n := wordLength(p)
			b.word(p[:n])
			p = p[n:]
		}
	}
}

// wordLength returns where the first blank or line end of p is.
func wordLength(p []byte) int {
	for i, c := range p {
		if c == ' ' || c == '\n' || c == '\t' {
			return i
		}
	}
	return len(p)
}

// word hashes what is no blank, and what was held back before.
func (b *bodyHash) word(word []byte) {
	for ; b.lines > 0; b.lines-- {
		b.add(crlf)
	}
	if b.blank {
		b.add(space)
		b.blank = false
	}
	b.add(word)
	b.any = true
}

func (b *bodyHash) add(p []byte) {
	if len(b.out)+len(p) > outSize {
		b.flush()
	}
	if len(p) > outSize {
		_, _ = b.hash.Write(p) // never fails
		return
	}
	b.out = append(b.out, p...)
}

func (b *bodyHash) flush() {
	_, _ = b.hash.Write(b.out) // never fails
	b.out = b.out[:0]
}

// sum ends the body. An empty one has no line end.
func (b *bodyHash) sum() []byte {
	if b.any {
		b.add(crlf)
	}
	b.flush()
	return b.hash.Sum(nil)
}

// appendRelaxed appends a field in the relaxed form (RFC 6376 section 3.4.2),
// without its line end.
func appendRelaxed(out, field []byte) []byte {
	name, value, colon := bytes.Cut(field, []byte{':'})
	if !colon {
		name, value = field, nil
	}
	for _, c := range bytes.TrimRight(name, " \t\n") {
		switch {
		case c == '\n':
			continue
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		out = append(out, c)
	}
	out = append(out, ':')
	blank, any := false, false
	for _, c := range value {
		switch c {
		case '\n':
		case ' ', '\t':
			blank = true
		default:
			if blank && any {
				out = append(out, ' ')
			}
			blank, any = false, true
			out = append(out, c)
		}
	}
	return out
}
