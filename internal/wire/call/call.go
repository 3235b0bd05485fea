// Package call is how a daemon asks another one: questions and their answers
// over a link, many at a time. What a question says is a protocol of its own,
// in the package of that name beside this one.
//
// Imported by the daemons that ask and that answer. The one that asks trusts
// an answer no further than that protocol says; the one that answers trusts
// nothing: a captured peer can ask anything.
//
// # Protocol
//
// The link is a SOCK_SEQPACKET socket that qmail-start made. A packet is a
// number, 32 bits big-endian, and then 1 to MaxBody bytes: from the side that
// asks a question, from the other its answer, which has the question's number.
// Answers come in any order. A packet that is too short ends the link; an
// answer to no question, which may be late, is passed over.
//
// Files: client.go (who asks), server.go (who answers).
package call

import (
	"encoding/binary"
	"errors"

	"postrider/internal/fdpass"
)

const numberSize = 4

// MaxBody is the most bytes of a question or an answer.
const MaxBody = fdpass.MaxPacket - numberSize

// ErrTooLarge is returned for a question over MaxBody, or an empty one.
var ErrTooLarge = errors.New("question is empty or larger than the protocol allows")

var errShort = errors.New("packet without a body")

func appendPacket(b []byte, number uint32, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, number), body...)
}

// parse takes a packet apart; the body stays part of it.
func parse(packet []byte) (number uint32, body []byte, err error) {
	if len(packet) <= numberSize {
		return 0, nil, errShort
	}
	return binary.BigEndian.Uint32(packet), packet[numberSize:], nil
}
