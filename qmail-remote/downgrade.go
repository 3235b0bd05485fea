package qmailremote

import (
	"context"
	"errors"
	"io"
	"net/netip"

	"postrider/internal/sevenbit"
)

// sevenBit is what is known of the 7-bit form of a message.
type sevenBit struct {
	body *body // nil: not made yet
	err  error
}

// forServer returns the message in the form that the server takes: as it is, or
// without octets over 127 in its bodies (RFC 6152 section 3). A message that
// can be read only once goes as it is: what is in it is not known before.
// What is signed is that form.
func (s *session) forServer(ctx context.Context, m mail) (*body, *report) {
	b := m.body
	if !b.eightBit || s.ext.eightBit || b.r == nil {
		return m.signing.apply(ctx, b, asStored)
	}
	if b.seven.body == nil && b.seven.err == nil {
		b.seven.body, b.seven.err = b.inSevenBits()
	}
	var why sevenbit.Refusal
	switch {
	case errors.As(b.seven.err, &why):
		return nil, noEightBit(s.ip(), why)
	case b.seven.err != nil:
		return nil, unreadable()
	}
	return m.signing.apply(ctx, b.seven.body, inSevenBit)
}

// inSevenBits makes the 7-bit form, which is the message itself if only its
// header has octets over 127.
func (b *body) inSevenBits() (*body, error) {
	r, err := sevenbit.New(b.r, b.start)
	if err != nil || r == nil {
		return b, err
	}
	form := &body{r: r}
	if err := form.survey(); err != nil {
		return nil, err
	}
	_, err = r.Seek(0, io.SeekStart)
	return form, err
}

func noEightBit(ip netip.Addr, why sevenbit.Refusal) *report {
	return &report{class: failed, text: ip.String() + " takes no octets over 127, and " + string(why) + ". (#5.6.3)\n"}
}
