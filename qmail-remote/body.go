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
	// once is the source of a message that can be read only once, a pipe on
	// the command line; it is nil as soon as reading began.
	once io.Reader

	start    int64
	size     int64 // as it is stored
	wireSize int64 // with CRLF line ends, as RFC 1870 counts; -1: unknown
	eightBit bool  // has bytes over 127, or may have

	eightBitHeader bool // has some in its header, or may have

	seven sevenBit // for servers that need that
}

// bodyOf looks through the message of a job.
func bodyOf(m spawn.Message) (*body, error) {
	if m.ByFile {
		return openBody(m.File)
	}
	b := &body{r: bytes.NewReader(m.Bytes)}
	return b, b.survey()
}

// openBody looks through the message on f from its present offset on. A small
// one is kept in memory, so that it is read once.
func openBody(f *os.File) (*body, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return &body{once: f, wireSize: -1, eightBit: true, eightBitHeader: true}, nil
	}
	start, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	b := &body{r: f, start: start}
	if size := info.Size() - start; size <= pieceSize {
		text := make([]byte, max(size, 0))
		if _, err := io.ReadFull(f, text); err != nil {
			return nil, err
		}
		b = &body{r: bytes.NewReader(text)}
	}
	return b, b.survey()
}

// survey learns the size and whether there are bytes over 127.
func (b *body) survey() error {
	piece := make([]byte, b.piece())
	last := byte('\n')
	header := true
	for {
		n, err := b.r.Read(piece)
		if n > 0 {
			if header {
				end := headerEnd(last, piece[:n])
				b.eightBitHeader = b.eightBitHeader || hasEightBit(piece[:end])
				header = end == n
			}
			last = piece[n-1]
			b.size += int64(n)
			b.wireSize += int64(n + bytes.Count(piece[:n], []byte{'\n'}))
			b.eightBit = b.eightBit || hasEightBit(piece[:n])
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if last != '\n' {
		b.wireSize += 2
	}
	return nil
}

// headerEnd returns where the empty line that ends the header begins in a piece
// that follows the byte last; its length if that is not in it.
func headerEnd(last byte, piece []byte) int {
	if last == '\n' && len(piece) > 0 && piece[0] == '\n' {
		return 0
	}
	if end := bytes.Index(piece, []byte("\n\n")); end >= 0 {
		return end
	}
	return len(piece)
}

// piece is how much of the message to read at a time.
func (b *body) piece() int {
	if small, ok := b.r.(*bytes.Reader); ok {
		return max(int(small.Size()), 1)
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
