// Package manage is the protocol by which anybody asks qmail-send what it has
// in the queue, and has that changed: the only specification, both ends.
//
// Imported by qmail-send and by the tools of operators and users. What a client
// says is hostile: qmail-send learns from the kernel who that is. Root and
// qmail-send's own user are operators; everybody else sees and deletes what he
// has handed in himself.
//
// Files: manage.go questions; answers.go answers; destinations.go answers about
// destinations; client.go who asks.
//
// # Protocol
//
// The socket queue/manage.sock is SOCK_SEQPACKET. A packet has at most 64 KiB;
// numbers are big-endian. The client asks one question at a time:
//
//	L               list: what there is
//	D count id...   describe: the files of these messages; up to 20
//	C order         change: do this to these messages
//	S               scan: look for entries that somebody has put into the queue
//	N               destinations: where mail goes, and how that stands
//	+               the files are taken: said once for each d, and only then
//
// and has these answers:
//
//	l count state...       up to 1,000 messages of a list
//	d count found...       to describe: 1 for each message of which files come
//	                       along, 0 for one that is not there or not the
//	                       client's. For each 1 three descriptors, in order,
//	                       open for reading: the entry, the progress file, the
//	                       body; one that does not exist is an empty file. The
//	                       client says + at once: descriptors that nobody takes
//	                       keep qmail-send from handing out messages
//	c count result...      what became of some messages of an order, in any order
//	n count destination... some destinations, as destinations.go has them
//	.                      the end of the answer
//	! text                 the question is not answered, and why
//
// An order is
//
//	kind       'H' hold, 'R' release, 'T' try now, 'X' delete, 'B' bounce,
//	           'A' change an address, 'V' set the next host
//	text       H: why. B: what the sender is told. A: the address. V: the host
//	count      16 bits, up to 2,000, then for each message
//	   id          20 digits
//	   recipients  16 bits, up to 1,000: how many, each 32 bits, going up.
//	               None is all that are not done. H, R and T have none
//
// A result is an id, a letter of Outcome, and a text. When the client goes away
// an order that was begun is still done.
package manage

import (
	"errors"
	"fmt"

	"postrider/internal/address"
	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/wire/codec"
)

// Limits of the protocol.
const (
	MaxPacket     = fdpass.MaxPacket
	MaxStates     = 1000 // a packet
	MaxDescribed  = 20   // messages a question
	MaxTargets    = 2000 // messages an order
	MaxRecipients = 1000 // of a message of an order
	MaxText       = address.MaxLen
	maxResults    = 2000
	maxSaid       = 300 // bytes of a result's text
)

// Kinds of questions and answers.
const (
	List     = 'L'
	Describe = 'D'
	Change   = 'C'
	Scan     = 'S'
	Shaping  = 'N'
	Taken    = '+'

	States       = 'l'
	Files        = 'd'
	Results      = 'c'
	Destinations = 'n'
	End          = '.'
	Refusal      = '!'
)

// Kind is what an order wants.
type Kind byte

// The kinds of orders.
const (
	Hold      Kind = 'H'
	Release   Kind = 'R'
	TryNow    Kind = 'T'
	Delete    Kind = 'X'
	Bounce    Kind = 'B'
	Readdress Kind = 'A'
	Reroute   Kind = 'V'
)

// Order is a change of some messages.
type Order struct {
	Kind    Kind
	Text    string
	Targets []Target
}

// Target is a message, and those of its recipients that are meant.
type Target struct {
	ID         queuedir.ID
	Recipients []int // numbers, from 0; none: all that are not done
}

// Phase is where a message stands.
type Phase byte

// The phases of a message.
const (
	Waiting   Phase = 'w' // for its first attempt
	Deferred  Phase = 'd' // for another one
	InHand    Phase = 'a' // deliveries are under way, or about to be
	HeldBack  Phase = 'h'
	Reporting Phase = 'b' // for a notice to its sender
	Leaving   Phase = 'r' // being removed
	Aside     Phase = 'q' // damaged, being set aside
)

// State is what qmail-send knows of a message without looking.
type State struct {
	ID       queuedir.ID
	Phase    Phase
	Next     int64  // the next attempt, in seconds since 1970; 0: none
	Attempts uint16 // passes that were begun
	InFlight uint16 // deliveries under way
}

const stateSize = len(queuedir.ID{}) + 1 + 8 + 2 + 2

// Outcome says what became of a message of an order.
type Outcome byte

// The outcomes.
const (
	Done    Outcome = 'k' // and durable; the text may say what goes on nevertheless
	Nothing Outcome = 'n' // there was nothing to do, the text says why
	Missing Outcome = 'm' // no such message, or not yours
	Refused Outcome = 'f' // cannot be done, the text says why
	Later   Outcome = 'z' // not now, the text says why
)

