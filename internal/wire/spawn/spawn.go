// Package spawn is the protocol by which qmail-send gives out deliveries: to
// qmail-lspawn (local) and to the qmail-remote workers. It is the only
// specification, both ends.
//
// Imported by qmail-send, qmail-lspawn and qmail-remote. qmail-send checks
// every result against what it gave out; the others trust the form of a job
// but believe nothing about users or rights from it.
//
// # Protocol
//
// The link is a SOCK_SEQPACKET socket; a packet has at most 64 KiB.
//
// qmail-send sends jobs:
//
//	J slots count job...
//
// with up to 64 jobs. A message of up to 16 KiB is in the packet. For each
// larger one there is a descriptor, in order: open for reading at offset 0, an
// open file description of its own, which ends where the message ends.
// slots (32 bits) is concurrencylocal: how many
// programs, forwards and mbox deliveries qmail-lspawn lets run at a time; 0
// for remote workers. A job is
//
//	id       the message number, 20 digits
//	sender   the envelope sender, VERP expanded
//	host     remote: the domain to deliver to; local: empty
//	origin   a byte, as esmtp.Origin has it
//	relay    remote: the host that an operator has named for it, as a route of
//	         control/smtproutes; empty for all other mail
//	probe    a byte: 1 if the hosts are known not to answer, and are to be asked
//	         nonetheless, else 0
//	facts    what the client said of the message, as internal/esmtp has it
//	count    16 bits, 1 to 100 (local: 1), then for each recipient
//	   delivery   64 bits, the delivery number of the log
//	   recipient  the address
//	   facts      what the client said of the recipient
//	message  as message.go says
//
// Answers are results, for every delivery exactly one:
//
//	R count result...
//
// where a result is the delivery number (64 bits), the class K (done), P (done,
// and the next server reports to the sender), Z (try
// again) or D (never), a text of at most 10,000 bytes: what happened, for
// the log and the bounce, in lines ended by LF; and what is known of the
// destination: a byte and a string, as destination.go says. A result for a delivery that
// was not given out breaks the protocol. When a link ends, its unanswered
// deliveries count as Z.
package spawn

import (
	"errors"
	"fmt"
	"os"

	"postrider/internal/address"
	"postrider/internal/esmtp"
	"postrider/internal/queuedir"
	"postrider/internal/wire/codec"
)

// Limits of the protocol.
const (
	MaxJobs       = 64    // jobs a packet
	MaxRecipients = 100   // recipients a job
	MaxText       = 10000 // bytes of a result's text
	MaxPacket     = 64 << 10
	maxHost       = 1002
)

// Recipient is one delivery of a job.
type Recipient struct {
	Delivery uint64 // its number in the log, from 1
	Address  address.Address
	Facts    esmtp.Recipient
}

// Job is a message for one or more recipients that are reached together.
type Job struct {
	ID         queuedir.ID
	Sender     address.Address
	Host       string // remote only
	Relay      string // remote only
	Probe      bool   // remote only
	Facts      esmtp.Message
	Recipients []Recipient
	Message    Message
}

// Class is the outcome of a delivery.
type Class byte

// The outcomes.
const (
	Success  Class = 'K'
	Deferral Class = 'Z'
	Failure  Class = 'D'
	// PassedOn is a success of which the next server tells the sender what he
	// wants to know.
	PassedOn Class = 'P'
)

// Result is the outcome of one delivery.
type Result struct {
	Delivery uint64
	Class    Class
	Text     string
	Destination
}

const jobsHeader = 1 + 4 + 2

// JobSize returns the bytes that j takes in a packet.
func JobSize(j Job) int {
	n := len(j.ID) + codec.StringSize(j.Sender.String()) + codec.StringSize(j.Host) + 1 + codec.StringSize(j.Relay) + 1 + messageFactsSize(j.Facts) + 2
	for _, r := range j.Recipients {
		n += RecipientSize(r)
	}
	return n + MessageSize(j.Message)
}

// JobsFit reports whether jobs with the given total JobSize fit one packet.
func JobsFit(count, size int) bool { return count <= MaxJobs && jobsHeader+size <= MaxPacket }

// AppendJobs appends a packet of jobs, which JobsFit must allow.
func AppendJobs(b []byte, slots int, jobs []Job) []byte {
	b = append(b, 'J')
	b = codec.AppendUint32(b, uint32(slots))
	b = codec.AppendUint16(b, uint16(len(jobs)))
	for _, j := range jobs {
		b = append(b, j.ID[:]...)
		b = codec.AppendString(b, j.Sender.String())
		b = append(codec.AppendString(b, j.Host), byte(j.Facts.Origin))
		b = appendBool(codec.AppendString(b, j.Relay), j.Probe)
		b = appendMessageFacts(b, j.Facts)
		b = codec.AppendUint16(b, uint16(len(j.Recipients)))
		for _, r := range j.Recipients {
			b = codec.AppendUint64(b, r.Delivery)
			b = codec.AppendString(b, r.Address.String())
			b = appendRecipientFacts(b, r.Facts)
		}
		b = AppendMessage(b, j.Message)
	}
	return b
}

