package killtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/operator"
	"postrider/internal/testhost"
)

// suiteWith is a suite with one fault, and the rule that says so.
type suiteWith struct {
	name string
	rule ledger.Rule
	testhost.Mutant
}

// mutants lose or repeat mail.
var mutants = []suiteWith{
	{"sound", "", testhost.Mutant{}},
	{"a file is deleted before it is linked", "L1", testhost.Mutant{
		Program: "qmail-local", File: "internal/maildir/deliver.go", Old: "err = d.move(name, final, size)", New: `err = d.unlink("tmp/" + name)`,
	}},
	{"a success is not believed: sent twice", "L4", testhost.Mutant{
		Program: "qmail-send", File: "qmail-send/deliver.go",
		Old: "\t\tp.a.finish(d.index)\n\t\ts.noteSuccess(d, r)\n\tcase spawn.Failure:",
		New: "\t\tif p.deferred = p.deferred || r.Delivery%5 == 0; r.Delivery%5 != 0 {\n\t\t\tp.a.finish(d.index)\n\t\t\ts.noteSuccess(d, r)\n\t\t}\n\tcase spawn.Failure:",
	}},
	{"done before it is delivered", "L1", testhost.Mutant{
		Program: "qmail-send", File: "qmail-send/deliver.go", Old: "\t\ts.retryLater(p, d, r.Text)\n\t\tif p.telling",
		New: "\t\tp.a.finish(d.index)\n\t\tp.a.progress.Delivered(d.index)\n\t\tif p.telling",
	}},
	{"the bounce is lost", "L1", testhost.Mutant{
		Program: "qmail-send", File: "qmail-send/deliver.go",
		Old: "p.a.progress.Failed(d.index, s.clock.Now(), text)",
		New: "_ = text\n\t\tp.a.progress.Delivered(d.index)",
	}},
	{"progress is not written", "L4", testhost.Mutant{
		Program: "qmail-send", File: "qmail-send/progress/recorder.go",
		Old: "\tinfo, err := f.Stat()\n", New: "\tif true {\n\t\treturn nil\n\t}\n\tinfo, err := f.Stat()\n",
	}},
}

// TestLedgerFindsMutants holds the ledger against suites with one fault each,
// and against the sound one, after the same few kills.
func TestLedgerFindsMutants(t *testing.T) {
	t.Parallel()
	findMutants(t, mutants, 4, fewKills)
}

// disobedient are suites that forget orders which they have answered.
var disobedient = []suiteWith{
	{"sound", "", testhost.Mutant{}},
	{"an order is not written down", "L11", testhost.Mutant{
		Program: "qmail-send", File: "qmail-send/progress/editor.go",
		Old: "\tif err := w.recorder.fill(d.file, Record{ID: d.ID, Lines: lines, Size: d.size}); err != nil {\n\t\treturn err\n\t}\n", New: "",
	}},
	{"deleted is not removed", "L11", testhost.Mutant{
		Program: "qmail-send", File: "qmail-send/orders.go",
		Old: "\ts.ask(entries.Message{Kind: entries.Remove, ID: m.id})\n", New: "\t_ = entries.Remove\n\ts.wasForgotten(m)\n",
	}},
}

// TestLedgerFindsDisobedience does the same with a few orders, after which the
// scheduler is killed.
func TestLedgerFindsDisobedience(t *testing.T) {
	t.Parallel()
	findMutants(t, disobedient, 2, fewOrders)
}

// findMutants holds the ledger against each suite: the first few, or in the
// long form all.
func findMutants(t *testing.T, suites []suiteWith, few int, run func(*testing.T, *site) []ledger.Violation) {
	for i, m := range suites {
		if !testhost.Long() && i >= few {
			t.Logf("%q is for the long form", m.name)
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			h := newSite(t)
			if m.Program != "" {
				h.InstallMutant("../..", m.Mutant)
			}
			violations := run(t, h)
			if m.rule == "" && len(violations) > 0 {
				t.Errorf("the sound suite: %v", violations)
			}
			if m.rule != "" && !slices.ContainsFunc(violations, func(v ledger.Violation) bool { return v.Rule == m.rule }) {
				t.Errorf("want %s, got %v", m.rule, violations)
			}
			t.Logf("%d violations", len(violations))
		})
	}
}

