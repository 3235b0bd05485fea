package inject

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"postrider/internal/header"
)

// maxHeader is the longest header, in bytes. It has to be in memory whole,
// because a field at its end can decide what a field at its top means.
const maxHeader = 4 << 20

// usualHeader is what nearly every header fits into.
const usualHeader = 64 << 10

// lineBuffer is how much of one line is looked at to decide whether it begins a
// field.
const lineBuffer = 32 << 10

// A message is what standard input holds.
type message struct {
	head string // valid fields, each line with its LF
	// separated is set if something follows the header: an empty line, which
	// is then neither in head nor in start, or a line that is no field.
	separated bool
	start     []byte // what was read of the body already
	body      *bufio.Reader
	// crlf is set if the first line ended in CR LF: then that is what a line
	// end is, and the body's are changed, too. In a header each CR LF is one.
	crlf bool
}

// readHeader reads up to the end of the header: an empty line, or the first
// line that can be no field, or the end of the input (spec section 7.1).
func readHeader(in io.Reader) (*message, error) {
	m := &message{body: bufio.NewReaderSize(in, lineBuffer)}
	var head headText
	for first := true; ; first = false {
		line, err := m.body.ReadSlice('\n')
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, trouble("unable to read message", err)
		}
		if first {
			m.crlf = bytes.HasSuffix(line, []byte("\r\n"))
		}
		if len(line) == 0 {
			break
		}
		if text := string(line); text == "\n" || text == "\r\n" {
			m.separated = true
			break
		}
		switch {
		case bytes.HasPrefix(line, []byte("From ")): // the first line of an mbox
			head.text.WriteString("MBOX-Line: ")
		case head.text.Len() > 0 && header.Continues(string(line[:1])):
		case !beginsField(line):
			m.separated, m.start = true, bytes.Clone(line)
			m.head = head.text.String()
			return m, nil
		}
		if err := m.restOfLine(&head, line, err); err != nil {
			return nil, err
		}
	}
	m.head = head.text.String()
	return m, nil
}

func beginsField(line []byte) bool {
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return false
	}
	_, ok := header.Name(string(line[:colon+1]))
	return ok
}

// restOfLine takes a line of the header of which ReadSlice returned piece and
// readErr.
func (m *message) restOfLine(head *headText, piece []byte, readErr error) error {
	for {
		head.add(piece)
		if head.text.Len() > maxHeader {
			return refuse("header is longer than " + strconv.Itoa(maxHeader) + " bytes; an empty line ends it")
		}
		if !errors.Is(readErr, bufio.ErrBufferFull) {
			head.endLine()
			return nil
		}
		piece, readErr = m.body.ReadSlice('\n')
		if readErr != nil && readErr != io.EOF && !errors.Is(readErr, bufio.ErrBufferFull) {
			return trouble("unable to read message", readErr)
		}
	}
}

// headText collects the lines of a header. CR LF is a line end, however many
// CRs some program made of it.
type headText struct {
	text strings.Builder
	held int // CRs that may be part of the line end
}

func (h *headText) add(piece []byte) {
	if need := h.text.Len() + len(piece); need > usualHeader && h.text.Cap() < maxHeader {
		// At once, so that no header is in memory twice. What is not used of it
		// takes none.
		h.text.Grow(maxHeader + 2*lineBuffer - h.text.Len())
	}
	piece = bytes.TrimSuffix(piece, []byte("\n"))
	line := bytes.TrimRight(piece, "\r")
	if len(line) > 0 {
		for ; h.held > 0; h.held-- {
			h.text.WriteByte('\r')
		}
	}
	h.text.Write(line)
	h.held += len(piece) - len(line)
}

func (h *headText) endLine() {
	h.held = 0
	h.text.WriteByte('\n')
}

// copyBody writes the body, and the LF that its last line lacks.
func (m *message) copyBody(w io.Writer) error {
	lines := &lineEnds{w: w, crlf: m.crlf}
	if _, err := lines.Write(m.start); err != nil {
		return err
	}
	buf := make([]byte, lineBuffer)
	for {
		n, readErr := m.body.Read(buf)
		if _, err := lines.Write(buf[:n]); err != nil {
			return err
		}
		if readErr == io.EOF {
			return lines.close()
		}
		if readErr != nil {
			return trouble("unable to read message", readErr)
		}
	}
}

// lineEnds passes bytes on: unchanged, or with CR LF changed to LF.
type lineEnds struct {
	w     io.Writer
	crlf  bool
	heldC bool // a CR that may be part of a line end
	// Bytes were written, and the last one was no LF.
	open bool
}

func (l *lineEnds) Write(p []byte) (int, error) {
	all := len(p)
	if !l.crlf {
		return all, l.pass(p)
	}
	for len(p) > 0 {
		if l.heldC && p[0] != '\n' {
			if err := l.pass([]byte{'\r'}); err != nil {
				return 0, err
			}
		}
		l.heldC = false
		cr := bytes.IndexByte(p, '\r')
		if cr < 0 {
			return all, l.pass(p)
		}
		if err := l.pass(p[:cr]); err != nil {
			return 0, err
		}
		p = p[cr+1:]
		l.heldC = true
	}
	return all, nil
}

func (l *lineEnds) pass(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	l.open = p[len(p)-1] != '\n'
	_, err := l.w.Write(p)
	return err
}

// close ends the last line.
func (l *lineEnds) close() error {
	if !l.open { // a CR that is held is half of the last line end
		return nil
	}
	return l.pass([]byte{'\n'})
}

// printable reports whether s may be part of a line that we write.
func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < 32 || r == 127 }) < 0
}