// AttachFiles gives jobs the descriptors that came with their packet.
func AttachFiles(jobs []Job, files []*os.File) error {
	messages := make([]*Message, len(jobs))
	for i := range jobs {
		messages[i] = &jobs[i].Message
	}
	return Attach(messages, files)
}

// DecodeJobs reads a packet of jobs. The receiver attaches the descriptors.
func DecodeJobs(packet []byte) (slots int, jobs []Job, err error) {
	r := codec.NewReader(packet)
	if kind := r.Uint8(); kind != 'J' {
		r.Fail(fmt.Errorf("packet %q where jobs belong", kind))
	}
	slots = int(r.Uint32())
	count := int(r.Uint16())
	if count == 0 || count > MaxJobs {
		r.Fail(fmt.Errorf("%d jobs in a packet", count))
	}
	for range count {
		if r.Err() != nil {
			break
		}
		jobs = append(jobs, decodeJob(r))
	}
	if err := r.Done(); err != nil {
		return 0, nil, fmt.Errorf("spawn protocol: %w", err)
	}
	return slots, jobs, nil
}

func decodeJob(r *codec.Reader) Job {
	var j Job
	id, err := queuedir.ParseID(string(r.Bytes(len(j.ID))))
	if err != nil {
		r.Fail(err)
	}
	j.ID = id
	j.Sender = decodeAddress(r)
	j.Host = r.String(maxHost)
	origin := esmtp.Origin(r.Uint8())
	if !origin.Valid() {
		r.Fail(fmt.Errorf("origin %q of a message", byte(origin)))
	}
	j.Relay = r.String(maxHost)
	j.Probe = decodeBool(r)
	j.Facts = decodeMessageFacts(r)
	j.Facts.Origin = origin
	count := int(r.Uint16())
	if count == 0 || count > MaxRecipients {
		r.Fail(fmt.Errorf("%d recipients in a job", count))
	}
	for range count {
		if r.Err() != nil {
			break
		}
		j.Recipients = append(j.Recipients, Recipient{Delivery: r.Uint64(), Address: decodeAddress(r), Facts: decodeRecipientFacts(r)})
	}
	j.Message = ReadMessage(r)
	return j
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func decodeBool(r *codec.Reader) bool {
	v := r.Uint8()
	if v > 1 {
		r.Fail(fmt.Errorf("%d where 0 or 1 belongs", v))
	}
	return v == 1
}

func decodeAddress(r *codec.Reader) address.Address {
	a, err := address.New(r.String(address.MaxLen))
	if err != nil {
		r.Fail(err)
	}
	return a
}

const resultsHeader = 1 + 2

// ResultSize returns the bytes that a result takes in a packet. A text over
// MaxText counts, and is sent, cut.
func ResultSize(res Result) int {
	return 8 + 1 + 4 + min(len(res.Text), MaxText) + res.Destination.size()
}

// ResultsFit reports whether count results with the given total ResultSize
// fit one packet.
func ResultsFit(count, size int) bool { return count <= 1<<16-1 && resultsHeader+size <= MaxPacket }

// AppendResults appends a packet of results, which ResultsFit must allow.
func AppendResults(b []byte, results []Result) []byte {
	b = append(b, 'R')
	b = codec.AppendUint16(b, uint16(len(results)))
	for _, res := range results {
		b = codec.AppendUint64(b, res.Delivery)
		b = append(b, byte(res.Class))
		b = codec.AppendString(b, res.Text[:min(len(res.Text), MaxText)])
		b = res.Destination.append(b)
	}
	return b
}

// DecodeResults reads a packet of results.
func DecodeResults(packet []byte) ([]Result, error) {
	r := codec.NewReader(packet)
	if kind := r.Uint8(); kind != 'R' {
		r.Fail(fmt.Errorf("packet %q where results belong", kind))
	}
	count := int(r.Uint16())
	if count == 0 {
		r.Fail(errors.New("no results in a packet"))
	}
	var results []Result
	for range count {
		if r.Err() != nil {
			break
		}
		res := Result{Delivery: r.Uint64(), Class: Class(r.Uint8())}
		switch res.Class {
		case Success, Deferral, Failure, PassedOn:
		default:
			r.Fail(fmt.Errorf("unknown class %q", byte(res.Class)))
		}
		res.Text = r.String(MaxText)
		res.Destination = decodeDestination(r)
		results = append(results, res)
	}
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("spawn protocol: %w", err)
	}
	return results, nil
}