// fewKills sends some messages, kills deliverers while they work, and the
// scheduler long after all successes but with messages that still wait.
func fewKills(t *testing.T, h *site) []ledger.Violation {
	t.Helper()
	h.sink.SetScript(func(verb, argument string) string {
		if verb == "RCPT" && strings.Contains(argument, "r-299@") {
			return "450 later"
		}
		return testhost.Default
	})
	book, err := ledger.New(t.TempDir() + "/ledger")
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	h.StartSuite()
	l := newLoad(t, h, book, "m", 1)
	for n := range 12 {
		to := []string{fmt.Sprintf("r-%d@%s", n, far), "r-299@" + far, fmt.Sprintf("void-%d@%s", n, here)}
		for i := range 15 {
			to = append(to, fmt.Sprintf("%s-%d-%d@%s", boxes[i%3], n, i, here))
		}
		in, text := letter(fmt.Sprint("m-", n), to)
		book.Intend(in)
		if !l.trySMTP(t.Context(), in, text, plainly) {
			t.Fatal("not taken")
		}
	}
	for _, program := range []string{"qmail-local", "qmail-lspawn"} {
		book.Fault("kill", program)
		h.Kill(program, syscall.SIGKILL)
	}
	// All that can be delivered is; the progress of it is long written down.
	ctx := testhost.Within(t, soon)
	for count := 0; count < 12*17 && ctx.Err() == nil; {
		_ = h.Suite().Signal(syscall.SIGALRM)
		pause(ctx, 500*time.Millisecond)
		count = strings.Count(h.Log().Text(0), ": success: ") + strings.Count(h.Log().Text(0), ": failure: ")
	}
	pause(t.Context(), 5*time.Second)
	book.Fault("kill", "qmail-send")
	h.Kill("qmail-send", syscall.SIGKILL)
	h.sink.SetScript(nil)
	return rest(t, h, book)
}

// many is how many messages an order must be about that those share a sync.
const many = 40

// fewOrders holds a message, deletes one and changes the address of one, holds
// many with one command, all of which wait, and kills the scheduler.
func fewOrders(t *testing.T, h *site) []ledger.Violation {
	t.Helper()
	h.sink.SetScript(operator.Closed)
	book, err := ledger.New(t.TempDir() + "/ledger")
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	h.StartSuite()
	l := newLoad(t, h, book, "o", 1)
	op := l.operator()
	give := func(o ledger.Order) {
		if _, err := op.Give(testhost.Within(t, soon), o); err != nil {
			t.Fatal(err)
		}
	}
	release := ledger.Order{Kind: ledger.Release}
	for n, kind := range []ledger.OrderKind{ledger.Hold, ledger.Delete, ledger.Readdress} {
		to := fmt.Sprintf("%s%d@%s", operator.Waiting, n, far)
		in, text := letter(fmt.Sprint("o-", n), []string{to})
		book.Intend(in)
		if !l.trySMTP(t.Context(), in, text, plainly) {
			t.Fatal("not taken")
		}
		h.WaitForLog(0, fmt.Sprintf(`^delivery %d: deferral: .*closed`, n+1))
		entry, err := op.Find(testhost.Within(t, soon), to)
		if err != nil {
			t.Fatal(err)
		}
		o := ledger.Order{ID: in.ID, Kind: kind, QueueID: entry}
		switch kind {
		case ledger.Hold:
			release.ID, release.QueueID = in.ID, entry
		case ledger.Readdress:
			o.To, o.Recipients = boxes[0]+"-moved@"+here, in.Recipients
		}
		give(o)
	}
	var to []string
	var together []ledger.Order
	for n := range many {
		to = append(to, fmt.Sprintf("%sm%d@%s", operator.Waiting, n, far))
		in, text := letter(fmt.Sprint("om-", n), to[n:])
		book.Intend(in)
		if !l.trySMTP(t.Context(), in, text, plainly) {
			t.Fatal("not taken")
		}
		together = append(together, ledger.Order{ID: in.ID, Kind: ledger.Hold})
	}
	entries, err := op.FindAll(testhost.Within(t, soon), to)
	for n := range entries {
		together[n].QueueID = entries[n]
	}
	if err == nil {
		err = op.GiveAll(testhost.Within(t, soon), together)
	}
	if err != nil {
		t.Fatal(err)
	}
	// What begins from now on begins against an order.
	pause(t.Context(), 3*time.Second)
	book.Fault("kill", "qmail-send")
	h.Kill("qmail-send", syscall.SIGKILL)
	for range 4 {
		pause(t.Context(), time.Second)
		_ = h.Suite().Signal(syscall.SIGALRM)
	}
	give(release)
	for n := range together {
		together[n].Kind = ledger.Release
	}
	if err := op.GiveAll(testhost.Within(t, soon), together); err != nil && !t.Failed() {
		t.Log(err) // a mutant holds none
	}
	h.sink.SetScript(nil)
	return rest(t, h, book)
}

// rest lets the queue run empty, as far as a mutant can, and checks the ledger.
func rest(t *testing.T, h *site, book *ledger.Ledger) []ledger.Violation {
	t.Helper()
	for range 10 {
		if err := h.Suite().Signal(syscall.SIGALRM); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		err := h.WaitForEmptyQueue(ctx)
		cancel()
		if err == nil {
			break
		}
	}
	h.StopSuite()
	violations, summary := book.Check(collect(t, book, h, 0))
	t.Log(summary)
	return violations
}

func letter(id string, to []string) (ledger.Intent, string) {
	text, hash := ledger.Compose(id, sender, to[0], 600)
	return ledger.Intent{ID: id, Via: "smtp", Sender: sender, Recipients: to, Hash: hash}, text
}
