package milter

import (
	"bytes"
	"errors"
	"io"

	"postrider/internal/scratch"
)

// toCRLF appends text with lines that end in CR LF. From text, lines end in LF.
func toCRLF(b, text []byte) []byte {
	for {
		lf := bytes.IndexByte(text, '\n')
		if lf < 0 {
			return append(b, text...)
		}
		b = append(append(b, text[:lf]...), '\r', '\n')
		text = text[lf+1:]
	}
}

// errBody is returned for a new body over its limit.
var errBody = errors.New("the new body is too long")

// newBody is a body that a milter gives, in pieces that may end anywhere. Its
// lines end in LF afterwards: so does a CR that stands alone.
type newBody struct {
	create func() (*scratch.File, error)
	most   int64

	given bool // there is one
	file  *scratch.File
	size  int64
	cr    bool // the last octet was CR
	last  byte // octet that was written
}

func (b *newBody) Write(p []byte) (int, error) {
	text := make([]byte, 0, len(p)+1)
	for _, c := range p {
		if c == '\n' && b.cr {
			b.cr = false // it was written with the CR
			continue
		}
		if b.cr = c == '\r'; b.cr {
			c = '\n'
		}
		text = append(text, c)
	}
	return len(p), b.put(text)
}

func (b *newBody) put(text []byte) error {
	if b.size += int64(len(text)); b.size > b.most {
		return errBody
	}
	if len(text) == 0 {
		return nil
	}
	if b.file == nil {
		file, err := b.create()
		if err != nil {
			return err
		}
		b.file = file
	}
	b.last = text[len(text)-1]
	_, err := b.file.Write(text)
	return err
}

// end ends the last line.
func (b *newBody) end() error {
	if b.size == 0 || b.last == '\n' {
		return nil
	}
	return b.put([]byte("\n"))
}

func (b *newBody) close() {
	if b.file != nil {
		b.file.Close()
	}
}

// tell passes a body on in pieces.
func (b body) tell(most int, piece func([]byte) (more bool, err error)) error {
	in := b.reader()
	raw, text := make([]byte, most/2), make([]byte, 0, most)
	for {
		n, err := io.ReadFull(in, raw)
		if n > 0 {
			more, err := piece(toCRLF(text[:0], raw[:n]))
			if err != nil || !more {
				return err
			}
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return nil
		default:
			return err
		}
	}
}
