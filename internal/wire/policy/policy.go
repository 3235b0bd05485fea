// Package policy is the protocol by which qmail-smtpd has qmail-policy ask the
// DNS, and remember who came before: qmail-smtpd may do neither.
//
// Imported by the rooms of both. Who answers trusts nothing: all but the zones
// and the delay are the client's, and a qmail-smtpd that was taken over can ask
// anything, which is DNS queries and lines in a bounded store. Who asks takes
// the answers for what strangers' name servers say; what follows from them is
// decided there, where the settings are.
//
// # Protocol
//
// Questions and answers of internal/wire/call. A question is one byte of kind,
// the address of the client as 4 or 16 bytes with their number in front (8
// bits), then fields of internal/wire/codec:
//
//	L n zones             is the client in the lists of these zones? n is 16
//	                      bits, each zone a string
//	N                     what name has the client?
//	S helo sender         may the client send for that sender? (SPF, RFC 7208)
//	G delay sender rcpt   has this been tried before, at least so many seconds
//	                      ago (32 bits)? If not, it is remembered.
//
// The answer is the byte of the question, then:
//
//	L n standings         for each zone, in their order: a byte of Standing; a
//	                      byte n and so many addresses of 4 bytes, that of the
//	                      list; a string, its text
//	N state name          a byte of NameState; a string
//	S result              a byte, an index of Results
//	G wait                32 bits: 0, or the seconds that are left
//
// or the byte E: it cannot be found out now. No answer means the same.
//
// Files: policy.go (what both say), questions.go, answers.go (their bytes).
package policy

import (
	"errors"
	"net/netip"
	"time"

	"postrider/internal/address"
	"postrider/internal/wire/call"
)

// Limits.
const (
	MaxZones = 32
	MaxZone  = 253
	MaxHelo  = 255
	MaxText  = 256 // printable octets
	MaxName  = 253
	MaxCodes = 16 // addresses of one list
	MaxDelay = 24 * 60 * 60
	maxPath  = address.MaxLen
)

const (
	kindLists   = 'L'
	kindName    = 'N'
	kindSender  = 'S'
	kindGrey    = 'G'
	kindUnknown = 'E'
)

// Standing is what a list says of a client.
type Standing byte

// The standings.
const (
	NotListed Standing = iota
	Listed
	NoAnswer // the list could not be asked, or says that it does not answer this host
)

// Listing is the answer of one list.
type Listing struct {
	Standing Standing
	Codes    []netip.Addr // why it is listed, in the list's own terms; IPv4
	Text     string       // the same in words; printable, possibly empty
}

// NameState is how far the name of a client can be believed.
type NameState byte

// The states of a name.
const (
	NoName      NameState = iota
	Unconfirmed           // the name does not have the client's address
	Confirmed
	NameUnsure // not known now
)

// Result is a result of SPF.
type Result byte

// The results of RFC 7208 section 2.6.
const (
	None Result = iota
	Neutral
	Pass
	Fail
	SoftFail
	TempError
	PermError
)

var resultWords = [...]string{"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"}

func (r Result) String() string { return resultWords[r] }

// Triplet is what greylisting goes by.
type Triplet struct {
	Client            netip.Addr
	Sender, Recipient string
}

// Policy is who answers. An error means that it cannot be found out now.
type Policy interface {
	Lists(client netip.Addr, zones []string) ([]Listing, error)
	Name(client netip.Addr) (NameState, string, error)
	Sender(client netip.Addr, helo, sender string) (Result, error)
	Grey(t Triplet, delay time.Duration) (wait time.Duration, err error)
}

var (
	errForm   = errors.New("not of the form that the protocol has")
	errUnsure = errors.New("qmail-policy does not know now")
)

// Client asks. It is a Policy but for the patience that each question needs.
type Client struct {
	Call *call.Client
	Wait time.Duration
}

var _ Policy = Client{}

func (c Client) ask(q question) ([]byte, error) {
	b, err := q.append(nil)
	if err != nil {
		return nil, err
	}
	return c.Call.Ask(b, c.Wait)
}

// Lists asks what lists say, at most MaxZones.
func (c Client) Lists(client netip.Addr, zones []string) ([]Listing, error) {
	b, err := c.ask(question{kind: kindLists, client: client, zones: zones})
	if err != nil {
		return nil, err
	}
	return parseListings(b, len(zones))
}

// Name asks for the name of a client.
func (c Client) Name(client netip.Addr) (NameState, string, error) {
	b, err := c.ask(question{kind: kindName, client: client})
	if err != nil {
		return NameUnsure, "", err
	}
	return parseName(b)
}

// Sender asks whether a client may send for a sender.
func (c Client) Sender(client netip.Addr, helo, sender string) (Result, error) {
	b, err := c.ask(question{kind: kindSender, client: client, helo: helo, sender: sender})
	if err != nil {
		return TempError, err
	}
	return parseResult(b)
}

// Grey asks how long a triplet has to wait yet.
func (c Client) Grey(t Triplet, delay time.Duration) (time.Duration, error) {
	b, err := c.ask(question{kind: kindGrey, client: t.Client, sender: t.Sender, recipient: t.Recipient, delay: delay})
	if err != nil {
		return 0, err
	}
	return parseWait(b)
}

// Reply answers a question by what p says.
func Reply(b []byte, p Policy) []byte {
	q, err := parseQuestion(b)
	if err != nil {
		return []byte{kindUnknown}
	}
	var answer []byte
	switch q.kind {
	case kindLists:
		var found []Listing
		found, err = p.Lists(q.client, q.zones)
		answer = appendListings(nil, found)
	case kindName:
		var state NameState
		var name string
		state, name, err = p.Name(q.client)
		answer = appendName(nil, state, name)
	case kindSender:
		var result Result
		result, err = p.Sender(q.client, q.helo, q.sender)
		answer = []byte{kindSender, byte(result)}
	case kindGrey:
		var wait time.Duration
		wait, err = p.Grey(Triplet{q.client, q.sender, q.recipient}, q.delay)
		answer = appendWait(nil, wait)
	}
	if err != nil {
		return []byte{kindUnknown}
	}
	return answer
}
