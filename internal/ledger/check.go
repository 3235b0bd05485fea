package ledger

import (
	"fmt"
	"slices"
	"time"
)

// Rule is one of L1 to L11; doc.go says what each means.
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
	Torn                                   int // left unfinished in an mbox by a fault
	Gone                                   int // an operator wanted it to be
	Orders, Obeyed                         int // given, and answered as done
	Faults                                 int
	// Window is the longest time from a success in the log to a fault that
	// repeated the delivery.
	Window time.Duration
}

// Add adds another run.
func (s *Summary) Add(other Summary) {
	s.Messages += other.Messages
	s.Acked += other.Acked
	s.Nacked += other.Nacked
	s.Unknown += other.Unknown
	s.Delivered += other.Delivered
	s.Bounced += other.Bounced
	s.Queued += other.Queued
	s.Duplicates += other.Duplicates
	s.Repeated += other.Repeated
	s.Uncertain += other.Uncertain
	s.Torn += other.Torn
	s.Gone += other.Gone
	s.Orders += other.Orders
	s.Obeyed += other.Obeyed
	s.Faults += other.Faults
	s.Window = max(s.Window, other.Window)
}

func (s Summary) String() string {
	return fmt.Sprintf("%d messages; recipients: %d acknowledged, %d refused, %d unknown; %d delivered, %d bounced, %d queued, %d deleted; "+
		"%d duplicates (at most %v after the success), %d repeated bounces, %d refused for now by a fault and there, %d torn in an mbox; "+
		"%d orders, %d answered as done; %d faults",
		s.Messages, s.Acked, s.Nacked, s.Unknown, s.Delivered, s.Bounced, s.Queued, s.Gone,
		s.Duplicates, s.Window.Round(time.Millisecond), s.Repeated, s.Uncertain, s.Torn, s.Orders, s.Obeyed, s.Faults)
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
	a := c.account(e, d.Recipient)
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
	e, known := c.entry(b.ID)
	if !known {
		c.violated("L7", b.ID, d.Recipient, "%s is a bounce of a message that nobody sent", d.Place)
		return
	}
	for _, r := range b.Recipients {
		a := c.account(e, r)
		if a == nil {
			c.violated("L6", b.ID, r, "%s is a bounce for a recipient that nobody gave", d.Place)
			continue
		}
		a.bounces = append(a.bounces, d)
	}
}

// account returns that of a recipient, by the address that was given or by one
// that an operator gave instead; nil if it is neither.
func (c *checker) account(e Entry, address string) *account {
	if a := c.accounts[key(e.ID, address)]; a != nil {
		return a
	}
	if r, found := e.readdressed(address); found {
		return c.accounts[key(e.ID, r)]
	}
	return nil
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
			switch {
			case !exists && e.mayBeGone(r):
				c.summary.Gone++
			case !exists:
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
	c.obeyed(e)
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
	c.copies(e, recipient, a.delivered)
	if len(a.delivered) > 0 && len(a.bounces) > 0 && !c.history.unlogged(a.delivered[0].QueueID, c.faults) {
		c.violated("L5", e.ID, recipient, "delivered and bounced")
	}
	if len(a.bounces) == 0 {
		return
	}
	// A bounce is a message and may be delivered again as any other; a second
	// one takes a fault when the first was handed in.
	bounces := origins(a.bounces)
	for _, id := range bounces {
		same := slices.DeleteFunc(slices.Clone(a.bounces), func(d Delivery) bool { return d.QueueID != id })
		c.times("L7", e, Hop{id, same[0].Recipient}, len(same))
	}
	if len(bounces) > 1+c.rebounced(bounces) {
		c.violated("L7", e.ID, recipient, "bounced %d times (%v)", len(bounces), bounces)
	}
	if e.Sender == "" {
		c.violated("L7", e.ID, recipient, "has the null sender and was bounced")
	}
}

// copies checks that each copy comes from the one entry of the queue, on the
// way that the log explains: what was forwarded was an entry once more.
func (c *checker) copies(e Entry, recipient string, delivered []Delivery) {
	if entries := origins(delivered); len(entries) > 1 {
		c.violated("L4", e.ID, recipient, "was accepted %d times: %v", len(entries), entries)
		return
	}
	final := make(map[Hop]int)             // copies a last hop made
	onward := make(map[Hop]map[string]int) // entries that a hop made
	for _, d := range delivered {
		hop := Hop{d.QueueID, d.Recipient}
		for _, next := range d.Forwarded {
			if onward[hop] == nil {
				onward[hop] = make(map[string]int)
			}
			onward[hop][next.QueueID]++
			hop = next
		}
		final[hop]++
	}
	for hop, n := range final {
		c.times("L4", e, hop, n)
	}
	for hop, entries := range onward {
		c.times("L4", e, hop, len(entries))
	}
}

// times checks that the log explains so many copies of an entry.
func (c *checker) times(rule Rule, e Entry, hop Hop, n int) {
	x := c.history.explain(hop.QueueID, hop.Recipient, e.Begun, c.faults)
	if n > 1 {
		c.summary.Window = max(c.summary.Window, x.window)
	}
	if n > 1 && x.wrong != "" {
		c.violated(rule, e.ID, hop.Recipient, "%d copies of msg %s: %s", n, hop.QueueID, x.wrong)
	}
	if n > max(1, x.copies)+x.unlogged {
		c.violated(rule, e.ID, hop.Recipient, "%d copies of msg %s, attempts explain %d, faults %d more", n, hop.QueueID, x.copies, x.unlogged)
	}
}

// origins returns the entries of the queue that copies came from.
func origins(copies []Delivery) (entries []string) {
	for _, d := range copies {
		if !slices.Contains(entries, d.QueueID) {
			entries = append(entries, d.QueueID)
		}
	}
	return entries
}

// rebounced counts the faults that hit while bounces of one message came into
// the queue, or may have hit then: without a log nothing says when that was.
func (c *checker) rebounced(entries []string) int {
	if len(c.evidence.Log) == 0 {
		return len(c.faults)
	}
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

func (c *checker) quiescence() {
	if c.summary.Torn = c.evidence.Torn; c.evidence.Torn > len(c.faults) {
		c.violated("L2", "", "", "%d copies are torn, by %d faults", c.evidence.Torn, len(c.faults))
	}
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
				copies[key(d.QueueID, d.Recipient)]++
				ours[d.QueueID] = true
				logged := c.history.successes(d.QueueID, d.Recipient)
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
