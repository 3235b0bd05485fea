package ledger

import (
	"fmt"
	"slices"
	"time"
)

// Rule is one of L1 to L10; doc.go says what each means.
type Rule string

// Violation is a rule that a run broke.
type Violation struct {
	Rule      Rule
	ID        string // of the message, if it is about one
	Recipient string
	Detail    string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s %s <%s>: %s", v.Rule, v.ID, v.Recipient, v.Detail)
}

// Summary counts what a run was.
type Summary struct {
	Messages, Acked, Nacked, Unknown       int // recipients, except Messages
	Delivered, Bounced, Queued, Duplicates int
	Repeated                               int // bounces
	Uncertain                              int // refused for now during a fault, and there
	Faults                                 int
}

func (s Summary) String() string {
	return fmt.Sprintf("%d messages; recipients: %d acknowledged, %d refused, %d unknown; %d delivered, %d bounced, %d queued, %d duplicates, %d repeated bounces, %d refused for now by a fault and there; %d faults",
		s.Messages, s.Acked, s.Nacked, s.Unknown, s.Delivered, s.Bounced, s.Queued, s.Duplicates, s.Repeated, s.Uncertain, s.Faults)
}

// Limits of rule L9.
const (
	progressShare = 0.95
	progressTime  = 30 * time.Second
)

// account is what became of a message for one recipient.
type account struct {
	delivered []Delivery
	bounces   []Delivery // messages that say so
	queued    int
}

// checker holds the evidence, sorted.
type checker struct {
	ledger   *Ledger
	evidence Evidence
	history  history
	faults   []Fault
	accounts map[string]*account // by id and recipient
	found    []Violation
	summary  Summary
}

// Check holds the evidence against the ledger.
func (l *Ledger) Check(e Evidence) ([]Violation, Summary) {
	c := &checker{ledger: l, evidence: e, history: readLog(e.Log), faults: l.Faults(), accounts: make(map[string]*account)}
	c.summary.Faults = len(c.faults)
	for _, entry := range l.Entries() {
		for _, r := range entry.Recipients {
			c.accounts[key(entry.ID, r)] = &account{}
		}
	}
	for _, d := range e.Deliveries {
		c.sort(d)
	}
	for _, q := range e.Queue {
		c.sortQueued(q)
	}
	for _, entry := range l.Entries() {
		c.message(entry)
	}
	c.quiescence()
	c.progress()
	c.honesty()
	return c.found, c.summary
}

func (c *checker) violated(rule Rule, id, recipient, format string, args ...any) {
	c.found = append(c.found, Violation{rule, id, recipient, fmt.Sprintf(format, args...)})
}

func (c *checker) entry(id string) (Entry, bool) {
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	if e := c.ledger.entries[id]; e != nil {
		return *e, true
	}
	return Entry{}, false
}

// sort puts what was found in a mailbox or sink to its message, and checks
// what can be said of it alone (L2, L6).
func (c *checker) sort(d Delivery) {
	if b, isBounce := ParseBounce(d.Text); isBounce {
		c.sortBounce(b, d)
		return
	}
	head, body := split(d.Text)
	id := ledgerID(head)
	e, known := c.entry(id)
	if !known {
		c.violated("L2", id, d.Recipient, "%s holds a message that nobody sent", d.Place)
		return
	}
	if got := Hash(body); got != e.Hash {
		c.violated("L2", id, d.Recipient, "%s differs from what was sent (%d bytes)", d.Place, len(d.Text))
	}
	if d.Sender != e.Sender {
		c.violated("L6", id, d.Recipient, "%s has the sender <%s>, not <%s>", d.Place, d.Sender, e.Sender)
	}
	a := c.accounts[key(id, d.Recipient)]
	if a == nil {
		c.violated("L6", id, d.Recipient, "%s: the message was not sent to this recipient", d.Place)
		return
	}
	if d.QueueID == "" {
		d.QueueID = queueID(head)
	}
	a.delivered = append(a.delivered, d)
}

