package powercut

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

// sample is a state that the suite shall be started on.
type sample struct {
	recorded
	state State
}

// sampler keeps one state of each shape, each as likely as any other of it: most
// states of a workload are alike, and what is rare breaks things.
type sampler struct {
	random *rand.Rand
	seen   map[string]int // states of a shape
	kept   map[string]sample

	k       *Checker            // of the trace that is explored
	files   map[string]string   // what its names are for
	damages map[*Content]string // of its contents
}

func newSampler(random *rand.Rand) *sampler {
	return &sampler{random: random, seen: make(map[string]int), kept: make(map[string]sample)}
}

// begin is before the states of a trace.
func (s *sampler) begin(r recorded) {
	s.k = NewChecker(r.trace, r.c)
	s.files, s.damages = make(map[string]string), make(map[*Content]string)
}

// see returns how many states of this one's shape there have been, 0 for one that
// cannot be kept.
func (s *sampler) see(r recorded, state *State) int {
	for _, content := range state.Tree.Files {
		if content.Data == nil {
			return 0
		}
	}
	shape := s.shape(state)
	s.seen[shape]++
	if s.random.IntN(s.seen[shape]) == 0 {
		s.kept[shape] = sample{r, *state}
	}
	return s.seen[shape]
}

// some returns states of different shapes, n at most.
func (s *sampler) some(n int) []sample {
	shapes := slices.Sorted(maps.Keys(s.kept))
	s.random.Shuffle(len(shapes), func(i, j int) { shapes[i], shapes[j] = shapes[j], shapes[i] })
	var samples []sample
	for _, shape := range shapes[:min(n, len(shapes))] {
		samples = append(samples, s.kept[shape])
	}
	return samples
}

// own is what names of the same kind do not have in common.
var own = regexp.MustCompile(`[0-9a-f]{20,}|/\d\d/|Maildir/tmp/.*|^/home/[^/]*`)

// shape says which kinds of files a state has and what is wrong with them, and
// what somebody had been told.
func (s *sampler) shape(state *State) string {
	parts := make(map[string]bool)
	for name, content := range state.Tree.Files {
		if s.k.t.Base.Files[name] != content {
			parts[s.file(state.Tree, name, content)] = true
		}
	}
	for _, m := range state.Marks {
		parts[fmt.Sprint("told ", m.Kind)] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(parts)), "\n")
}

func (s *sampler) file(t *Tree, name string, content *Content) string {
	what := s.files[name]
	use := s.k.kindOf(name).use
	if what == "" {
		if what = own.ReplaceAllString(name, "#"); use == mail {
			what = "mail"
		}
		s.files[name] = what
	}
	bad, known := s.damages[content]
	if !known {
		bad = damage(content)
		s.damages[content] = bad
	}
	what += bad
	switch use {
	case anEntry:
		e := content.entry()
		body := t.Files[name+".body"]
		what += fmt.Sprint(" ", e.whole, e.inline, body != nil, e.outside(body))
	case aDrop:
		what += fmt.Sprint(" ", content.drop().whole)
	}
	return what
}

// damage is what the bytes of a file tell without knowing what they should be.
func damage(c *Content) string {
	const run = 16 // more zeros than any format of ours has together
	zeros := string(make([]byte, run))
	text := string(c.Data)
	switch {
	case text == "":
		return " empty"
	case strings.Trim(text, "\x00") == "":
		return " all zeros"
	case strings.HasPrefix(text, zeros):
		return " begins with zeros"
	case strings.HasSuffix(text, zeros):
		return " ends with zeros"
	case strings.Contains(text, zeros):
		return " has zeros"
	}
	return ""
}

