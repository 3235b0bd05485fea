package sevenbit

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Reader reads a message in its 7-bit form, from the beginning as often as
// Seek returns there.
type Reader struct {
	src   io.ReadSeeker
	start int64
	plan  []treatment

	parser *parser
	out    []byte // written and not read yet
	read   int
	err    error

	quoted quoted
	base64 base64Lines
}

// New looks through the message that begins at the offset start of src. It
// returns nil if there is nothing to encode, and a Refusal if what there is
// cannot be encoded.
func New(src io.ReadSeeker, start int64) (*Reader, error) {
	if _, err := src.Seek(start, io.SeekStart); err != nil {
		return nil, err
	}
	plan, err := makePlan(src)
	if err != nil || plan == nil {
		return nil, err
	}
	r := &Reader{src: src, start: start, plan: plan}
	_, err = r.Seek(0, io.SeekStart)
	return r, err
}

var errSeek = errors.New("sevenbit: can only begin again")

// Seek returns to the beginning; nothing else is possible.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekStart {
		return 0, errSeek
	}
	if _, err := r.src.Seek(r.start, io.SeekStart); err != nil {
		return 0, err
	}
	r.parser = newParser(bufio.NewReaderSize(r.src, pieceSize))
	r.out, r.read, r.err = r.out[:0], 0, nil
	r.quoted, r.base64 = quoted{}, base64Lines{}
	return 0, nil
}

func (r *Reader) Read(p []byte) (int, error) {
	for r.read == len(r.out) && r.err == nil {
		r.out, r.read = r.out[:0], 0
		r.err = r.parser.step(r)
	}
	n := copy(p, r.out[r.read:])
	r.read += n
	if n == 0 && len(p) > 0 {
		return 0, r.err
	}
	return n, nil
}

// header implements sink.
func (r *Reader) header(at int, h header) error {
	r.out = h.appendTreated(r.out, r.treatment(at), at == 0)
	return nil
}

// body implements sink.
func (r *Reader) body(at int, piece []byte) error {
	switch r.treatment(at) {
	case quote:
		r.out = r.quoted.append(r.out, piece)
	case encode:
		r.out = r.base64.append(r.out, piece)
	default:
		r.out = append(r.out, piece...)
	}
	return nil
}

// between implements sink. What stands there is for nobody to read, so that
// octets over 127 need not be kept.
func (r *Reader) between(piece []byte) error {
	r.out = append(r.out, ascii(piece)...)
	return nil
}

// end implements sink.
func (r *Reader) end(at int, border bool) error {
	switch r.treatment(at) {
	case quote:
		r.out = r.quoted.end(r.out)
	case encode:
		r.out = r.base64.end(r.out, border)
	}
	return nil
}

// border implements sink.
func (r *Reader) border(line []byte) { r.out = append(r.out, line...) }

// treatment is that of a part; one that was not there when the plan was made
// stays as it is.
func (r *Reader) treatment(at int) treatment {
	if at >= len(r.plan) {
		return keep
	}
	return r.plan[at]
}

// ascii returns the octets with a question mark in place of each over 127.
func ascii(p []byte) []byte {
	if !eightBit(p) {
		return p
	}
	p = bytes.Clone(p)
	for i, c := range p {
		if c >= 0x80 {
			p[i] = '?'
		}
	}
	return p
}
