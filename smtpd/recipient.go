package smtpd

import (
	"os"
	"sync"
	"time"

	"postrider/internal/address"
	"postrider/internal/wire/call"
	"postrider/internal/wire/lookup"
)

const (
	// askTime is how long an answer of qmail-lookup is waited for. It gives a
	// home directory up before.
	askTime = 5 * time.Second
	// harvestPeriod is how long a client's unknown recipients are remembered.
	// Once they are more than maxbadrcpt, each further one is answered after
	// harvestPause.
	harvestPeriod = 10 * time.Minute
	harvestPause  = 3 * time.Second
)

// Values of control/verifyrcpt.
const (
	verifyNone  = 0
	verifyOther = 1 // for clients that may not relay
	verifyAll   = 2
)

var (
	replyNoMailbox     = reply{code: 550, enhanced: "5.1.1", text: "sorry, no mailbox here by that name (#5.1.1)", rule: "verifyrcpt"}
	replyRcptUnsure    = reply{code: 451, enhanced: "4.3.0", text: "unable to verify that recipient now, try again later (#4.3.0)", rule: "verifyrcpt"}
	replyTooManyBadTos = reply{code: 421, enhanced: "4.3.0", text: "too many invalid addresses, goodbye (#4.3.0)", hangUp: true, rule: "maxbadrcpt"}
	// For good, though the owner may make room: the sender learns it now and
	// not after days of attempts, and so do chkuser's (spec section 6.7).
	replyMailboxFull = reply{code: 552, enhanced: "5.2.2", text: "sorry, recipient mailbox is full (#5.2.2)", rule: "verifyrcpt"}
)

// verifier knows by qmail-lookup who has a mailbox.
type verifier struct {
	lookup  *call.Client
	known   recent
	unknown meter // of clients that ask for mailboxes that are not there
}

func newVerifier() *verifier { return &verifier{lookup: call.NewClient("qmail-lookup")} }

func (v *verifier) relink(f *os.File) error { return v.lookup.Relink(f) }

// verify refuses a recipient that has no mailbox, or of whom that is not
// known. The zero reply is consent.
func (s *session) verify(recipient address.Address) reply {
	mode := s.settings.verifyRcpt
	if s.verifier == nil || mode == verifyNone || s.peer.relay && mode < verifyAll {
		return reply{}
	}
	now := s.clock.Now()
	if s.verifier.known.has(recipient.String(), now) {
		return reply{}
	}
	answer, err := lookup.Ask(s.verifier.lookup, recipient, askTime)
	if err != nil {
		s.logProblem("verifyrcpt", err)
		return replyRcptUnsure
	}
	switch answer.Verdict {
	case lookup.Exists:
		s.verifier.known.add(recipient.String(), now)
		return reply{}
	case lookup.Unknown:
		return s.noMailbox(now)
	case lookup.Full:
		return replyMailboxFull
	}
	return replyRcptUnsure // qmail-lookup has logged why
}

// noMailbox is the answer for an unknown recipient. Who tries names gets few
// answers a session, and then slow ones.
func (s *session) noMailbox(now time.Time) reply {
	limit := s.settings.maxBadRcpt
	if limit == 0 {
		return replyNoMailbox
	}
	r := replyNoMailbox
	if !s.verifier.unknown.take(s.party(), limit, harvestPeriod, now) {
		r.wait = harvestPause
	}
	if s.badRcpts++; s.badRcpts > limit {
		return replyTooManyBadTos
	}
	return r
}

const (
	// maxRecent bounds the recipients that are remembered.
	maxRecent = 4096
	// recentTime is how long at least one is; twice that at most.
	recentTime = 5 * time.Second
)

// recent remembers recipients that exist, for a moment: mail comes in bursts,
// and each question costs the way to another process and back.
type recent struct {
	mu       sync.Mutex
	now, old map[string]struct{} // of this period and of the one before
	began    time.Time
}

func (r *recent) has(recipient string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	if _, found := r.now[recipient]; found {
		return true
	}
	_, found := r.old[recipient]
	return found
}

func (r *recent) add(recipient string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	if r.now == nil || len(r.now) >= maxRecent/2 {
		r.old, r.now, r.began = r.now, make(map[string]struct{}), now
	}
	r.now[recipient] = struct{}{}
}

// turn begins a new period if this one is over; the caller holds mu.
func (r *recent) turn(now time.Time) {
	switch age := now.Sub(r.began); {
	case 0 <= age && age < recentTime:
	case 0 <= age && age < 2*recentTime:
		r.old, r.now, r.began = r.now, nil, r.began.Add(recentTime)
	default: // or the clock was set back
		r.old, r.now, r.began = nil, nil, now
	}
}