// acked are the pairs that had been promised when the power failed, sent those
// that another host had taken, deleted those that an operator may have deleted.
func (s sample) acked() (acked, sent, deleted []Pair) {
	k := NewChecker(s.trace, s.c)
	acked, sent = slices.Clone(s.c.Acked), slices.Clone(s.c.Sent)
	for _, m := range s.state.Marks {
		switch m.Kind {
		case Sent:
			sent = append(sent, k.acks[m]...)
		case Accepted, Dropped:
			acked = append(acked, k.acks[m]...)
		}
	}
	return acked, sent, slices.Collect(maps.Keys(k.deleted(s.state.Marks)))
}

// restore makes a state that of the host's disk. The suite must be stopped.
func (s *station) restore(t *Tree) {
	s.t.Helper()
	s.clean()
	for name, content := range t.Files {
		if old, err := os.ReadFile(s.host.Path(name)); err == nil && string(old) == string(content.Data) {
			continue // set up before
		}
		owner, group, mode := ownerOf(name)
		s.host.WriteFile(name, string(content.Data), mode)
		s.host.Must("chown", owner+":"+group, name)
	}
	s.host.Must("touch", "/tmp/open")
}

func ownerOf(name string) (user, group string, mode os.FileMode) {
	parts := strings.Split(name, "/")
	switch {
	case strings.HasPrefix(name, "/home/"):
		return parts[2], parts[2], 0o600
	case strings.HasPrefix(name, "/var/qmail/queue/info/"):
		return "qmails", "qmails", 0o600
	case strings.HasPrefix(name, "/var/qmail/queue/drop/"):
		return "load", "qmailq", 0o640
	}
	return "qmailq", "qmails", 0o640
}

// testRestarts starts the suite on states and lets it work until the queue is
// empty. Then the ledger must be content, and nobody has a message twice that
// was marked as delivered. The first few recoveries are recorded, and the power
// fails in them too: their states are explored as those of any other workload.
func testRestarts(t *testing.T, s *station, look *inspector, samples []sample, record int) (states map[Model]int) {
	states = make(map[Model]int)
	s.concurrency(20)
	for n, sample := range samples {
		s.restore(sample.state.Tree)
		acked, sent, deleted := sample.acked()
		taken := len(s.sink.Accepted())
		c := Case{Messages: sample.c.Messages, Places: sample.c.Places, Acked: acked, Sent: sent, Deleted: deleted, Moved: sample.c.Moved}
		var trace *Trace
		if n < record {
			trace, c = s.record(c, func(r *recording) { r.traced(func() { r.recover(sample) }) })
		} else {
			s.host.StartSuite()
			(&recording{station: s}).recover(sample)
			s.host.StopSuite()
		}
		name := fmt.Sprintf("restart %d, on a state of %s after line %d", n, sample.name, sample.state.Point)
		s.holdLedger(name, sample, acked, s.sink.Accepted()[taken:])
		s.countCopies(name, sample)
		if trace == nil {
			continue
		}
		for _, m := range []Model{Ordered, Unordered} {
			result := Explore(trace, c, m, recoveryLimits(), func(state *State) {
				if testhost.Long() {
					look.see(recorded{name: name}, state)
				}
			})
			states[m] += result.States
			for _, b := range result.Broken {
				t.Errorf("%s, %v: %v", name, m, b)
			}
		}
	}
	return states
}

// recover waits until a suite that was started on a state has nothing left to do.
func (r *recording) recover(on sample) {
	if len(on.c.Orders) > 0 {
		r.release()
	}
	r.settle()
	if err := r.host.WaitForNoProgress(testhost.Within(r.t, soon)); err != nil {
		r.t.Errorf("progress of messages that are gone stays: %v", r.host.QueueFiles())
	}
}

// settle waits until everything that was in the queue and in drop/ is gone.
func (r *recording) settle() {
	r.t.Helper()
	ctx := testhost.Within(r.t, soon)
	if _, err := r.host.WaitForFiles(ctx, "/var/qmail/queue/drop", func(names []string) bool {
		return !slices.ContainsFunc(names, isDropName)
	}); err != nil {
		r.t.Fatal(err)
	}
	r.empty()
}

