// Package parent is the protocol of the control channel between qmail-start
// and each daemon: the only specification, both ends.
//
// Imported by qmail-start and the daemons' rooms. A daemon trusts what
// arrives here: its parent made it. qmail-start never reads from a channel.
//
// # Protocol
//
// The channel is a SOCK_SEQPACKET socket, descriptor 3 of the daemon. Only
// the parent sends. A packet is one byte of kind, then:
//
//	L name N     a link to another process; one descriptor, a connected
//	             SOCK_SEQPACKET socket, and the version in which the two
//	             speak on it. A link of the same name replaces the one
//	             before: the peer was restarted.
//	S name words a listening socket; one descriptor. Several may share a name.
//	             The words are mostly those of its line in the control file.
//	E block      the environment qmail-start was called with, as data:
//	             NAME=value strings, each ended by NUL. For programs of users and filters.
//	I text       qmail-start's first argument, the default delivery
//	             instructions.
//	N number     how many remote workers there are, in decimal digits.
//	F text       senders of forwarded mail are rewritten (internal/srs): a line
//	             with the uids whose mail is not forwarded but from the network,
//	             one with our domain, and the secrets, a line each.
//	M layout     memory to count in (internal/figures), which nobody else writes;
//	             one descriptor. It comes before all that there is to count.
//	A layout number program
//	             memory in which a program counts, to be read; one descriptor.
//	             For qmail-metrics.
//	K name       a file with a private key and its certificates; one descriptor,
//	             to be read from its beginning whatever its offset is.
//	C            the keys are complete: those since the last C count, no others.
//	G            all that belongs to the start was sent.
//	D            another process does your work from now on, or will: take in
//	             nothing more, finish what is in hand without haste, and exit.
//	             For those who serve clients; the others pass it over.
//	P            are you there? A daemon with a loop takes the next frame after
//	             its loop has taken this one. Who leaves it is killed.
//
// End of file tells the daemon to finish what it has in hand and exit.
//
// # Versions
//
// All protocols between daemons, this one among them, have one version
// together: Version. While a suite is upgraded, processes of two releases work
// with each other, so a program speaks Oldest as well, which is the version
// before, or the same if there is none. qmail-start knows what each process
// speaks, and says with each link which version both ends have (Between). A
// protocol that changes takes that from Frame.Version; today none has to.
package parent

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"postrider/internal/fdpass"
)

// FD is the descriptor of the control channel in a daemon.
const FD = 3

// Names of links and listeners. A link has one name at each end.
const (
	// Public is qmail-spool's listening socket for everybody.
	Public = "public"
	// Manage is qmail-send's listening socket for everybody but those whose uids
	// are its words.
	Manage = "manage"
	// SubmitSMTPD and those that follow are qmail-spool's ends of the submit
	// channels of qmail-smtpd, qmail-qmtpd, qmail-qmqpd, qmail-send and
	// qmail-tlsrpt: the name is the identity.
	SubmitSMTPD  = "submit.smtpd"
	SubmitQMTPD  = "submit.qmtpd"
	SubmitQMQPD  = "submit.qmqpd"
	SubmitSend   = "submit.send"
	SubmitTLSRPT = "submit.tlsrpt"
	// Submit is the submitter's end of its submit channel.
	Submit = "submit"
	// Entries joins qmail-spool and qmail-send; the same name at both ends.
	Entries = "entries"
	// Spawn is the end of qmail-lspawn and of a qmail-remote worker.
	Spawn = "spawn"
	// SpawnLocal is qmail-send's end of the link to qmail-lspawn.
	SpawnLocal = "spawn.local"
	// Sign is the end of qmail-smtpd, or of a qmail-remote worker, of its link to
	// a qmail-tlskey, SignSMTPD or SignRemote the other one: the name is the
	// identity.
	Sign      = "sign"
	SignSMTPD = "sign.smtpd"
	// DKIM is the end of a qmail-remote worker of its link to the qmail-tlskey
	// that has the keys of DKIM.
	DKIM = "dkim"
	// Auth is qmail-smtpd's end of the link to who checks passwords, AuthSMTPD
	// the other one: the name is the identity.
	Auth      = "auth"
	AuthSMTPD = "auth.smtpd"
	// Lookup is the end of qmail-smtpd and of qmail-qmtpd of the link to
	// qmail-lookup, LookupSMTPD and LookupQMTPD the other ones.
	Lookup      = "lookup"
	LookupSMTPD = "lookup.smtpd"
	LookupQMTPD = "lookup.qmtpd"
	// NSS is the end of qmail-lspawn and of qmail-lookup of the link to
	// qmail-nss, NSSLspawn and NSSLookup the other ones.
	NSS       = "nss"
	NSSLspawn = "nss.lspawn"
	NSSLookup = "nss.lookup"
	// VLookup is qmail-lookup's end of the link to qmail-vlookup, VLookupLookup
	// the other one.
	VLookup       = "vlookup"
	VLookupLookup = "vlookup.lookup"
	// Policy is qmail-smtpd's end of the link to qmail-policy, PolicySMTPD the
	// other one: the name is the identity.
	Policy      = "policy"
	PolicySMTPD = "policy.smtpd"
	// MTASTS is the end of a qmail-remote worker of its link to qmail-mtasts.
	MTASTS = "mtasts"
	// TLSSeen is the same of its link to qmail-tlsseen.
	TLSSeen = "tlsseen"
	// TLSRPT is the same of its link to qmail-tlsrpt.
	TLSRPT = "tlsrpt"
	// TLSPost is qmail-tlsrpt's end of its link to qmail-tlspost, TLSPostTLSRPT the
	// other one.
	TLSPost       = "tlspost"
	TLSPostTLSRPT = "tlspost.tlsrpt"
	// Filter is qmail-smtpd's end of its channel to qmail-filter, FilterSMTPD
	// the other one.
	Filter      = "filter"
	FilterSMTPD = "filter.smtpd"
	// ListenSMTP is a listening TCP socket of qmail-smtpd.
	ListenSMTP = "listen.smtp"
	// ListenQMTP and ListenQMQP are those of qmail-qmtpd and qmail-qmqpd.
	ListenQMTP = "listen.qmtp"
	ListenQMQP = "listen.qmqp"
	// ListenMetrics is a listening TCP or Unix socket of qmail-metrics.
	ListenMetrics = "listen.metrics"
)

