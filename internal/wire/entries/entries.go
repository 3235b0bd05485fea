// Package entries is the dialogue of qmail-spool, who owns the entries of the
// queue, and qmail-send, who decides about them: the only specification, both
// ends.
//
// Imported by qmail-spool and qmail-send. Each side checks what the other
// says: a peer that breaks the protocol is dropped.
//
// # Protocol
//
// The link is a SOCK_SEQPACKET socket. A packet holds any number of messages,
// one after another, up to 64 KiB. A message is one byte of kind, the
// message number of 20 digits (but for S), then:
//
// qmail-spool says:
//
//	A uid size envelope   accepted and durable. The uid (32 bits), the size of
//	                      the body in bytes (64 bits), and the envelope's
//	                      records as on disk if they have at most 16 KiB,
//	                      else nothing: qmail-send reads the file
//	S                     there were no announcements of some entries: scan
//	                      the queue
//	R                     removed, and the removal is durable
//	Y                     answer to q: committed; this entry may be used
//	N                     answer to q: not committed (yet), or gone; if it
//	                      is committed later, an A follows
//	X                     taken out of the queue, into bad/
//
// qmail-send says:
//
//	r                     remove: nothing more is to be done for it
//	q                     is it committed?
//	x torn                take it out of the queue: it cannot be read.
//	                      torn (1) or damaged (0), 8 bits
//
// Every r, q and x is answered once, in any order, unless the link ends. r
// and x of an entry that is gone are answered as done. A spool that was started
// just now answers a q, and what comes behind it, when it knows what of its
// predecessor's messages lies in drop/, too. After a link was
// replaced nothing is outstanding: qmail-send scans, and asks again.
package entries

import (
	"errors"
	"fmt"

	"postrider/internal/queuedir"
	"postrider/internal/wire/codec"
)

// MaxInlineEnvelope is the largest envelope that an announcement carries.
const MaxInlineEnvelope = 16 << 10

// Kind is the kind of a message.
type Kind byte

// Kinds of messages; the package comment says what each carries.
const (
	Announced    Kind = 'A'
	Scan         Kind = 'S'
	Removed      Kind = 'R'
	Committed    Kind = 'Y'
	NotCommitted Kind = 'N'
	Quarantined  Kind = 'X'

	Remove     Kind = 'r'
	Query      Kind = 'q'
	Quarantine Kind = 'x'
)

// Message is one message of either side.
type Message struct {
	Kind     Kind
	ID       queuedir.ID
	UID      uint32 // Announced
	Size     int64  // Announced: bytes of the body
	Envelope []byte // Announced: records as on disk, or empty: read the file
	Torn     bool   // Quarantine
}

// Size returns the number of bytes that Append adds for m.
func Size(m Message) int { return len(Append(nil, m)) }

// Append appends m.
func Append(b []byte, m Message) []byte {
	b = append(b, byte(m.Kind))
	if m.Kind == Scan {
		return b
	}
	b = append(b, m.ID[:]...)
	switch m.Kind {
	case Announced:
		b = codec.AppendUint32(b, m.UID)
		b = codec.AppendUint64(b, uint64(m.Size))
		b = codec.AppendString(b, string(m.Envelope))
	case Quarantine:
		torn := byte(0)
		if m.Torn {
			torn = 1
		}
		b = append(b, torn)
	}
	return b
}

// Decode calls handle for each message of a packet. Envelope is part of
// packet. It stops at the first error, of the packet or of handle.
func Decode(packet []byte, handle func(Message) error) error {
	r := codec.NewReader(packet)
	for r.More() {
		m := decodeMessage(r)
		if r.Err() != nil {
			break
		}
		if err := handle(m); err != nil {
			return err
		}
	}
	if err := r.Err(); err != nil {
		return fmt.Errorf("entries protocol: %w", err)
	}
	return nil
}

func decodeMessage(r *codec.Reader) Message {
	m := Message{Kind: Kind(r.Uint8())}
	switch m.Kind {
	case Scan:
		return m
	case Announced, Removed, Committed, NotCommitted, Quarantined, Remove, Query, Quarantine:
	default:
		r.Fail(fmt.Errorf("unknown message %q", byte(m.Kind)))
		return m
	}
	id, err := queuedir.ParseID(string(r.Bytes(len(m.ID))))
	if err != nil {
		r.Fail(err)
	}
	m.ID = id
	switch m.Kind {
	case Announced:
		m.UID = r.Uint32()
		size := r.Uint64()
		if size > 1<<62 {
			r.Fail(errors.New("impossible size"))
		}
		m.Size = int64(size)
		m.Envelope = r.Blob(MaxInlineEnvelope)
	case Quarantine:
		switch r.Uint8() {
		case 0:
		case 1:
			m.Torn = true
		default:
			r.Fail(errors.New("torn is neither 0 nor 1"))
		}
	}
	return m
}
