package queuedir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// ErrNewer is returned for what a later release has written and this one cannot
// read. It is whole: it stays where it is, and is read again once that release
// is back.
var ErrNewer = errors.New("it is of a later release, which can read it")

// Beginnings of footers of all versions, whose number follows.
const (
	entryStart = "postrider entry "
	dropBegins = "postrider drop "
	// maxFooter bounds a footer of any version: it is the last line of its file.
	maxFooter = 1 << 10
)

// newerFooter returns ErrNewer if the last line of the content, which has size
// bytes, is a footer of a later version, and else the error that is given: what
// this version thinks of it.
func newerFooter(content io.ReaderAt, size int64, begins string, other error) error {
	end := make([]byte, min(size, maxFooter))
	if _, err := content.ReadAt(end, size-int64(len(end))); err != nil && err != io.EOF {
		return err
	}
	if len(end) == 0 || end[len(end)-1] != '\n' {
		return other
	}
	line := end[:len(end)-1]
	// The envelope ends with NUL and the body with anything: a footer may begin
	// in the middle of a line.
	at := bytes.LastIndex(line, []byte(begins))
	if at < 0 || bytes.IndexByte(line[at:], '\n') >= 0 {
		return other
	}
	digits, rest, _ := bytes.Cut(line[at+len(begins):], []byte(" "))
	version, err := strconv.ParseUint(string(digits), 10, 31)
	if err != nil || version <= 1 || len(rest) == 0 {
		return other
	}
	return fmt.Errorf("%w: version %d", ErrNewer, version)
}

// NewerDrop tells whether a file in drop/ that has no footer of this version has
// one of a later one: the error is then ErrNewer, and else ErrDropFooter.
func NewerDrop(content io.ReaderAt, size int64) error {
	return newerFooter(content, size, dropBegins, ErrDropFooter)
}

// isCapital reports whether a letter that is not known stands for what must be
// known.
func isCapital(letter byte) bool { return 'A' <= letter && letter <= 'Z' }
