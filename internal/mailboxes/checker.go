package mailboxes

import (
	"os"
	"time"

	"postrider/internal/address"
	"postrider/internal/sessionlimit"
	"postrider/internal/wire/call"
	"postrider/internal/wire/lookup"
)

const (
	// askTime is how long an answer of qmail-lookup is waited for. It gives a
	// home directory up before.
	askTime = 5 * time.Second
	// period is how long a client's unknown recipients are remembered. Once they
	// are more than Policy.MaxUnknown, each further one is to be answered after
	// pause.
	period = 10 * time.Minute
	pause  = 3 * time.Second
)

// Values of Policy.Verify.
const (
	VerifyNone      = 0
	VerifyStrangers = 1 // clients that may not relay
	VerifyAll       = 2
)

// Policy is what the control files say.
type Policy struct {
	Verify     int // control/verifyrcpt
	MaxUnknown int // control/maxbadrcpt: in a session; 0 is no limit
}

// Asks tells whether the recipients of a client are asked about.
func (p Policy) Asks(mayRelay bool) bool {
	return p.Verify >= VerifyAll || p.Verify > VerifyNone && !mayRelay
}

// Session is what is known of a client in its session.
type Session struct {
	// Who is the client.
	Who     sessionlimit.Party
	unknown int // recipients so far
}

// Finding is what is to be said about a recipient.
type Finding struct {
	Verdict lookup.Verdict
	// Pause is how long the client is to wait for the answer.
	Pause time.Duration
	// TooMany: the session has named too many that are unknown. Nobody is asked
	// about another one, and whether this one is known is not to be told.
	TooMany bool
}

// Checker asks, for all sessions of a daemon. Many goroutines may use it.
type Checker struct {
	lookup  *call.Client
	known   recent
	unknown sessionlimit.Meter // of clients
}

// New returns a Checker without a link to qmail-lookup.
func New() *Checker { return &Checker{lookup: call.NewClient("qmail-lookup")} }

// Relink takes a link to qmail-lookup, and owns it.
func (c *Checker) Relink(link *os.File) error { return c.lookup.Relink(link) }

// Check finds out whether a recipient has a mailbox. Its error says why
// qmail-lookup gave no answer; the verdict is lookup.Unsure then.
func (c *Checker) Check(p Policy, s *Session, recipient address.Address, now time.Time) (Finding, error) {
	if s.tooMany(p) {
		return Finding{TooMany: true}, nil
	}
	if c.known.has(recipient.String(), now) {
		return Finding{Verdict: lookup.Exists}, nil
	}
	answer, err := lookup.Ask(c.lookup, recipient, askTime)
	if err != nil {
		return Finding{Verdict: lookup.Unsure}, err
	}
	found := Finding{Verdict: answer.Verdict}
	switch answer.Verdict {
	case lookup.Exists:
		c.known.add(recipient.String(), now)
	case lookup.Unknown:
		s.unknown++
		found.TooMany = s.tooMany(p)
		if !c.unknown.Take(s.Who, p.MaxUnknown, period, now) {
			found.Pause = pause
		}
	}
	return found, nil
}

func (s *Session) tooMany(p Policy) bool { return p.MaxUnknown > 0 && s.unknown > p.MaxUnknown }
