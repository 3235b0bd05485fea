// Package submit is the protocol by which a message gets into the queue: the
// only specification, both ends.
//
// Imported by qmail-spool (server), internal/enqueue, smtpd and qmail-send
// (clients). The server trusts nothing that arrives; who a client is comes
// from the connection, never from the bytes.
//
// # Protocol
//
// A connection is a stream. Each side sends frames: one byte of kind, the
// length of the payload as 32 bits big-endian, the payload. The server speaks
// first:
//
//	G text   ready; the payload is the protocol's version, "1"
//	B text   busy: over a limit; the server closes
//
// Then the client sends any number of messages, one after another:
//
//	M bytes  a piece of the message (any number, none for an empty message)
//	E bytes  a piece of the envelope: F sender NUL, T recipient NUL ..., NUL,
//	         as qmail-queue takes it on descriptor 1. Behind the sender may be
//	         records of a message, before each recipient those of a recipient,
//	         as internal/esmtp writes them
//	C nonce  commit; 16 random bytes
//
// and gets for each C one frame:
//
//	K id     accepted: durable; the message's number, 20 digits
//	Z text   not accepted for now; the first byte of the payload is
//	D text   never acceptable;     qmail-queue's exit code
//
// A client may send the next message before the answer. One that has sent C
// and got no answer does not know the outcome, and repeats the message only
// with the same nonce. Closing the connection drops what was not committed.
// After a Z or D that came before C the server reads on to C and then is
// ready for the next message; it may also close.
//
// # Channels
//
// A daemon connects by making a SOCK_STREAM socket pair and sending one end,
// with the single byte 'c', over its submit channel, a SOCK_SEQPACKET link
// that qmail-start made. The identity is that of the channel.
//
// On the channel of qmail-smtpd the spool says, whenever that changes, with a
// single byte whether messages are taken:
//
//	F        no: the queue is full, every message would be answered Z
//	O        yes, as long as nothing was said
package submit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Version is the payload of the greeting.
const Version = "1"

// MaxFrame is the longest payload.
const MaxFrame = 256 << 10

// Kinds of frames; the package comment says what each carries.
const (
	Ready     = 'G'
	Busy      = 'B'
	Message   = 'M'
	Envelope  = 'E'
	Commit    = 'C'
	Accepted  = 'K'
	Temporary = 'Z'
	Permanent = 'D'
)

// ChannelByte is the payload of a packet that hands a connection to the spool.
const ChannelByte = 'c'

// HeaderSize is the length of what precedes a payload.
const HeaderSize = 5

// ErrFrame is returned for a frame longer than MaxFrame.
var ErrFrame = errors.New("submit protocol: frame is longer than the protocol allows")

// AppendFrame appends a frame.
func AppendFrame(b []byte, kind byte, payload []byte) []byte {
	b = AppendHeader(b, kind, len(payload))
	return append(b, payload...)
}

// AppendHeader appends what precedes a payload of n bytes.
func AppendHeader(b []byte, kind byte, n int) []byte {
	b = append(b, kind)
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

// ReadHeader reads the kind of the next frame and the length of its payload.
// A clean end between frames is io.EOF; one inside is io.ErrUnexpectedEOF.
func ReadHeader(r io.Reader) (kind byte, n int, err error) {
	var header [HeaderSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, 0, err
	}
	size := binary.BigEndian.Uint32(header[1:])
	if size > MaxFrame {
		return 0, 0, ErrFrame
	}
	return header[0], int(size), nil
}

// Answer is what the server says to a commit.
type Answer struct {
	Kind     byte   // Accepted, Temporary or Permanent
	ID       string // Accepted: 20 digits
	ExitCode int    // Temporary, Permanent: qmail-queue's exit code
	Text     string // Temporary, Permanent: one sentence, may be empty
}

// maxAnswer bounds the payload of an answer or a greeting.
const maxAnswer = 1024

// AppendAnswer appends a's frame.
func AppendAnswer(b []byte, a Answer) []byte {
	if a.Kind == Accepted {
		return AppendFrame(b, Accepted, []byte(a.ID))
	}
	text := a.Text[:min(len(a.Text), maxAnswer-1)]
	b = AppendHeader(b, a.Kind, 1+len(text))
	b = append(b, byte(a.ExitCode))
	return append(b, text...)
}

// ReadAnswer reads the answer to a commit.
func ReadAnswer(r io.Reader) (Answer, error) {
	kind, payload, err := readShort(r)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Kind: kind}
	switch {
	case kind == Accepted && len(payload) > 0:
		a.ID = string(payload)
	case (kind == Temporary || kind == Permanent) && len(payload) > 0:
		a.ExitCode, a.Text = int(payload[0]), string(payload[1:])
	default:
		return Answer{}, fmt.Errorf("submit protocol: unexpected answer %q", kind)
	}
	return a, nil
}

// ErrBusy is returned by ReadGreeting when the server is over a limit.
var ErrBusy = errors.New("the mail queue is busy")

// ReadGreeting reads the server's first frame.
func ReadGreeting(r io.Reader) error {
	kind, payload, err := readShort(r)
	switch {
	case err != nil:
		return err
	case kind == Busy:
		return ErrBusy
	case kind != Ready || string(payload) != Version:
		return fmt.Errorf("submit protocol: unexpected greeting %q %q", kind, payload)
	}
	return nil
}

func readShort(r io.Reader) (byte, []byte, error) {
	kind, n, err := ReadHeader(r)
	if err != nil {
		return 0, nil, err
	}
	if n > maxAnswer {
		return 0, nil, ErrFrame
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, unexpected(err)
	}
	return kind, payload, nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
