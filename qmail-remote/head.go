package qmailremote

import (
	"context"
	"io"

	"postrider/internal/dkim"
)

const (
	// maxHead is the most octets of a header that is kept with its message, and
	// maxHeadFields the most fields. Whoever wants to know of a longer one reads
	// it again.
	maxHead       = pieceSize
	maxHeadFields = 1000

	// headersAtOnce is how many headers are looked at, at a time, that are not
	// kept: each may take a few times dkim.MaxHeader.
	headersAtOnce = 4
)

// head is the header of a message, which several ask about: who wrote it, what it
// wants of TLS, what is signed. It is kept when the message is looked through,
// and taken apart when somebody asks for the first time.
type head struct {
	text  []byte       // without the empty line
	ended bool         // the empty line was there
	long  bool         // it is not kept
	known *dkim.Header // nil: nobody has asked
}

// add takes in a piece of the header; mine says that the piece will change.
func (h *head) add(piece []byte, ended, mine bool) {
	h.ended = ended
	switch h.long = h.long || len(h.text)+len(piece) > maxHead; {
	case h.long:
		h.text = nil
	case mine:
		h.text = append(h.text, piece...)
	default:
		h.text = piece
	}
}

// header returns the header of a message; with dkim.ErrLongHeader, its beginning.
func (c *client) header(ctx context.Context, b *body) (dkim.Header, error) {
	switch {
	case b.r == nil:
		return dkim.Header{}, errUnreadable // a pipe, which no worker gets
	case b.head.long || b.cr:
		return c.longHeader(ctx, b)
	}
	return b.head.parse()
}

// parse takes apart a header that is kept.
func (h *head) parse() (dkim.Header, error) {
	if h.known != nil {
		return *h.known, nil
	}
	parsed, err := dkim.ParseHeader(h.text)
	if err == nil && parsed.Fields() <= maxHeadFields {
		h.known = &parsed
	}
	return parsed, err
}

// longHeader reads a header that is not kept, or whose lines end as they do not
// in the queue.
func (c *client) longHeader(ctx context.Context, b *body) (dkim.Header, error) {
	select {
	case c.headers <- struct{}{}:
		defer func() { <-c.headers }()
	case <-ctx.Done():
		return dkim.Header{}, errLater
	}
	r, err := b.open()
	if err != nil {
		return dkim.Header{}, errUnreadable
	}
	return dkim.ReadHeader(r)
}

// forSigning returns the message as something that can be signed.
func (b *body) forSigning() (*dkim.Message, error) {
	r, err := b.open()
	if err != nil {
		return nil, err
	}
	if b.head.long || b.cr {
		return dkim.Read(r)
	}
	h, err := b.head.parse()
	if err != nil {
		return nil, err
	}
	behind := len(b.head.text) + 1 // the empty line, which may be missing
	if b.text != nil {
		return h.WithText(b.text[min(behind, len(b.text)):]), nil
	}
	if _, err := io.CopyN(io.Discard, r, int64(behind)); err != nil && err != io.EOF {
		return nil, err
	}
	return h.WithBody(r)
}
