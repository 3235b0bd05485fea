//go:build linux && amd64

package failing

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/faultcall"
	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

const (
	domain  = "mx1.example"
	sender  = "sender" // gets the bounces
	nobody  = "nobody" // is no user; every message to him bounces
	patient = 60 * time.Second
)

// rig is a host whose suite runs under a supervisor, and the ledger of what is
// sent to it.
type rig struct {
	t        *testing.T
	net      *testhost.Network
	host     *testhost.Host
	next     *testhost.Sink // the next host, if there is one
	book     *ledger.Ledger
	calls    *faultcall.Supervisor // nil if the suite runs without one
	standing []faultcall.Order     // hold all the time
	users    []string
	sent     int
	clock    time.Duration
	inodes   int      // files that take inodes away
	mayEnd   bool     // qmail-start may have been killed a moment ago
	silent   int      // submissions without an answer
	problems []string // what a fault must not lead to
	passed   []string // lines that each message has which was delivered
	dead     []string // addresses, beside nobody's, for which mail bounces
	// abroad is what was delivered beyond the next host.
	abroad   []ledger.Delivery
	injected tally
	random   *rand.Rand
}

func newRig(t *testing.T, users ...string) *rig {
	t.Helper()
	return newRigOn(t, testhost.Disk{}, users...)
}

func newRigOn(t *testing.T, disk testhost.Disk, users ...string) *rig {
	t.Helper()
	testhost.NeedUsers(t)
	users = append(users, sender)
	net := testhost.NewNetwork(t)
	h := net.Host(domain, testhost.WithDisk(disk))
	h.Install()
	h.AddUsers(users...)
	h.Control("rcpthosts", domain)
	h.Control("verifyrcpt", "0")   // mail for nobody comes in
	h.Control("queueminfree", "0") // until the disk itself says no
	h.Control("queueminfiles", "0")
	book, err := ledger.New(t.TempDir() + "/ledger")
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return &rig{t: t, net: net, host: h, book: book, users: users, random: rand.New(rand.NewPCG(seed, 0))}
}

// start starts the suite under a supervisor.
func (r *rig) start() {
	r.t.Helper()
	calls, theirs, err := faultcall.New(r.standing...)
	if err != nil {
		r.t.Fatal(err)
	}
	defer theirs.Close()
	r.t.Cleanup(func() { calls.Close() })
	r.host.StartSuiteUnder(faultcall.Prefix(testBinary), theirs)
	r.calls = calls
}

// testBinary is this program as the host has it: its process 1.
const testBinary = "/proc/1/exe"

// restart stops the suite in order and starts it again, with control files
// changed in between.
func (r *rig) restart(change func()) {
	r.t.Helper()
	r.host.StopSuite()
	change()
	r.start()
}

// arm replaces the orders that do not stand and returns how many calls matched
// each of the old ones.
func (r *rig) arm(orders ...faultcall.Order) []int {
	r.t.Helper()
	seen, err := r.calls.Arm(append(orders, r.standing...)...)
	if err != nil {
		r.t.Fatalf("%v\nlog:\n%s", err, r.lastLog(100))
	}
	return seen
}

// wrong notes what a fault must not lead to.
func (r *rig) wrong(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// compose makes the next message and writes it down.
func (r *rig) compose(via string, size int, to ...string) (ledger.Intent, string) {
	r.sent++
	id := fmt.Sprintf("%s-%d", via, r.sent)
	addresses := make([]string, len(to))
	for i := range to {
		addresses[i] = to[i]
		if !strings.Contains(to[i], "@") {
			addresses[i] += "@" + domain
		}
	}
	from := sender + "@" + domain
	text, hash := ledger.Compose(id, from, addresses[0], size)
	in := ledger.Intent{ID: id, Via: via, Sender: from, Recipients: addresses, Hash: hash}
	r.book.Intend(in)
	return in, text
}

// drain lifts the faults and waits until the queue is empty. Where the clock
// can be moved, it is moved past the times after which trouble with the queue
// is looked at again.
func (r *rig) drain() {
	r.t.Helper()
	if r.calls != nil {
		r.arm()
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), patient/3)
	defer cancel()
	for {
		r.lookAgain()
		moment, cancel := context.WithTimeout(ctx, time.Second)
		err := r.host.WaitForEmptyQueue(moment)
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			r.report()
			r.t.Fatalf("the queue does not empty: %v%s%s\nlog:\n%s", r.host.Queue(), r.whatIsLeft(), r.lastFaults(8), r.lastLog(200))
		}
	}
}