func (c *checker) sortBounce(b Bounce, d Delivery) {
	head, _ := split(d.Text)
	d.QueueID = queueID(head)
	if _, known := c.entry(b.ID); !known {
		c.violated("L7", b.ID, d.Recipient, "%s is a bounce of a message that nobody sent", d.Place)
		return
	}
	for _, r := range b.Recipients {
		a := c.accounts[key(b.ID, r)]
		if a == nil {
			c.violated("L6", b.ID, r, "%s is a bounce for a recipient that nobody gave", d.Place)
			continue
		}
		a.bounces = append(a.bounces, d)
	}
}

func (c *checker) sortQueued(q Queued) {
	e, known := c.entry(q.ID)
	if !known {
		c.violated("L2", q.ID, "", "%s holds a message that nobody sent", q.File)
		return
	}
	recipients := q.Recipients
	if recipients == nil {
		recipients = e.Recipients
	}
	for _, r := range recipients {
		if a := c.accounts[key(q.ID, r)]; a != nil {
			a.queued++
		}
	}
}

// message checks the rules about one message.
func (c *checker) message(e Entry) {
	c.summary.Messages++
	there, unknown := 0, 0
	for _, r := range e.Recipients {
		a := c.accounts[key(e.ID, r)]
		c.count(a)
		exists := len(a.delivered)+len(a.bounces)+a.queued > 0
		switch e.Answers[r] {
		case Acked:
			c.summary.Acked++
			if !exists {
				c.violated("L1", e.ID, r, "acknowledged and lost")
			}
		case Nacked:
			c.summary.Nacked++
			c.refused(e, r, a)
		case Unknown:
			c.summary.Unknown++
			unknown++
			if exists {
				there++
			}
		}
		c.repeats(e, r, a)
	}
	if there > 0 && there < unknown {
		c.violated("L3", e.ID, "", "no answer was read, and it is there for %d of %d recipients", there, unknown)
	}
}

// refused checks a recipient who was refused. Who is told "not now" comes
// again: what is there then is a duplicate, which a fault explains as it does
// when nothing had been said.
func (c *checker) refused(e Entry, recipient string, a *account) {
	switch {
	case len(a.delivered)+len(a.bounces)+a.queued == 0:
	case e.ForNow && hitBetween(c.faults, e.Begun, e.When, true):
		c.summary.Uncertain++
	default:
		c.violated("L3", e.ID, recipient, "refused, and yet %d delivered, %d bounced, %d queued", len(a.delivered), len(a.bounces), a.queued)
		if len(a.bounces) > 0 {
			c.violated("L7", e.ID, recipient, "refused and bounced")
		}
	}
}

func (c *checker) count(a *account) {
	if len(a.delivered) > 0 {
		c.summary.Delivered++
		c.summary.Duplicates += len(a.delivered) - 1
	}
	if len(a.bounces) > 0 {
		c.summary.Bounced++
		c.summary.Repeated += len(a.bounces) - 1
	}
	if a.queued > 0 {
		c.summary.Queued++
	}
}

// repeats checks how often a message came to a recipient (L4, L5, L7).
func (c *checker) repeats(e Entry, recipient string, a *account) {
	entries, excused := c.excused(a.delivered, recipient)
	if n := len(a.delivered); len(entries) > 1 {
		c.violated("L4", e.ID, recipient, "was accepted %d times: %v", len(entries), entries)
	} else if n > 1+excused {
		c.violated("L4", e.ID, recipient, "delivered %d times, faults excuse %d repetitions (%s)", n, excused, entries)
	}
	if len(a.delivered) > 0 && len(a.bounces) > 0 && excused == 0 {
		c.violated("L5", e.ID, recipient, "delivered and bounced")
	}
	if len(a.bounces) == 0 {
		return
	}
	// A bounce is a message and may be delivered again as any other; a second
	// one takes a fault when the first was handed in.
	bounces, again := c.excused(a.bounces, a.bounces[0].Recipient)
	again += c.rebounced(bounces)
	if len(a.bounces) > 1+again {
		c.violated("L7", e.ID, recipient, "bounced %d times (%v), faults excuse %d repetitions", len(a.bounces), bounces, again)
	}
	if e.Sender == "" {
		c.violated("L7", e.ID, recipient, "has the null sender and was bounced")
	}
}

