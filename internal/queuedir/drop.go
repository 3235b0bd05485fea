package queuedir

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// A file in drop/ is what a program of a user leaves while qmail-spool does
// not answer: the message, the envelope in qmail-queue's grammar (F sender
// NUL, T recipient NUL ..., NUL), and a footer, one line of fixed length with
// numbers in hexadecimal digits:
//
//	postrider drop 1 nonce=32 body=16 envelope=16 crc=8
//
// where crc is the CRC-32C of everything before it. It is written under a
// hidden name and gets its visible one when it is complete, so that a visible
// file without a footer was torn by a power cut or made by somebody else.

// ErrDropFooter is returned for what is no footer of a file in drop/.
var ErrDropFooter = errors.New("file in drop/ does not end in a footer")

// MaxDrop is the largest file in drop/, so that nobody fills the disk with
// copies of one sparse file.
const MaxDrop = 1 << 30

// DropFooter ends a file in drop/.
type DropFooter struct {
	Nonce        Nonce
	BodySize     int64
	EnvelopeSize int64
	CRC          uint32 // as found by ParseDropFooter
}

const (
	dropStart  = "postrider drop 1 nonce="
	dropPrefix = len(dropStart) + 32 + len(" body=") + 16 + len(" envelope=") + 16 + len(" crc=")
	// DropFooterSize is the length of a footer in bytes.
	DropFooterSize = dropPrefix + 8 + len("\n")
)

// AppendDropFooter appends f; contentCRC is the Checksum of body and envelope.
func AppendDropFooter(b []byte, f DropFooter, contentCRC uint32) []byte {
	start := len(b)
	b = fmt.Appendf(b, "%s%s body=%016x envelope=%016x crc=", dropStart, f.Nonce, f.BodySize, f.EnvelopeSize)
	return fmt.Appendf(b, "%08x\n", Checksum(contentCRC, b[start:]))
}

// ParseDropFooter returns the footer that b is. It checks the form only.
func ParseDropFooter(b []byte) (DropFooter, error) {
	if len(b) != DropFooterSize || b[DropFooterSize-1] != '\n' || string(b[:len(dropStart)]) != dropStart {
		return DropFooter{}, ErrDropFooter
	}
	var f DropFooter
	rest := b[len(dropStart):]
	nonce, err := ParseNonce(string(rest[:32]))
	if err != nil {
		return DropFooter{}, ErrDropFooter
	}
	f.Nonce = nonce
	p := footerParser{rest: rest[32:]}
	p.literal(" body=")
	f.BodySize = int64(p.hex(16))
	p.literal(" envelope=")
	f.EnvelopeSize = int64(p.hex(16))
	p.literal(" crc=")
	f.CRC = uint32(p.hex(8))
	if p.bad || f.BodySize < 0 || f.EnvelopeSize < 0 || f.BodySize > MaxDrop || f.EnvelopeSize > MaxDrop {
		return DropFooter{}, ErrDropFooter
	}
	return f, nil
}

// sparseFrom is the size from which a file must have as many bytes on disk as it
// claims: a gigabyte of nothing costs its maker nothing.
const sparseFrom = 1 << 20

// ReadDropFooter reads the footer of a file in drop/ that has so many bytes, of
// which so many are on disk; raw is what was read. It checks the form, and that
// the parts make a file of that size. The error is ErrDropFooter, ErrNewer, or
// that of r.
func ReadDropFooter(r io.ReaderAt, size, stored int64) (f DropFooter, raw []byte, err error) {
	raw = make([]byte, DropFooterSize)
	if size < int64(len(raw)) || size > MaxDrop || size >= sparseFrom && stored < size {
		return f, nil, ErrDropFooter
	}
	if _, err := r.ReadAt(raw, size-int64(len(raw))); err != nil && err != io.EOF {
		return f, nil, err
	}
	f, err = ParseDropFooter(raw)
	if err == nil && !f.Fits(size) {
		err = ErrDropFooter
	}
	if err != nil {
		err = NewerDrop(r, size)
	}
	return f, raw, err
}

// Fits reports whether body, envelope and footer make a file of this size.
func (f DropFooter) Fits(size int64) bool {
	return size <= MaxDrop && f.BodySize+f.EnvelopeSize+int64(DropFooterSize) == size
}

// Checks reports whether the CRC is that of the content and of the footer,
// whose bytes are given.
func (f DropFooter) Checks(contentCRC uint32, footer []byte) bool {
	return Checksum(contentCRC, footer[:dropPrefix]) == f.CRC
}

// DropName returns the name of a file in drop/ from random bytes, hidden while
// it is written.
func DropName(random [16]byte) (hidden, visible string) {
	visible = hex.EncodeToString(random[:])
	return "." + visible, visible
}

// IsDropName reports whether a file in drop/ has the name of a complete one.
func IsDropName(name string) bool {
	if len(name) != 32 {
		return false
	}
	for i := range len(name) {
		if c := name[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