// SpawnRemote is qmail-send's end of the link to remote worker i, from 0.
func SpawnRemote(i int) string { return "spawn.remote." + strconv.Itoa(i) }

// SignRemote is qmail-tlskey's end of the link to remote worker i, from 0.
func SignRemote(i int) string { return Sign + ".remote." + strconv.Itoa(i) }

// ClientKey is the name of the key that qmail-remote shows to other hosts. No
// host has it.
const ClientKey = ":client"

// DKIMRemote is the end of the qmail-tlskey with the keys of DKIM of the link to
// remote worker i, from 0.
func DKIMRemote(i int) string { return DKIM + ".remote." + strconv.Itoa(i) }

// DKIMKey begins the names of the keys of DKIM; that of the file follows.
const DKIMKey = ":dkim:"

// MTASTSRemote is qmail-mtasts' end of the link to remote worker i, from 0.
func MTASTSRemote(i int) string { return MTASTS + ".remote." + strconv.Itoa(i) }

// TLSSeenRemote is qmail-tlsseen's end of the link to remote worker i, from 0.
func TLSSeenRemote(i int) string { return TLSSeen + ".remote." + strconv.Itoa(i) }

// TLSRPTRemote is qmail-tlsrpt's end of the link to remote worker i, from 0.
func TLSRPTRemote(i int) string { return TLSRPT + ".remote." + strconv.Itoa(i) }

// AreaName is what an Area frame says of an area.
func AreaName(layout string, number int, program string) string {
	return layout + " " + strconv.Itoa(number) + " " + program
}

// ParseArea takes apart what AreaName made.
func ParseArea(text string) (layout string, number int, program string, err error) {
	words := strings.Split(text, " ")
	if len(words) != 3 {
		return "", 0, "", fmt.Errorf("%.100q is no area of figures", text)
	}
	number, err = strconv.Atoi(words[1])
	return words[0], number, words[2], err
}

// ListenerName is what a Listener frame says of a socket.
func ListenerName(name string, words []string) string {
	return strings.Join(append([]string{name}, words...), " ")
}

// ParseListener takes apart what ListenerName made.
func ParseListener(text string) (name string, words []string) {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return "", nil
	}
	return fields[0], fields[1:]
}

// The versions of the protocols that the programs of this release speak.
const (
	Version = 1
	Oldest  = 1
)

// VersionError is the error of processes that have no version in common.
type VersionError struct {
	Link string // or what it is about
	Got  int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s: the other side speaks version %d of the protocols between daemons, and this release %d to %d: "+
		"stop the suite, and start it with the programs of one release", e.Link, e.Got, Oldest, Version)
}

// Between returns the version in which processes of two versions speak. Each
// speaks the version before its own: it is the lower one.
func Between(a, b int) int { return min(a, b) }

// Adjacent reports whether a process that speaks a version can work with
// those of this release: it is of the release, the one before or the one behind.
func Adjacent(version int) bool { return Oldest <= version && version <= Version+1 }

// Kind is the kind of a frame.
type Kind byte

// The kinds of frames; the package comment says what each carries.
const (
	Link            Kind = 'L'
	Listener        Kind = 'S'
	Environment     Kind = 'E'
	DefaultDelivery Kind = 'I'
	RemoteWorkers   Kind = 'N'
	Rewriting       Kind = 'F'
	Figures         Kind = 'M'
	Area            Kind = 'A'
	Key             Kind = 'K'
	KeysComplete    Kind = 'C'
	Go              Kind = 'G'
	Drain           Kind = 'D'
	Pulse           Kind = 'P'
)

// MaxData is the most bytes that a frame carries after its kind.
const MaxData = fdpass.MaxPacket - 1