// holdLedger holds the ledger of what was sent against what there is.
func (s *station) holdLedger(name string, p sample, acked []Pair, taken []testhost.Accepted) {
	s.t.Helper()
	var text strings.Builder
	stamp := time.Now().UnixNano()
	for _, m := range p.c.Messages {
		if m.ID != "" {
			fmt.Fprintf(&text, "%d INTENT %s smtp %s <load@%s> %s\n", stamp, m.ID, m.Hash, domain, strings.Join(m.Recipients, " "))
		}
	}
	for _, pair := range acked {
		if pair.ID != "" {
			fmt.Fprintf(&text, "%d ACK %s %s\n", stamp, pair.ID, pair.Recipient)
		}
	}
	for _, o := range p.c.Orders {
		fields := append([]string{o.ID, string(o.Kind), o.QueueID, cmp.Or(o.To, "-")}, o.Recipients...)
		fmt.Fprintf(&text, "%d ORDER %s\n", stamp, strings.Join(fields, " "))
	}
	fmt.Fprintf(&text, "%d FAULT cut disk\n", stamp)
	book, err := ledger.Read(strings.NewReader(text.String()))
	if err != nil {
		s.t.Fatal(err)
	}
	violations, summary := book.Check(s.evidence(p, taken))
	s.t.Logf("%s: %v", name, summary)
	for _, v := range violations {
		if v.Rule == "L4" && len(p.c.Places[v.Recipient].Via) > 0 {
			continue // a forward that was accepted, and not yet marked as done
		}
		s.t.Errorf("%s: %v", name, v)
	}
}

// evidence is everything that is found on the host and at the sink. What the
// sink had taken before the power failed is told by the marks.
func (s *station) evidence(p sample, taken []testhost.Accepted) ledger.Evidence {
	s.t.Helper()
	e := s.found(taken, nil)
	texts := make(map[string]string)
	for _, m := range p.c.Messages {
		texts[m.ID] = m.Text
	}
	k := NewChecker(p.trace, p.c)
	for _, m := range p.state.Marks {
		for _, pair := range k.acks[m] {
			if m.Kind == Sent && p.c.Places[pair.Recipient].Far && pair.ID != "" {
				e.Deliveries = append(e.Deliveries, ledger.Delivery{
					Place: "sink, before", Recipient: pair.Recipient, Sender: "load@" + domain, Text: texts[pair.ID], QueueID: m.ID,
				})
			}
		}
	}
	return e
}