// Result is what became of one message.
type Result struct {
	ID      queuedir.ID
	Outcome Outcome
	Text    string
}

// Question is what a client asks.
type Question struct {
	Kind  byte
	IDs   []queuedir.ID // Describe
	Order Order         // Change
}

// Size returns the bytes that t takes in a packet.
func (t Target) Size() int { return len(t.ID) + 2 + 4*len(t.Recipients) }

// Room returns how many bytes of targets fit into an order with that text.
func Room(text string) int { return MaxPacket - 2 - codec.StringSize(text) - 2 }

// Append appends a question.
func (q Question) Append(b []byte) []byte {
	b = append(b, q.Kind)
	switch q.Kind {
	case Describe:
		b = codec.AppendUint16(b, uint16(len(q.IDs)))
		for _, id := range q.IDs {
			b = append(b, id[:]...)
		}
	case Change:
		b = append(b, byte(q.Order.Kind))
		b = codec.AppendString(b, q.Order.Text)
		b = codec.AppendUint16(b, uint16(len(q.Order.Targets)))
		for _, t := range q.Order.Targets {
			b = append(b, t.ID[:]...)
			b = codec.AppendUint16(b, uint16(len(t.Recipients)))
			for _, i := range t.Recipients {
				b = codec.AppendUint32(b, uint32(i))
			}
		}
	}
	return b
}

// DecodeQuestion reads a question.
func DecodeQuestion(packet []byte) (Question, error) {
	r := codec.NewReader(packet)
	q := Question{Kind: r.Uint8()}
	switch q.Kind {
	case List, Scan, Shaping, Taken:
	case Describe:
		n := int(r.Uint16())
		if n == 0 || n > MaxDescribed {
			r.Fail(fmt.Errorf("%d messages to describe", n))
		}
		for range n {
			if r.Err() == nil {
				q.IDs = append(q.IDs, decodeID(r))
			}
		}
	case Change:
		q.Order = decodeOrder(r)
	default:
		r.Fail(fmt.Errorf("unknown question %q", q.Kind))
	}
	if err := r.Done(); err != nil {
		return Question{}, fmt.Errorf("manage protocol: %w", err)
	}
	return q, nil
}

func decodeID(r *codec.Reader) queuedir.ID {
	id, err := queuedir.ParseID(string(r.Bytes(len(queuedir.ID{}))))
	if err != nil {
		r.Fail(err)
	}
	return id
}

func decodeOrder(r *codec.Reader) Order {
	o := Order{Kind: Kind(r.Uint8())}
	o.Text = r.String(MaxText)
	n := int(r.Uint16())
	if n == 0 || n > MaxTargets {
		r.Fail(fmt.Errorf("%d messages in an order", n))
	}
	for range n {
		if r.Err() != nil {
			break
		}
		o.Targets = append(o.Targets, decodeTarget(r))
	}
	if err := o.check(); err != nil {
		r.Fail(err)
	}
	return o
}

func decodeTarget(r *codec.Reader) Target {
	t := Target{ID: decodeID(r)}
	n := int(r.Uint16())
	if n > MaxRecipients {
		r.Fail(fmt.Errorf("%d recipients of a message", n))
	}
	last := -1
	for range n {
		i := r.Uint32()
		if i >= 1<<31 || int(i) <= last {
			r.Fail(errors.New("recipients do not go up"))
		}
		if r.Err() != nil {
			break
		}
		last = int(i)
		t.Recipients = append(t.Recipients, last)
	}
	return t
}

// check tells whether the parts of an order fit to its kind.
func (o Order) check() error {
	switch o.Kind {
	case Hold, Release, TryNow:
		if o.Kind != Hold && o.Text != "" {
			return fmt.Errorf("order %q with a text", o.Kind)
		}
		for _, t := range o.Targets {
			if len(t.Recipients) > 0 {
				return fmt.Errorf("order %q for recipients", o.Kind)
			}
		}
	case Delete:
		if o.Text != "" {
			return errors.New("deletion with a text")
		}
	case Bounce:
	case Readdress:
		if a, err := address.New(o.Text); err != nil || !a.HasDomain() {
			return errors.New("not an address with a domain")
		}
	case Reroute:
		return CheckRelay(o.Text)
	default:
		return fmt.Errorf("unknown order %q", o.Kind)
	}
	return checkText(o.Text)
}

// checkText refuses what would not be shown as it is.
func checkText(s string) error {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 127 {
			return errors.New("control character in a text")
		}
	}
	return nil
}

// CheckRelay tells whether s can be the next host: a name or an address, as in
// control/smtproutes, with or without a port; nothing is no such host.
func CheckRelay(s string) error {
	if len(s) > 300 {
		return errors.New("host name is too long")
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']') {
			return errors.New("not a host, host:port, [address] or [address]:port")
		}
	}
	return nil
}
