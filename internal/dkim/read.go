package dkim

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"

	"postrider/internal/header"
)

const (
	// MaxHeader is the most octets of a header that is signed.
	MaxHeader = 512 << 10

	pieceSize = 16 << 10
)

// ErrLongHeader is returned for a header over MaxHeader.
var ErrLongHeader = errors.New("its header is longer than 512 KiB")

// Header is the header of a message.
type Header struct {
	fields []field // as they come, from the top
}

// field is one of them.
type field struct {
	name string // in lower case; empty for what has none
	text []byte // all of it but the last line end
}

// Message is what a signature is about.
type Message struct {
	Header
	bodyHash []byte
}

// ReadHeader reads the header of a message, and perhaps a piece of what follows.
// With ErrLongHeader it returns the beginning.
func ReadHeader(r io.Reader) (Header, error) { return read(r, nil) }

// ParseHeader is ReadHeader for a header that is in memory, without the empty
// line behind it, and with LF alone as line ends. The text must not change.
func ParseHeader(text []byte) (Header, error) {
	if len(text) > MaxHeader {
		return parse(text[:MaxHeader]), ErrLongHeader
	}
	return parse(text), nil
}

// Read reads a message to its end.
func Read(r io.Reader) (*Message, error) {
	body := &bodyHash{hash: sha256.New(), out: make([]byte, 0, outSize)}
	h, err := read(r, body)
	if err != nil {
		return nil, err
	}
	return &Message{Header: h, bodyHash: body.sum()}, nil
}

// WithText is Read for a message whose header is known; text is what is behind the
// empty line, with LF alone as line ends.
func (h Header) WithText(text []byte) *Message {
	body := &bodyHash{hash: sha256.New(), out: make([]byte, 0, outSize)}
	body.write(text)
	return &Message{Header: h, bodyHash: body.sum()}
}

// WithBody is WithText for what is not in memory, and has any line ends.
func (h Header) WithBody(r io.Reader) (*Message, error) {
	body := &bodyHash{hash: sha256.New(), out: make([]byte, 0, outSize)}
	var ends lineEnds
	piece := make([]byte, pieceSize)
	for {
		n, err := r.Read(piece)
		body.write(ends.fix(piece[:n]))
		if err == io.EOF {
			return &Message{Header: h, bodyHash: body.sum()}, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// read reads the header, and the body if there is somebody for it.
func read(r io.Reader, body *bodyHash) (Header, error) {
	var head []byte
	var ends lineEnds
	inHeader := true
	piece := make([]byte, pieceSize)
	for {
		n, err := r.Read(piece)
		text := ends.fix(piece[:n])
		if inHeader {
			head, text, inHeader = takeHeader(head, text)
			if len(head) > MaxHeader {
				return parse(head), ErrLongHeader
			}
		}
		switch {
		case inHeader:
		case body == nil:
			return parse(head), nil
		default:
			body.write(text)
		}
		if err == io.EOF {
			return parse(head), nil
		}
		if err != nil {
			return Header{}, err
		}
	}
}

// lineEnds makes LF of CR LF and of a CR alone.
type lineEnds struct{ cr bool }

// fix changes a piece in place.
func (e *lineEnds) fix(p []byte) []byte {
	if !e.cr && bytes.IndexByte(p, '\r') < 0 {
		return p
	}
	out := p[:0]
	for _, c := range p {
		if c == '\n' && e.cr {
			e.cr = false
			continue
		}
		if e.cr = c == '\r'; e.cr {
			c = '\n'
		}
		out = append(out, c)
	}
	return out
}

// takeHeader adds the next piece of a message to its header, up to the empty
// line. What is behind that line is the rest.
func takeHeader(head, text []byte) (header, rest []byte, more bool) {
	if (len(head) == 0 || head[len(head)-1] == '\n') && len(text) > 0 && text[0] == '\n' {
		return head, text[1:], false
	}
	if end := bytes.Index(text, []byte("\n\n")); end >= 0 {
		return append(head, text[:end+1]...), text[end+2:], false
	}
	return append(head, text...), nil, true
}

// parse splits a header into its fields. A line that continues none is one.
func parse(head []byte) (h Header) {
	for len(head) > 0 {
		end := 0
		for {
			lf := bytes.IndexByte(head[end:], '\n')
			if lf < 0 {
				end = len(head)
				break
			}
			if end += lf + 1; end == len(head) || head[end] != ' ' && head[end] != '\t' {
				break
			}
		}
		text := bytes.TrimSuffix(head[:end], []byte{'\n'})
		name := ""
		if colon := bytes.IndexByte(text, ':'); colon >= 0 {
			name, _ = header.Name(string(text[:colon+1]))
		}
		h.fields = append(h.fields, field{name: lower(name), text: text})
		head = head[end:]
	}
	return h
}

// lower changes ASCII letters only.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