// found is what mailboxes, sinks and queue hold when the suite is stopped and
// should have nothing left to do.
func (s *station) found(taken, relayed []testhost.Accepted) ledger.Evidence {
	s.t.Helper()
	var e ledger.Evidence
	add := func(place, recipient, sender, text string, when time.Time) {
		if id, _ := ledger.Identify(text); id == "" && !isBounce(text) {
			return // too small for an id; the check of the states looks for these
		}
		e.Deliveries = append(e.Deliveries, ledger.Delivery{Place: place, Recipient: recipient, Sender: sender, Text: text, When: when})
	}
	for place, list := range map[string][]testhost.Accepted{"sink": taken, "relay": relayed} {
		for _, a := range list {
			for _, r := range a.Recipients {
				add(place, r, a.Sender, a.Text, a.When)
			}
		}
	}
	for _, user := range []string{"alice", "erin", "load"} {
		for _, m := range s.host.Maildir(user).Messages() {
			add(m.File, firstRecipient(m.Text), strings.Trim(m.Header("Return-Path"), "<>"), m.Text, time.Time{})
		}
	}
	if box, err := os.ReadFile(s.host.Path("/home/carol/Mailbox")); err == nil {
		var whole []string
		whole, e.Torn = mboxMessages(string(box))
		for _, text := range whole {
			add("mbox", firstRecipient(text), "load@"+domain, text, time.Time{})
		}
	}
	for _, dir := range []string{"tmp", "new", "info", "drop", "bad"} {
		err := filepath.WalkDir(s.host.Path("/var/qmail/queue/"+dir), func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !mayStay(path) {
				e.Leftovers = append(e.Leftovers, path)
			}
			return err
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return e
}

func isBounce(text string) bool {
	_, yes := ledger.ParseBounce(text)
	return yes
}

// mayStay are files of which nobody was told: set aside since they were torn or
// had lost their bytes, hidden in drop/, or a body whose entry is no more, which
// the sweep removes; and what qmail-spool says of its end. They do not count as
// a message that is kept.
func mayStay(name string) bool {
	base := path.Base(name)
	return base == "answered" || strings.Contains(name, "/bad/") || strings.Contains(name, "/drop/.") ||
		strings.Contains(name, "/new/") && strings.HasSuffix(base, ".body")
}

var deliveredTo = regexp.MustCompile(`(?m)^Delivered-To: (\S+)$`)

// firstRecipient is to whom a message was sent that has been forwarded since.
func firstRecipient(text string) string {
	head, _, _ := strings.Cut(text, "\n\n")
	all := deliveredTo.FindAllStringSubmatch(head, -1)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1][1]
}

// mboxMessages cuts an mbox at its From_ lines. The format cannot keep what was
// being appended from being there in part, or as zeros; such copies are counted.
func mboxMessages(box string) (whole []string, torn int) {
	for part := range strings.SplitSeq("\n"+strings.TrimSuffix(box, "\n"), "\nFrom ") {
		_, text, found := strings.Cut(part, "\n")
		text, zeros, hasZeros := strings.Cut(text, "\x00")
		if hasZeros {
			text = strings.TrimSuffix(text, "\n") // the empty line before a message
			torn++
		}
		id, _ := ledger.Identify(text)
		switch {
		case found && id != "" && strings.Contains(text, id+" ends after "):
			whole = append(whole, text)
		case !hasZeros && len(part)+len(zeros) > 0:
			torn++
		}
	}
	return whole, torn
}

// countCopies compares how often a recipient has a message with how often the
// state allows: once more than before only if it was still queued for him.
func (s *station) countCopies(name string, p sample) {
	s.t.Helper()
	before, after := copies(p.state.Tree), copies(s.tree())
	queued := p.queued()
	for origin, to := range p.c.Moved {
		if queued[origin] > 0 { // for him, under his new address
			queued[Pair{origin.ID, to}] += queued[origin]
		}
	}
	for pair, n := range after {
		if allowed := before[pair] + queued[pair]; n > max(1, allowed) {
			s.t.Errorf("%s: %v has it %d times, %d before and %d queued", name, pair, n, before[pair], queued[pair])
		}
	}
}

// copies counts messages in Maildirs.
func copies(t *Tree) map[Pair]int {
	n := make(map[Pair]int)
	for name, content := range t.Files {
		if id, _ := ledger.Identify(string(content.Data)); isMailbox(name) && id != "" && !isBounce(string(content.Data)) {
			n[Pair{id, firstRecipient(string(content.Data))}]++
		}
	}
	return n
}

// queued counts the entries and drops of a state that are meant for a pair.
func (s sample) queued() map[Pair]int {
	n := make(map[Pair]int)
	k := NewChecker(s.trace, s.c)
	for name, content := range s.state.Tree.Files {
		one := &Tree{Files: map[string]*Content{name: content}}
		for _, companion := range []string{name + ".body", strings.Replace(name, "/new/", "/info/", 1)} {
			if c := s.state.Tree.Files[companion]; c != nil {
				one.Files[companion] = c
			}
		}
		if use := k.kindOf(name).use; use != anEntry && use != aDrop {
			continue
		}
		f := &finding{k: k, tree: one, there: make(map[Pair]bool), bouncing: make(map[Pair]bool)}
		f.file(name, content)
		for pair := range f.there {
			n[pair]++
		}
	}
	return n
}
