package powercut

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"postrider/internal/ledger"
)

// Message is what a workload sends.
type Message struct {
	ID         string // of the ledger
	Text       string
	Hash       string
	Recipients []string
}

// Place says where the mail of a recipient goes.
type Place struct {
	Maildir string   // below the roots
	Mbox    string   // the same
	Via     []string // addresses it is forwarded to
	Far     bool     // to another host
}

// Pair is a message for one of its recipients.
type Pair struct{ ID, Recipient string }

func (p Pair) String() string { return p.ID + " for " + p.Recipient }

// Case is what a trace is about.
type Case struct {
	Messages []Message
	Places   map[string]Place
	// Acked and Sent are what had been promised, and what another host had
	// taken, before the trace begins.
	Acked, Sent []Pair
	// Orders are those of operators, in the order in which they were given.
	// Deleted are pairs that they may have taken out of the queue before the
	// trace begins, Moved the new addresses of pairs.
	Orders  []ledger.Order
	Deleted []Pair
	Moved   map[Pair]string
}

// Rule is what a state may break.
type Rule string

// The rules of a state.
const (
	Lost         Rule = "lost"         // acknowledged, and neither queued nor delivered nor bounced (R1)
	Torn         Rule = "torn"         // an acknowledged entry that is not whole (R1)
	Partial      Rule = "partial"      // a message in a mailbox that is not whole (R2)
	Damaged      Rule = "damaged"      // a progress file with a bad line between good ones (R16)
	Repeated     Rule = "repeated"     // a durable mark that is gone while its entry is there (R18)
	Forgotten    Rule = "forgotten"    // an order that was answered, and is not known
	Undocumented Rule = "undocumented" // a file that docs/architecture.md does not have
)

// Violation is a rule that a state breaks.
type Violation struct {
	Rule   Rule
	What   string // message, entry or file
	Detail string
}

func (v Violation) String() string { return fmt.Sprintf("%s: %s %s", v.Rule, v.What, v.Detail) }

// Checker checks states of one trace.
type Checker struct {
	t       *Trace
	c       Case
	b       *builder
	sent    map[string]*Message
	index   map[Pair][]Pair     // what a message to an address counts for
	kinds   map[string]kind     // of names
	owners  map[string][]string // Maildir or mbox to recipients
	wholes  map[*Content]bool   // messages in mailboxes as they were meant to be
	acks    map[Mark][]Pair
	bounces map[string][]Pair            // by the bounce's entry
	ordered map[string]map[string][]Pair // pairs by entry and recipient

	durable *moment          // the last one that was looked at
	marked  map[string][]int // recipients whose mark was durable, by entry
}

// NewChecker returns the checker for a trace.
func NewChecker(t *Trace, c Case) *Checker {
	k := &Checker{
		t: t, c: c, b: newBuilder(t), sent: make(map[string]*Message), owners: make(map[string][]string),
		index: make(map[Pair][]Pair), kinds: make(map[string]kind),
		acks: make(map[Mark][]Pair), bounces: make(map[string][]Pair), marked: make(map[string][]int),
	}
	for i, m := range c.Messages {
		k.sent[m.ID] = &c.Messages[i]
		for _, r := range m.Recipients {
			addresses := append([]string{r}, c.Places[r].Via...)
			if moved := c.Moved[Pair{m.ID, r}]; moved != "" {
				addresses = append(addresses, moved)
			}
			for _, address := range addresses {
				k.index[Pair{m.ID, address}] = append(k.index[Pair{m.ID, address}], Pair{m.ID, r})
			}
		}
	}
	for r, place := range c.Places {
		for _, box := range []string{place.Maildir, place.Mbox} {
			if box != "" {
				k.owners[box] = append(k.owners[box], r)
			}
		}
	}
	for _, m := range t.Marks {
		if _, known := k.acks[m]; !known {
			k.acks[m] = k.promised(m)
		}
	}
	k.ordered = k.orderedPairs()
	return k
}

// use makes the checker share the contents of an enumeration.
func (k *Checker) use(b *builder) {
	k.b = b
	k.wholes = make(map[*Content]bool)
	for name, content := range k.t.Base.Files {
		if isMailbox(name) {
			k.wholes[content] = true
		}
	}
	for _, o := range k.t.Ops {
		for _, name := range o.names() {
			if isMailbox(name) {
				k.wholes[b.final(o.File)] = true
			}
		}
	}
}

var mailbox = regexp.MustCompile(`^(.*/Maildir)/(?:new|cur)/[^/]+$`)

func isMailbox(name string) bool { return mailbox.MatchString(name) }

// promised are the pairs that a mark is about.
func (k *Checker) promised(m Mark) []Pair {
	var e entry
	var text *message
	switch {
	case m.Kind == Dropped:
		content := k.b.final(m.File)
		e, text = *content.drop(), content.dropped()
	case k.t.Entries[m.ID] != 0:
		e, text = k.queued(m.ID)
	}
	if text == nil {
		return nil
	}
	var pairs []Pair
	for _, r := range e.recipients {
		for _, p := range k.pairs(text.id, r) {
			if m.Kind != Sent || k.c.Places[p.Recipient].Far {
				pairs = append(pairs, p)
			}
		}
	}
	if text.bounce == nil {
		return pairs
	}
	for _, r := range text.bounce.Recipients {
		k.bounces[m.ID] = append(k.bounces[m.ID], Pair{text.bounce.ID, r})
	}
	if m.Kind == Sent {
		return k.bounces[m.ID]
	}
	return nil
}

