// Package localwork is the protocol between qmail-lspawn and the qmail-local
// workers it keeps for users: the only specification, both ends.
//
// Imported by qmail-lspawn and qmail-local. A worker runs as the recipient's
// user, who may have replaced what it says: qmail-lspawn believes nothing but
// results for deliveries that it gave to this worker.
//
// # Protocol
//
// The link is a SOCK_SEQPACKET socket, descriptor 3 of the worker; a packet
// has at most 64 KiB. qmail-lspawn says:
//
//	C text block   first of all: the default delivery instructions, and the
//	               environment for programs (NAME=value, each ended by NUL)
//	J count job... up to 64 jobs
//	G delivery     the slot asked for is granted (64 bits)
//	N delivery     it is not: the delivery is to be tried again later
//
// A job is the delivery number (64 bits), one byte, 1 if the message came with
// REQUIRETLS, else 0, the strings user, home, local, dash,
// ext, domain, sender, which are qmail-local's first seven operands, and the
// message as in the spawn protocol.
//
// The worker says:
//
//	S delivery     a slot is wanted: before a program, a forward or an mbox
//	               delivery. The slot is given back with the result
//	R count result...   as in the spawn protocol, for each delivery once
//
// End of file tells the worker to finish what it has and exit; that of the
// worker makes its unanswered deliveries temporary failures.
package localwork

import (
	"fmt"
	"os"

	"postrider/internal/address"
	"postrider/internal/wire/codec"
	"postrider/internal/wire/spawn"
)

// Limits of the protocol.
const (
	MaxJobs   = 64
	MaxPacket = spawn.MaxPacket
	maxPath   = 4096
	maxName   = 256
)

// FD is the descriptor of the link in a worker.
const FD = 3

// Setup is what a worker is told first.
type Setup struct {
	DefaultDelivery string
	Environment     []byte // NAME=value, each ended by NUL
}

// Job is one local delivery: qmail-local's operands.
type Job struct {
	Delivery uint64
	User     string
	Home     string
	Local    string
	Dash     string
	Ext      string
	Domain   string
	Sender   string
	// RequireTLS is that of the message; what is forwarded keeps it.
	RequireTLS bool
	Message    spawn.Message
}

// Kind is the kind of a packet.
type Kind byte

// Kinds of packets; the package comment says what each carries.
const (
	KindSetup   Kind = 'C'
	KindJobs    Kind = 'J'
	KindGranted Kind = 'G'
	KindRefused Kind = 'N'
	KindWanted  Kind = 'S'
	KindResults Kind = 'R'
)

// KindOf returns the kind of a packet that was received.
func KindOf(packet []byte) Kind {
	if len(packet) == 0 {
		return 0
	}
	return Kind(packet[0])
}

// AppendSetup appends a Setup packet.
func AppendSetup(b []byte, s Setup) []byte {
	b = append(b, byte(KindSetup))
	b = codec.AppendString(b, s.DefaultDelivery)
	return codec.AppendString(b, string(s.Environment))
}

// DecodeSetup reads a Setup packet.
func DecodeSetup(packet []byte) (Setup, error) {
	r := reader(packet, KindSetup)
	s := Setup{DefaultDelivery: r.String(MaxPacket), Environment: append([]byte(nil), r.Blob(MaxPacket)...)}
	return s, done(r)
}

const jobsHeader = 1 + 2

func (j Job) fields() []string {
	return []string{j.User, j.Home, j.Local, j.Dash, j.Ext, j.Domain, j.Sender}
}

// JobSize returns the bytes that j takes in a packet.
func JobSize(j Job) int {
	n := 8 + 1
	for _, s := range j.fields() {
		n += codec.StringSize(s)
	}
	return n + spawn.MessageSize(j.Message)
}

// JobsFit reports whether count jobs with the given total JobSize fit one
// packet.
func JobsFit(count, size int) bool { return count <= MaxJobs && jobsHeader+size <= MaxPacket }

// AppendJobs appends a packet of jobs, which JobsFit must allow.
func AppendJobs(b []byte, jobs []Job) []byte {
	b = append(b, byte(KindJobs))
	b = codec.AppendUint16(b, uint16(len(jobs)))
	for _, j := range jobs {
		b = codec.AppendUint64(b, j.Delivery)
		if j.RequireTLS {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
		for _, s := range j.fields() {
			b = codec.AppendString(b, s)
		}
		b = spawn.AppendMessage(b, j.Message)
	}
	return b
}

// AttachFiles gives jobs the descriptors that came with their packet.
func AttachFiles(jobs []Job, files []*os.File) error {
	messages := make([]*spawn.Message, len(jobs))
	for i := range jobs {
		messages[i] = &jobs[i].Message
	}
	return spawn.Attach(messages, files)
}

// DecodeJobs reads a packet of jobs. The receiver attaches the descriptors.
func DecodeJobs(packet []byte) ([]Job, error) {
	r := reader(packet, KindJobs)
	count := int(r.Uint16())
	if count == 0 || count > MaxJobs {
		r.Fail(fmt.Errorf("%d jobs in a packet", count))
	}
	var jobs []Job
	for range count {
		if r.Err() != nil {
			break
		}
		jobs = append(jobs, Job{
			Delivery:   r.Uint64(),
			RequireTLS: readBool(r),
			User:       r.String(maxName),
			Home:       r.String(maxPath),
			Local:      r.String(maxPath),
			Dash:       r.String(maxName),
			Ext:        r.String(maxPath),
			Domain:     r.String(address.MaxLen),
			Sender:     r.String(address.MaxLen),
			Message:    spawn.ReadMessage(r),
		})
	}
	return jobs, done(r)
}

func readBool(r *codec.Reader) bool {
	b := r.Uint8()
	if b > 1 {
		r.Fail(fmt.Errorf("byte %d where 0 or 1 belongs", b))
	}
	return b == 1
}

// AppendSlot appends a packet that wants (KindWanted), grants (KindGranted) or
// refuses (KindRefused) a slot.
func AppendSlot(b []byte, kind Kind, delivery uint64) []byte {
	return codec.AppendUint64(append(b, byte(kind)), delivery)
}

// DecodeSlot reads a packet of AppendSlot.
func DecodeSlot(packet []byte, kind Kind) (delivery uint64, err error) {
	r := reader(packet, kind)
	delivery = r.Uint64()
	return delivery, done(r)
}

// AppendResults appends a packet of results, which spawn.ResultsFit must
// allow.
func AppendResults(b []byte, results []spawn.Result) []byte { return spawn.AppendResults(b, results) }

// DecodeResults reads a packet of results.
func DecodeResults(packet []byte) ([]spawn.Result, error) { return spawn.DecodeResults(packet) }

func reader(packet []byte, want Kind) *codec.Reader {
	r := codec.NewReader(packet)
	if kind := r.Uint8(); Kind(kind) != want {
		r.Fail(fmt.Errorf("packet %q where %q belongs", kind, byte(want)))
	}
	return r
}

func done(r *codec.Reader) error {
	if err := r.Done(); err != nil {
		return fmt.Errorf("worker protocol: %w", err)
	}
	return nil
}