// rebounced counts the faults that hit while bounces of one message came into
// the queue.
func (c *checker) rebounced(entries []string) int {
	var first, last time.Time
	for _, id := range entries {
		when, known := c.history.first[id]
		if !known {
			continue
		}
		if first.IsZero() || when.Before(first) {
			first = when
		}
		if when.After(last) {
			last = when
		}
	}
	n := 0
	for _, f := range c.faults {
		if hitBetween([]Fault{f}, first, last, true) {
			n++
		}
	}
	return n
}

// excused returns the entries of the queue that copies came from, and how many
// repetitions faults excuse.
func (c *checker) excused(copies []Delivery, recipient string) (entries []string, n int) {
	for _, d := range copies {
		if slices.Contains(entries, d.QueueID) {
			continue
		}
		entries = append(entries, d.QueueID)
		n += c.history.excuses(d.QueueID, recipient, c.faults)
		if len(copies) > len(c.history.attempts[key(d.QueueID, recipient)]) && c.history.unlogged(d.QueueID, c.faults) {
			n++
		}
	}
	return entries, n
}

func (c *checker) quiescence() {
	for _, what := range c.evidence.Leftovers {
		c.violated("L8", "", "", "%s is left", what)
	}
	if c.evidence.Working {
		return
	}
	for _, q := range c.evidence.Queue {
		c.violated("L8", q.ID, "", "%s is still queued", q.File)
	}
}

// progress checks L9 for deliveries that say when they were made.
func (c *checker) progress() {
	if len(c.faults) == 0 {
		return
	}
	last := c.faults[len(c.faults)-1].When
	total, soon := 0, 0
	for _, e := range c.ledger.Entries() {
		for _, r := range e.Recipients {
			a := c.accounts[key(e.ID, r)]
			if e.Answers[r] != Acked || len(a.delivered) == 0 || a.delivered[0].When.IsZero() {
				continue
			}
			total++
			from := last
			if e.When.After(from) {
				from = e.When
			}
			if !a.delivered[0].When.After(from.Add(progressTime)) {
				soon++
			}
		}
	}
	if float64(soon) < progressShare*float64(total) {
		c.violated("L9", "", "", "%d of %d were delivered within %v of the last fault", soon, total, progressTime)
	}
}

// honesty compares the log with the deliveries (L10). Without a log there is
// nothing to compare.
func (c *checker) honesty() {
	if len(c.evidence.Log) == 0 {
		return
	}
	copies := make(map[string]int) // by queue id and recipient
	ours := make(map[string]bool)  // queue ids of messages of the ledger
	for _, e := range c.ledger.Entries() {
		for _, r := range e.Recipients {
			for _, d := range c.accounts[key(e.ID, r)].delivered {
				copies[key(d.QueueID, r)]++
				ours[d.QueueID] = true
				logged := c.history.successes(d.QueueID, r)
				if logged == 0 && !c.history.unlogged(d.QueueID, c.faults) {
					c.violated("L10", e.ID, r, "delivered, and the log has no success of msg %s", d.QueueID)
				}
			}
		}
	}
	for _, attempts := range c.history.attempts {
		a := attempts[0]
		n := c.history.successes(a.message, a.recipient)
		if ours[a.message] && copies[key(a.message, a.recipient)] < n {
			c.violated("L10", "", a.recipient, "the log has %d successes of msg %s, %d copies are there", n, a.message, copies[key(a.message, a.recipient)])
		}
	}
}
