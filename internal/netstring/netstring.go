// Package netstring reads and writes netstrings: a length in decimal digits, a
// colon, as many octets, a comma. QMTP and QMQP are made of them.
//
// Servers and clients of these import it. Input is hostile.
//
// Invariants:
//
//  1. A length has at least one digit, no zeros in front, no sign, and is never
//     over the limit of who opens the netstring.
//  2. What is inside a netstring is read piece by piece: nothing here grows
//     with an announced length.
//  3. A netstring within another one ends, with its comma, where that still goes
//     on or ends, never behind it.
package netstring

import (
	"errors"
	"io"
	"strconv"
)

var (
	// ErrSyntax is returned for what is no netstring.
	ErrSyntax = errors.New("not a netstring")
	// ErrTooLong is returned for a length over the limit.
	ErrTooLong = errors.New("netstring is too long")
)

// Source is where netstrings come from: a *bufio.Reader, or a netstring that
// others are in.
type Source interface {
	io.Reader
	io.ByteReader
}

// String is a netstring that is being read. Its octets come out of Read and
// ReadByte, with io.EOF behind the last one.
type String struct {
	from Source
	left int64
}

// Open reads the length of the next netstring, which is limit at most. At the
// end of the source the error is io.EOF.
func Open(from Source, limit int64) (*String, error) {
	n := int64(0)
	for digits := 0; ; digits++ {
		c, err := from.ReadByte()
		switch {
		case err == io.EOF && digits > 0:
			return nil, cut(from)
		case err != nil:
			return nil, err
		case c == ':' && digits > 0:
			return within(from, n)
		case c < '0' || '9' < c, digits > 0 && n == 0:
			return nil, ErrSyntax
		}
		if n = n*10 + int64(c-'0'); n > limit {
			return nil, ErrTooLong
		}
	}
}

// cut is what the end of a source inside a length means.
func cut(from Source) error {
	if _, nested := from.(*String); nested {
		return ErrSyntax
	}
	return io.ErrUnexpectedEOF
}

// within returns the netstring, if what it is in has room for it and its comma.
func within(from Source, n int64) (*String, error) {
	if outer, nested := from.(*String); nested && n >= outer.left {
		return nil, ErrSyntax
	}
	return &String{from, n}, nil
}

// Left is how many octets are to come.
func (s *String) Left() int64 { return s.left }

// Read reads octets of the netstring. A source that ends first is
// io.ErrUnexpectedEOF.
func (s *String) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.from.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if n > 0 {
		return n, nil // an error comes again
	}
	return 0, unexpected(err)
}

// ReadByte reads an octet of the netstring.
func (s *String) ReadByte() (byte, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	c, err := s.from.ReadByte()
	if err != nil {
		return 0, unexpected(err)
	}
	s.left--
	return c, nil
}

// Close reads the comma behind the last octet.
func (s *String) Close() error {
	if s.left > 0 {
		return ErrSyntax
	}
	c, err := s.from.ReadByte()
	switch {
	case err != nil:
		return unexpected(err)
	case c != ',':
		return ErrSyntax
	}
	return nil
}

// Skip reads what is left and forgets it.
func (s *String) Skip() error {
	_, err := io.Copy(io.Discard, struct{ io.Reader }{s})
	return err
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// AppendHeader appends what precedes n octets; a comma follows them.
func AppendHeader(b []byte, n int64) []byte {
	return append(strconv.AppendInt(b, n, 10), ':')
}

// Append appends a netstring.
func Append(b []byte, text string) []byte {
	b = AppendHeader(b, int64(len(text)))
	return append(append(b, text...), ',')
}

// Size is the length of a netstring of n octets.
func Size(n int64) int64 { return int64(len(AppendHeader(nil, n))) + n + 1 }