// queued is an entry of the trace, with its message.
func (k *Checker) queued(id string) (entry, *message) {
	content := k.b.final(k.t.Entries[id])
	e, text := *content.entry(), content.body()
	if !e.inline && k.t.Bodies[id] != 0 {
		text = k.b.final(k.t.Bodies[id]).message()
	}
	return e, text
}

// pairs are those that a message to an address counts for: its own, and those
// of recipients who forward to it.
func (k *Checker) pairs(id, address string) []Pair { return k.index[Pair{id, address}] }

// finding is what is found in one state.
type finding struct {
	k        *Checker
	tree     *Tree
	accepted map[string]bool // entries that somebody was told of
	there    map[Pair]bool
	bouncing map[Pair]bool  // their bounces were accepted
	deleted  map[Pair]bool  // they may be gone
	answers  map[string]int // to orders, by entry
	broken   []Violation
}

// Check returns the rules that a state breaks.
func (k *Checker) Check(s *State) []Violation {
	k.remember(s.durable)
	f := &finding{k: k, tree: s.Tree, accepted: make(map[string]bool), there: make(map[Pair]bool), bouncing: make(map[Pair]bool),
		deleted: k.deleted(s.Marks), answers: answered(s.Marks)}
	for _, p := range k.c.Sent {
		f.there[p] = true
	}
	for _, m := range s.Marks {
		switch m.Kind {
		case Accepted:
			f.accepted[m.ID] = true
			for _, p := range k.bounces[m.ID] {
				f.bouncing[p] = true
			}
		case Sent:
			f.note(k.acks[m])
		}
	}
	for name, content := range s.Tree.Files {
		f.file(name, content)
	}
	for _, p := range k.c.Acked {
		f.mustBe(p)
	}
	for _, m := range s.Marks {
		if m.Kind == Sent || m.Kind == Obeyed {
			continue
		}
		if m.Kind == Accepted && k.t.Entries[m.ID] == 0 {
			f.breaks(Lost, m.ID, "was acknowledged and never was an entry")
		}
		for _, p := range k.acks[m] {
			f.mustBe(p)
		}
	}
	return f.broken
}

// remember collects the marks of recipients that are durable from now on.
func (k *Checker) remember(now *moment) {
	if now == k.durable {
		return
	}
	k.durable = now
	for name, content := range now.tree.Files {
		if m := infoName.FindStringSubmatch(name); m != nil {
			settled := append(k.marked[m[1]], content.progress().settled()...)
			slices.Sort(settled)
			k.marked[m[1]] = slices.Compact(settled)
		}
	}
}

func (f *finding) note(pairs []Pair) {
	for _, p := range pairs {
		f.there[p] = true
	}
}

func (f *finding) mustBe(p Pair) {
	if !f.there[p] && !f.deleted[p] {
		f.breaks(Lost, p.String(), "was acknowledged and is neither queued, delivered nor bounced")
		f.there[p] = true // told once
	}
}

func (f *finding) breaks(r Rule, what, format string, args ...any) {
	f.broken = append(f.broken, Violation{r, what, fmt.Sprintf(format, args...)})
}

// The names that docs/architecture.md has below queue/.
var (
	infoName = regexp.MustCompile(`/queue/info/\d\d/(\d{20})$`)
	dropPath = regexp.MustCompile(`/queue/drop/([^/]+)$`)
	others   = []*regexp.Regexp{
		regexp.MustCompile(`/queue/tmp/(\d{20}(\.body)?|answered)$`),
		regexp.MustCompile(`/queue/info/\d\d/(\.\d{20}|\d{20}|\d{20}\.bad)$`),
		regexp.MustCompile(`/queue/bad/(unacked/)?(drop\.[0-9a-f]{32}|\d{20}(\.\d+)?(\.body)?)$`),
		regexp.MustCompile(`/queue/drop/\.?[0-9a-f]{32}$`),
		regexp.MustCompile(`/queue/lock/(spool|sendmutex)$`),
		regexp.MustCompile(`/Maildir/tmp/[^/]+$`),
	}
)

// kind is what a name is for.
type kind struct {
	use use
	id  string // of an entry, its body or its progress
	dir string // the Maildir
}

type use int

const (
	unknown use = iota
	wrongBucket
	anEntry
	aBody
	aDrop
	mail
	mbox
	another
)

func (k *Checker) kindOf(name string) kind {
	found, known := k.kinds[name]
	if !known {
		found = k.classify(name)
		k.kinds[name] = found
	}
	return found
}

