package qmailremote

import (
	"bytes"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"postrider/internal/wire/spawn"
)

// pieceSize is how much of a message is read at a time.
const pieceSize = 16 << 10

// body is a message to be sent.
type body struct {
	r io.ReadSeeker // nil if the message can be read only once
	// text is all of it if it is in memory; r then reads that.
	text []byte
	// once is the source of a message that can be read only once, a pipe on
	// the command line; it is nil as soon as reading began.
	once io.Reader

	start    int64
	size     int64 // as it is stored
	wireSize int64 // with CRLF line ends, as RFC 1870 counts; -1: unknown
	eightBit bool  // has bytes over 127, or may have
	cr       bool  // has a CR, or may have: on the wire it is of another size

	eightBitHeader bool // has bytes over 127 in its header, or may have

	head head

	seven sevenBit // for servers that need that
}

// bodyOf looks through the message of a job.
func bodyOf(m spawn.Message) (*body, error) {
	if m.ByFile {
		return openBody(m.File)
	}
	return inMemory(m.Bytes), nil
}

// inMemory looks through a message that is in memory.
func inMemory(text []byte) *body {
	if text == nil {
		text = []byte{}
	}
	b := &body{r: bytes.NewReader(text), text: text}
	b.end(b.scan('\n', text))
	return b
}

// openBody looks through the message on f from its present offset on. A small
// one is kept in memory, so that it is read once.
func openBody(f *os.File) (*body, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return &body{once: f, wireSize: -1, eightBit: true, cr: true, eightBitHeader: true}, nil
	}
	start, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	if size := info.Size() - start; size <= pieceSize {
		text := make([]byte, max(size, 0))
		if _, err := io.ReadFull(f, text); err != nil {
			return nil, err
		}
		return inMemory(text), nil
	}
	b := &body{r: f, start: start}
	return b, b.survey()
}

// survey looks through a message that is not in memory.
func (b *body) survey() error {
	piece := make([]byte, pieceSize)
	last := byte('\n')
	for {
		n, err := b.r.Read(piece)
		last = b.scan(last, piece[:n])
		if err == io.EOF {
			b.end(last)
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// scan takes in the next piece, which follows the byte last, and returns its own
// last one.
func (b *body) scan(last byte, piece []byte) byte {
	if len(piece) == 0 {
		return last
	}
	b.cr = b.cr || bytes.IndexByte(piece, '\r') >= 0
	if !b.head.ended {
		end, ended := headerEnd(last, piece)
		b.eightBitHeader = b.eightBitHeader || hasEightBit(piece[:end])
		b.head.add(piece[:end], ended, b.text == nil)
	}
	b.size += int64(len(piece))
	b.wireSize += int64(len(piece) + bytes.Count(piece, []byte{'\n'}))
	b.eightBit = b.eightBit || hasEightBit(piece)
	return piece[len(piece)-1]
}

// end takes in that the message ends with that byte.
func (b *body) end(last byte) {
	if last != '\n' {
		b.wireSize += 2
	}
}

// headerEnd returns where the empty line that ends the header begins in a piece
// that follows the byte last; its length if that is not in it.
func headerEnd(last byte, piece []byte) (end int, ended bool) {
	if last == '\n' && piece[0] == '\n' {
		return 0, true
	}
	if end := bytes.Index(piece, []byte("\n\n")); end >= 0 {
		return end + 1, true
	}
	return len(piece), false
}

// piece is how much of the message to read at a time.
func (b *body) piece() int {
	if b.text != nil {
		return max(len(b.text), 1)
	}
	return pieceSize
}

// open returns the message from its beginning.
func (b *body) open() (io.Reader, error) {
	if b.r != nil {
		_, err := b.r.Seek(b.start, io.SeekStart)
		return b.r, err
	}
	r := b.once
	if r == nil {
		return nil, unix.ESPIPE
	}
	b.once = nil
	return r, nil
}

// again reports whether the message can still be read from its beginning.
func (b *body) again() bool { return b.r != nil || b.once != nil }

func hasEightBit(p []byte) bool {
	for _, c := range p {
		if c >= 0x80 {
			return true
		}
	}
	return false
}
