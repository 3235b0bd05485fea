package qmailremote

import (
	"context"
	"net/netip"
	"strconv"

	"postrider/internal/smtpwire"
)

// A server that offers CHUNKING (RFC 3030) gets the message as one chunk, whose
// length is said before: no dot is doubled, and nothing in a message can be taken
// for its end.

// chunkable reports whether the length of the message on the wire is known.
func (b *body) chunkable() bool { return b.wireSize >= 0 && !b.cr }

// appendChunk appends the command for a message of that size.
func appendChunk(out []byte, size int64) []byte {
	return append(strconv.AppendInt(append(out, "BDAT "...), size, 10), " LAST\r\n"...)
}

// chunkCommand is how long that command is.
func chunkCommand(size int64) int64 { return int64(len(appendChunk(nil, size))) }

// isUnknown reports whether a server says that it does not know a command, and not
// that it does not like the message.
func isUnknown(reply smtpwire.Reply) bool { return 500 <= reply.Code && reply.Code <= 504 }

func messageUnasked(ip netip.Addr, reply smtpwire.Reply) *report {
	return &report{class: deferred, text: ip.String() + " offers CHUNKING and does not know BDAT; control/remotechunking can be 0. (#4.5.1)\n" + remoteSaid(reply.Text)}
}

// withoutChunks sends the message by DATA, on another connection to a server that
// offers CHUNKING and does not know BDAT. Without one, what it was before stands.
func (c *client) withoutChunks(ctx context.Context, set *settings, s *session, m mail, before outcome) (*session, outcome, state) {
	fresh, fault, err := c.connect(ctx, set, s.key, s.want)
	if err != nil || fault != nil {
		return s, before, settled
	}
	c.pool.retire(s)
	fresh.ext.chunking = false
	fresh.limits = fresh.ext.limits.within(m.limits)
	o, st := fresh.transact(ctx, m)
	return fresh, o, st
}
