package qmailremote

import (
	"errors"
	"io"
)

// stacked is a message with fields in front of it, read from its beginning.
type stacked struct {
	top  []byte
	rest *body

	left   []byte // of top
	source io.Reader
}

var errSeek = errors.New("a signed message is read from its beginning only")

// Seek goes back to the beginning.
func (s *stacked) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekStart {
		return 0, errSeek
	}
	source, err := s.rest.open()
	if err != nil {
		return 0, err
	}
	s.left, s.source = s.top, source
	return 0, nil
}

func (s *stacked) Read(p []byte) (int, error) {
	if len(s.left) > 0 {
		n := copy(p, s.left)
		s.left = s.left[n:]
		return n, nil
	}
	if s.source == nil {
		return 0, errSeek
	}
	return s.source.Read(p)
}
