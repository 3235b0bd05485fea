package smtpd

import (
	"errors"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"postrider/internal/address"
	"postrider/internal/wire/call"
	"postrider/internal/wire/policy"
)

// How long answers of qmail-policy are waited for: longer than it takes to give
// them up.
const (
	clientWait = 8 * time.Second
	senderWait = 25 * time.Second
	greyWait   = 5 * time.Second
)

// Values of control/checkrdns.
const (
	rdnsNote      = 1 // the name is noted
	rdnsName      = 2 // there must be one
	rdnsConfirmed = 3 // which has the client's address
)

// checks are what of a client is checked by the DNS, or by the greylist. The
// zero value is nothing.
type checks struct {
	lists []dnsList
	spf   int // a level of spfbehavior
	rdns  int
	grey  int // seconds
	// failClosed says that a list that does not answer refuses for now.
	failClosed bool
}

func (c checks) any() bool { return len(c.lists) > 0 || c.spf > 0 || c.rdns > 0 || c.grey > 0 }

// readChecks reads them.
func (r *settingsReader) readChecks() (c checks) {
	var err error
	c.lists, err = readLists(r.dir)
	r.note(err)
	c.spf = r.count(r.dir.Int("spfbehavior", 0))
	c.rdns = r.count(r.dir.Int("checkrdns", 0))
	c.grey = min(r.count(r.dir.Int("greylist", 0)), policy.MaxDelay)
	c.failClosed = r.count(r.dir.Int("dnsblfailclosed", 0)) != 0
	return c
}

func (r *settingsReader) count(n int, err error) int {
	r.note(err)
	return n
}

// exemption is what a rule of tcp.smtp says instead: unset, or the number.
type exemption struct {
	noLists         bool
	spf, rdns, grey int
}

func newExemption(get func(name string) (value string, set bool)) exemption {
	number := func(name string) int {
		if text, set := get(name); set {
			return int(min(leadingNumber(text), policy.MaxDelay))
		}
		return unset
	}
	_, skip := get("DNSBLSKIP")
	refusal, decided := get("RBLSMTPD")
	return exemption{skip || decided && refusal == "", number("SPFBEHAVIOR"), number("CHECKRDNS"), number("GREYLIST")}
}

// or returns what is left of c for a client.
func (e exemption) or(c checks) checks {
	if e.noLists {
		c.lists = nil
	}
	c.spf, c.rdns, c.grey = orElse(e.spf, c.spf), orElse(e.rdns, c.rdns), orElse(e.grey, c.grey)
	return c
}

// policyUnsure is what is said where a check could not be made.
const policyUnsure = "unable to check your address now, try again later (#4.3.0)"

var (
	replyGreyUnsure  = reply{code: 451, enhanced: "4.3.0", text: policyUnsure, rule: "greylist"}
	replyListsUnsure = reply{code: 451, enhanced: "4.3.0", text: policyUnsure, rule: "dnsbllist"}
	replyNoName      = reply{code: 550, enhanced: "5.7.25", text: "sorry, your address has no name in the DNS (#5.7.25)", rule: "checkrdns"}
	replyUnconfirmed = reply{code: 550, enhanced: "5.7.25", text: "sorry, the name of your address in the DNS does not have that address (#5.7.25)", rule: "checkrdns"}
	replyNameUnsure  = reply{code: 451, enhanced: "4.7.25", text: "unable to find the name of your address now, try again later (#4.7.25)", rule: "checkrdns"}
	replyGreylisted  = reply{code: 450, enhanced: "4.7.1", text: "greylisted, try again later (#4.7.1)", rule: "greylist"}
)

// errNotStarted is for an administrator who has just made the first setting.
var errNotStarted = errors.New("qmail-policy was not wanted when qmail-start was started: restart that")

// asker asks qmail-policy.
type asker struct {
	call   *call.Client
	linked atomic.Bool // once
}

func newAsker() *asker { return &asker{call: call.NewClient("qmail-policy")} }

func (a *asker) relink(f *os.File) error {
	a.linked.Store(true)
	return a.call.Relink(f)
}

func (a *asker) within(wait time.Duration) policy.Client {
	return policy.Client{Call: a.call, Wait: wait}
}

// logUnasked logs that a check could not be made.
func (s *session) logUnasked(what string, err error) {
	if !s.policy.linked.Load() {
		err = errNotStarted
	}
	s.logProblem(what, err)
}

// standing is what has been found out about the client of a session, and about
// the sender of its transaction. Nothing is asked twice.
type standing struct {
	client netip.Addr

	listed  bool  // lists have been asked
	refusal reply // by a list
	white   bool

	named bool // its name was asked for
	state policy.NameState
	name  string

	hasResult    bool // SPF, for
	helo, sender string
	result       policy.Result
}

// checks returns what is checked of this client, and where findings are kept.
// Who may relay is trusted. Without a qmail-policy, in the classic form, there
// is nothing.
func (s *session) checks() (checks, *standing) {
	if s.policy == nil || s.peer.relay {
		return checks{}, nil
	}
	c := s.peer.exemption.or(s.settings.checks)
	if !c.any() {
		return checks{}, nil
	}
	if s.standing == nil || s.standing.client != s.client {
		s.standing = &standing{client: s.client}
	}
	return c, s.standing
}

// screen refuses by what the DNS says of the client and of the sender. It is
// done at the first recipient, so that the log says whom mail was from and for.
// The zero reply is consent.
func (s *session) screen() reply {
	c, known := s.checks()
	if known == nil {
		return reply{}
	}
	if len(c.lists) > 0 {
		if r := s.askLists(c, known); r.code != 0 {
			return r
		}
	}
	if c.rdns > 0 {
		if r := s.askName(c, known); r.code != 0 {
			return r
		}
	}
	if c.spf > 0 {
		return s.askSender(c, known)
	}
	return reply{}
}

// askName finds the client's name, for the Received line too.
func (s *session) askName(c checks, known *standing) reply {
	if !known.named {
		state, name, err := s.policy.within(clientWait).Name(s.client)
		if err != nil {
			s.logUnasked("checkrdns", err)
		}
		known.named, known.state, known.name = err == nil, state, name
	}
	if known.state == policy.Confirmed && s.peer.host == unknown {
		s.peer.host = known.name
	}
	switch {
	case known.white || c.rdns < rdnsName:
		return reply{}
	case known.state == policy.NameUnsure:
		return replyNameUnsure
	case known.state == policy.NoName:
		return replyNoName
	case known.state == policy.Unconfirmed && c.rdns >= rdnsConfirmed:
		return replyUnconfirmed
	}
	return reply{}
}

// greylist puts mail off that has not been tried before. It is the last check:
// nothing is remembered of mail that is refused in any case.
func (s *session) greylist(recipient address.Address) reply {
	c, known := s.checks()
	if known == nil || c.grey == 0 || known.white {
		return reply{}
	}
	t := policy.Triplet{Client: s.client, Sender: s.sender, Recipient: recipient.String()}
	wait, err := s.policy.within(greyWait).Grey(t, time.Duration(c.grey)*time.Second)
	switch {
	case err != nil:
		s.logUnasked("greylist", err)
		return replyGreyUnsure
	case wait > 0:
		return replyGreylisted
	}
	return reply{}
}