func (k *Checker) classify(name string) kind {
	if m := entryName.FindStringSubmatch(name); m != nil {
		switch {
		case path.Base(path.Dir(name)) != m[1][18:]:
			return kind{use: wrongBucket}
		case m[2] != "":
			return kind{use: aBody, id: m[1]}
		}
		return kind{use: anEntry, id: m[1]}
	}
	if m := mailbox.FindStringSubmatch(name); m != nil {
		return kind{use: mail, dir: m[1]}
	}
	m := dropPath.FindStringSubmatch(name)
	switch {
	case m != nil && isDropName(m[1]):
		return kind{use: aDrop}
	case k.owners[name] != nil:
		return kind{use: mbox}
	case k.t.Base.Files[name] != nil, slices.ContainsFunc(others, func(r *regexp.Regexp) bool { return r.MatchString(name) }):
		return kind{use: another}
	}
	return kind{}
}

func (f *finding) file(name string, content *Content) {
	switch kind := f.k.kindOf(name); kind.use {
	case unknown:
		f.breaks(Undocumented, name, "is in no documented place")
	case wrongBucket:
		f.breaks(Undocumented, name, "is in the wrong bucket")
	case anEntry:
		f.entry(name, kind.id, content)
	case aDrop:
		if e := content.drop(); e.whole {
			f.queued(e, content.dropped(), nil)
		}
	case mail:
		f.mail(name, kind.dir, content)
	case mbox:
		f.mbox(content, f.k.owners[name])
	}
}

func (f *finding) entry(name, id string, content *Content) {
	e := content.entry()
	text := content.body()
	whole := e.whole
	if e.whole && !e.inline {
		body := f.tree.Files[name+".body"]
		if whole = e.outside(body); whole {
			text = body.message()
		}
	}
	if !whole {
		if f.accepted[id] {
			f.breaks(Torn, id, "was acknowledged and is torn")
		}
		return
	}
	var done *progress
	info := strings.Replace(name, "/new/", "/info/", 1)
	if c := f.tree.Files[info]; c != nil {
		if done = c.progress(); done.damaged {
			f.breaks(Damaged, info, "has a bad line between good ones")
		}
	}
	f.marks(id, done)
	f.told(id, e, text, done)
	f.obeyed(id, e, done)
	f.queued(e, text, done)
}

// told looks whether a failure is still known of which the sender was told:
// its bounce was accepted.
func (f *finding) told(id string, e *entry, text *message, done *progress) {
	for index, r := range e.recipients {
		if !f.bouncing[Pair{text.id, r}] {
			continue
		}
		if done == nil || !done.owed[index] && !done.bounced[index] {
			f.breaks(Repeated, id, "is there, its bounce was accepted, and that recipient %d failed is forgotten", index)
			return
		}
	}
}

// marks looks whether what was durable is still known of an entry that is
// there.
func (f *finding) marks(id string, done *progress) {
	for _, index := range f.k.marked[id] {
		if done == nil || !done.delivered[index] && !done.bounced[index] && !done.discarded[index] {
			f.breaks(Repeated, id, "is there again, and that recipient %d is done is forgotten", index)
			return
		}
	}
}

// queued notes whom an entry is still meant for.
func (f *finding) queued(e *entry, text *message, done *progress) {
	for index, r := range e.recipients {
		if done != nil && (done.delivered[index] || done.bounced[index]) {
			continue
		}
		if text.bounce != nil {
			f.bounce(text)
			continue
		}
		m := f.k.sent[text.id]
		if m == nil || m.Hash != text.hash {
			continue
		}
		f.note(f.k.pairs(text.id, r))
	}
}

func (f *finding) bounce(text *message) {
	for _, r := range text.bounce.Recipients {
		f.there[Pair{text.bounce.ID, r}] = true
	}
}

func (f *finding) mail(name, dir string, content *Content) {
	if !f.k.isWhole(content) {
		f.breaks(Partial, name, "is not whole (%d bytes)", content.size)
		return
	}
	text := content.message()
	if text.bounce != nil {
		f.bounce(text)
		return
	}
	f.delivered(text.id, text.hash, f.k.owners[dir])
}

// isWhole reports whether a message in a mailbox is one that was meant to be
// there. Where no trace tells that, it must be one that was sent, or a bounce.
func (k *Checker) isWhole(content *Content) bool {
	if k.wholes != nil {
		return k.wholes[content]
	}
	text := content.message()
	m := k.sent[text.id]
	return text.bounce != nil || m != nil && m.Hash == text.hash
}

// delivered notes those of a message's recipients who own the mailbox, or
// forward to somebody who does.
func (f *finding) delivered(id, hash string, owners []string) {
	m := f.k.sent[id]
	if m == nil || m.Hash != hash {
		return
	}
	for _, owner := range owners {
		f.note(f.k.pairs(id, owner))
	}
}

// mbox looks for the whole text of messages: the format has no marks that
// could tell more.
func (f *finding) mbox(content *Content, owners []string) {
	for _, id := range slices.Sorted(maps.Keys(f.k.sent)) {
		m := f.k.sent[id]
		if _, body, _ := strings.Cut(m.Text, "\n\n"); strings.Contains(string(content.Data), body) {
			f.delivered(id, m.Hash, owners)
		}
	}
}
