// Package codec writes and reads the binary fields that the protocols between
// our processes are made of. Numbers are big-endian; a string is its length
// as 32 bits and its bytes.
//
// Only packages of internal/wire may import it. Input of a Reader is hostile:
// it never allocates more than the bytes it was given, and after the first
// error every read returns zero values.
package codec

import (
	"encoding/binary"
	"errors"
)

// ErrTruncated is returned for a field that goes beyond the end.
var ErrTruncated = errors.New("field goes beyond the end of the frame")

// ErrTrailing is returned by Done when bytes are left over.
var ErrTrailing = errors.New("bytes after the last field of the frame")

// AppendString appends s with its length.
func AppendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// AppendBytes appends p with its length, as AppendString does.
func AppendBytes(b, p []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
	return append(b, p...)
}

// AppendUint16 appends v.
func AppendUint16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }

// AppendUint32 appends v.
func AppendUint32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

// AppendUint64 appends v.
func AppendUint64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

// StringSize is the number of bytes AppendString adds for s.
func StringSize(s string) int { return 4 + len(s) }

// Reader takes fields off a frame. Its error is sticky.
type Reader struct {
	rest []byte
	err  error
}

// NewReader returns a Reader of frame, which it does not change.
func NewReader(frame []byte) *Reader { return &Reader{rest: frame} }

// Bytes takes the next n bytes; they stay part of the frame.
func (r *Reader) Bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > len(r.rest) {
		r.err = ErrTruncated
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// Uint8 takes one byte.
func (r *Reader) Uint8() byte {
	if b := r.Bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// Uint16 takes a 16-bit number.
func (r *Reader) Uint16() uint16 {
	if b := r.Bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// Uint32 takes a 32-bit number.
func (r *Reader) Uint32() uint32 {
	if b := r.Bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// Uint64 takes a 64-bit number.
func (r *Reader) Uint64() uint64 {
	if b := r.Bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// String takes a string of at most limit bytes.
func (r *Reader) String(limit int) string { return string(r.Blob(limit)) }

// Blob takes a string of at most limit bytes; its bytes stay part of the frame.
func (r *Reader) Blob(limit int) []byte {
	n := r.Uint32()
	if r.err == nil && uint64(n) > uint64(limit) {
		r.err = errors.New("string is longer than its limit")
	}
	return r.Bytes(int(n))
}

// Fail records err unless an error came before.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// More reports whether bytes are left and no error came.
func (r *Reader) More() bool { return r.err == nil && len(r.rest) > 0 }

// Err returns the first error.
func (r *Reader) Err() error { return r.err }

// Done returns the first error, or ErrTrailing if bytes are left.
func (r *Reader) Done() error {
	if r.err == nil && len(r.rest) > 0 {
		r.err = ErrTrailing
	}
	return r.err
}