// Frame is one message of the parent.
type Frame struct {
	Kind Kind
	Name string   // Link, Listener, Key, Figures, Area
	Data []byte   // Environment, DefaultDelivery, RemoteWorkers, Rewriting
	File *os.File // Link, Listener, Key, Figures, Area: the receiver owns it
	// Version is that in which both ends of a Link speak; to send, 0 is that of
	// this release.
	Version int
}

// ErrTooLarge is returned for an environment or instructions over MaxData.
var ErrTooLarge = errors.New("more than 65535 bytes for the control channel")

// Channel is one end of a control channel.
type Channel struct {
	packets *fdpass.Packets
	buf     []byte
}

// NewChannel returns a channel on f, which it owns from now on.
func NewChannel(f *os.File) (*Channel, error) {
	packets, err := fdpass.NewPackets(f)
	if err != nil {
		return nil, err
	}
	return &Channel{packets: packets}, nil
}

// Inherited returns the channel that qmail-start gave to this daemon. The
// error says that the program was started by something else.
func Inherited() (*Channel, error) {
	if !fdpass.IsPacketSocket(FD) {
		return nil, errors.New("descriptor 3 is not a control channel: this program is started by qmail-start")
	}
	f, err := fdpass.Inherit(FD, "control channel")
	if err != nil {
		return nil, err
	}
	return NewChannel(f)
}

// HandedOver returns the parent's end of a channel that it has by a hand-over.
func HandedOver(fd int) (*Channel, error) {
	f, err := fdpass.Inherit(fd, "control channel")
	if err != nil {
		return nil, err
	}
	return NewChannel(f)
}

// Descriptor returns the number of the descriptor, to be handed over; it stays
// the channel's.
func (c *Channel) Descriptor() (int, error) { return c.packets.Descriptor() }

// Send sends a frame; its file stays the caller's. It does not wait for a
// daemon that has stopped reading: sent is then false.
func (c *Channel) Send(f Frame) (sent bool, err error) {
	data := append([]byte{byte(f.Kind)}, f.Name...)
	if f.Kind == Link {
		data = strconv.AppendInt(append(data, ' '), int64(cmp.Or(f.Version, Version)), 10)
	}
	data = append(data, f.Data...)
	if len(data) > 1+MaxData {
		return false, ErrTooLarge
	}
	if f.File == nil {
		return c.packets.TrySend(data)
	}
	return c.packets.TrySend(data, f.File)
}

// Untaken tells whether the daemon has left a frame that was sent to it.
func (c *Channel) Untaken() (bool, error) { return c.packets.Untaken() }

// Next waits for the next frame. io.EOF means: finish and exit.
func (c *Channel) Next() (Frame, error) {
	if c.buf == nil {
		c.buf = make([]byte, fdpass.MaxPacket)
	}
	n, files, err := c.packets.Receive(c.buf, 1)
	if err != nil {
		return Frame{}, err
	}
	f := Frame{Kind: Kind(c.buf[0])}
	rest := c.buf[1:n]
	wantFile := false
	switch f.Kind {
	case Link, Listener, Key, Figures, Area:
		f.Name, wantFile = string(rest), true
	case Environment, DefaultDelivery, RemoteWorkers, Rewriting:
		f.Data = append([]byte(nil), rest...)
	case KeysComplete, Go, Drain, Pulse:
	default:
		fdpass.CloseAll(files)
		return Frame{}, fmt.Errorf("control channel: unknown frame %q", byte(f.Kind))
	}
	if (len(files) == 1) != wantFile {
		fdpass.CloseAll(files)
		return Frame{}, fmt.Errorf("control channel: frame %q %s with %d descriptors", byte(f.Kind), f.Name, len(files))
	}
	if wantFile {
		f.File = files[0]
	}
	if f.Kind == Link {
		if err := f.splitVersion(); err != nil {
			_ = f.File.Close() // was only received
			return Frame{}, fmt.Errorf("control channel: %w", err)
		}
	}
	return f, nil
}

// splitVersion takes the version from behind the name of a link.
func (f *Frame) splitVersion() error {
	name, digits, _ := strings.Cut(f.Name, " ")
	version, err := strconv.Atoi(digits)
	if err != nil {
		return fmt.Errorf("link %.100q has no version", f.Name)
	}
	f.Name, f.Version = name, version
	if version < Oldest || version > Version {
		return &VersionError{Link: "link " + name, Got: version}
	}
	return nil
}

// Close closes this end: the parent's way to say "finish and exit".
func (c *Channel) Close() error { return c.packets.Close() }

// Run calls handle for every frame until the channel ends or handle fails.
// It returns nil at the end of file.
func (c *Channel) Run(handle func(Frame) error) error {
	for {
		f, err := c.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := handle(f); err != nil {
			return err
		}
	}
}

// EncodeEnvironment returns the data of an Environment frame.
func EncodeEnvironment(environ []string) []byte {
	var b []byte
	for _, entry := range environ {
		b = append(append(b, entry...), 0)
	}
	return b
}

// DecodeEnvironment returns the entries of an Environment frame.
func DecodeEnvironment(data []byte) []string {
	var environ []string
	start := 0
	for i, c := range data {
		if c == 0 {
			environ = append(environ, string(data[start:i]))
			start = i + 1
		}
	}
	return environ
}