// whatIsLeft is what is known of the messages in the queue, and of where they go.
func (r *rig) whatIsLeft() string {
	var text strings.Builder
	for _, line := range append(r.queuectl("list", "--json"), r.queuectl("destinations", "--all")...) {
		text.WriteString("\n\t" + strings.TrimSuffix(line, "\n"))
	}
	return text.String()
}

// lookAgain makes the scheduler try what it would try later.
func (r *rig) lookAgain() {
	r.t.Helper()
	if err := r.host.Suite().Signal(syscall.SIGALRM); err != nil {
		if !r.mayEnd {
			r.t.Fatal(err)
		}
		<-r.host.Suite().Ended() // the kernel took its time
		r.revive()
	}
	if r.clock > 0 {
		r.clock += 3 * time.Minute
		r.host.MoveClock(r.clock)
	}
}

// rest lets everything go out, and once more after a message that came last:
// what was being taken when the queue was empty is done, too.
func (r *rig) rest() {
	r.t.Helper()
	r.drain()
	r.awaitService()
	r.drain()
}

// awaitService sends messages until one is taken. One more attempt follows
// each start of a daemon, for which qmail-start may wait a while.
func (r *rig) awaitService() {
	r.t.Helper()
	ctx := testhost.Within(r.t, patient)
	for first := r.host.Log().Len(); r.bySMTP(noFault, 600, "alice") != taken; {
		var err error
		if _, first, err = r.host.Log().Wait(ctx, first, startedAgain); err != nil {
			r.wrong("no service after the faults: %v", err)
			return
		}
	}
}

// startedAgain are lines after which a link may be there that was missing.
var startedAgain = regexp.MustCompile(`^(qmail-start: .* started \(pid|new msg|status: )`)

// judge stops the suite and holds the ledger against what is found.
func (r *rig) judge() {
	r.t.Helper()
	r.host.StopSuite()
	evidence := collect(r.t, r.book, r.host, r.users...)
	evidence.Deliveries = append(evidence.Deliveries, r.abroad...)
	if r.next != nil {
		for _, a := range r.next.Accepted() {
			for _, to := range a.Recipients {
				evidence.Deliveries = append(evidence.Deliveries, ledger.Delivery{
					Place: "next host", Recipient: to, Sender: a.Sender, Text: a.Text, When: a.When,
				})
			}
		}
	}
	if n := withoutOrphans(r.host, &evidence); n > 0 {
		r.t.Logf("%d files of entries that are gone are left to the sweeps", n)
	}
	violations, summary := r.book.Check(evidence)
	r.t.Log(summary)
	for _, v := range violations {
		r.wrong("%v", v)
	}
	r.checkBounces(evidence)
	for _, d := range evidence.Deliveries {
		for _, line := range r.passed {
			if !strings.Contains(d.Text, line) {
				r.wrong("delivered without %q: %.500q", line, d.Text)
			}
		}
	}
	if err := r.book.Close(); err != nil {
		r.t.Error(err)
	}
}

// checkBounces: nothing bounces because of a fault.
func (r *rig) checkBounces(e ledger.Evidence) {
	for _, d := range e.Deliveries {
		b, isBounce := ledger.ParseBounce(d.Text)
		if !isBounce {
			continue
		}
		for _, to := range b.Recipients {
			if to != nobody+"@"+domain && !slices.Contains(r.dead, to) {
				r.wrong("%s: a fault made a bounce for %s", b.ID, to)
			}
		}
	}
}

// report fails the test with what was wrong.
func (r *rig) report() {
	r.t.Helper()
	for i, problem := range r.problems {
		if i == 20 {
			r.t.Errorf("... %d in all", len(r.problems))
			break
		}
		r.t.Error(problem)
	}
	if r.t.Failed() {
		r.t.Logf("the last lines of the log:\n%s", r.lastLog(60))
	}
}

// lastFaults are the last n that the supervisor made.
func (r *rig) lastFaults(n int) string {
	if r.calls == nil {
		return ""
	}
	var b strings.Builder
	events, _ := r.calls.Events(0)
	for _, e := range events[max(0, len(events)-n):] {
		fmt.Fprintf(&b, "\n%s %v", e.When.Format("05.000"), e)
	}
	return b.String()
}

func (r *rig) lastLog(n int) string {
	return r.host.Log().Timed(max(0, r.host.Log().Len()-n))
}

// tally counts what was injected.
type tally map[string]int

func (n tally) log(t *testing.T) {
	t.Helper()
	total := 0
	var parts []string
	for what, count := range n {
		total += count
		parts = append(parts, fmt.Sprintf("%s %d", what, count))
	}
	t.Logf("%d faults: %s", total, strings.Join(parts, ", "))
}
