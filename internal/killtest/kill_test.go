package killtest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

const (
	epochCycles = 15 // the ledger is held against everything after so many
	// maxRecovery is the longest that mail may be refused after a kill on a
	// machine that does other things as well; the goal is 2 s (T13).
	maxRecovery = 20 * time.Second
)

// TestNothingIsLostByKills is the run; doc.go tells what it does.
func TestNothingIsLostByKills(t *testing.T) {
	kills := testhost.Times(t, "kills at least", 100, 10_000)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	h := newSite(t)
	f := newFigures()
	begun := time.Now()
	for n := 0; f.total() < kills && !t.Failed(); n++ {
		f.summary.Add(epoch(t, h, n, random, f))
		f.epochs++
		if (n+1)%5 == 0 {
			t.Logf("after %v: %s", time.Since(begun).Round(time.Second), f)
		}
	}
	t.Logf("%d epochs in %v\n%s", f.epochs, time.Since(begun).Round(time.Second), f)
	if worst := f.worst(); worst > maxRecovery {
		t.Errorf("mail was refused for %v after a kill", worst)
	}
}

// epoch is one run from an empty queue to an empty queue.
func epoch(t *testing.T, h *site, n int, random *rand.Rand, f *figures) ledger.Summary {
	t.Helper()
	h.checkPasswordsBy(n%2 == 1)
	path := t.TempDir() + "/ledger"
	book, err := ledger.New(path)
	if err != nil {
		t.Fatal(err)
	}
	first := h.Log().Len()
	h.StartSuite()
	l := newLoad(t, h, book, fmt.Sprint("e", n), random.Uint64())
	l.start()
	k := &killer{t: t, host: h, load: l, random: random, figures: f, deaths: make(map[string]int)}
	for range epochCycles {
		k.cycle()
	}
	l.end()
	settle(t, h)
	h.StopSuite()
	violations, summary := book.Check(collect(t, book, h, first))
	for i, v := range violations {
		if i == 20 {
			t.Errorf("... %d violations in all", len(violations))
			break
		}
		t.Error(v)
	}
	if err := book.Close(); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		keep(t, h, first, path)
	}
	if err := os.Remove(path); err != nil {
		t.Error(err)
	}
	h.Log().Forget(h.Log().Len())
	return summary
}

// settle waits until the queue is empty, telling the scheduler to try again
// what a kill deferred. It tells what there is to know of what stays.
func settle(t *testing.T, h *site) {
	t.Helper()
	ctx := testhost.Within(t, 5*time.Minute)
	for {
		if err := h.Suite().Signal(syscall.SIGALRM); err != nil {
			t.Fatal(err)
		}
		err := h.WaitForEmptyQueue(testhost.Within(t, 2*time.Second))
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			break
		}
	}
	t.Errorf("the queue does not empty: %v", h.Queue())
	for _, id := range h.Queue() {
		r, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"/var/qmail/bin/qmail-queuectl", "show", id}})
		progress, progressErr := os.ReadFile(h.Path("/var/qmail/queue/info/" + id[len(id)-2:] + "/" + id))
		t.Logf("%s: %v\n%s%s\nprogress: %v\n%s", id, err, r.Stdout, r.Stderr, progressErr, progress)
		for _, line := range h.Log().Lines(0) {
			if strings.Contains(line.Text, id) {
				t.Logf("%s %s", line.When.Format("15:04:05.000"), line.Text)
			}
		}
	}
}

// keep leaves ledger and log of a failure in KILLTEST_KEEP, if that is set.
func keep(t *testing.T, h *site, first int, path string) {
	t.Helper()
	dir := os.Getenv("KILLTEST_KEEP")
	if dir == "" {
		t.Logf("the last lines of the log:\n%s", h.Log().Timed(max(first, h.Log().Len()-100)))
		return
	}
	var log strings.Builder
	for _, line := range h.Log().Lines(first) {
		fmt.Fprintf(&log, "%d %s\n", line.When.UnixNano(), line.Text)
	}
	book, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"log": log.String(), "ledger": string(book)} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
}

// figures are what a run is reported by.
type figures struct {
	mu       sync.Mutex
	kills    map[string]int
	epochs   int
	nested   int
	recovery map[string][]time.Duration
	summary  ledger.Summary
}

func newFigures() *figures {
	return &figures{kills: make(map[string]int), recovery: make(map[string][]time.Duration)}
}

func (f *figures) kill(program string) { f.kills[program]++ }

func (f *figures) total() (n int) {
	for _, count := range f.kills {
		n += count
	}
	return n
}

func (f *figures) recovered(what string, after time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recovery[what] = append(f.recovery[what], after)
}

func (f *figures) worst() (d time.Duration) {
	for _, all := range f.recovery {
		d = max(d, slices.Max(all))
	}
	return d
}

func (f *figures) String() string {
	var b strings.Builder
	for _, program := range slices.Sorted(maps.Keys(f.kills)) {
		fmt.Fprintf(&b, "killed %5d %s\n", f.kills[program], program)
	}
	fmt.Fprintf(&b, "%d kills in all, %d cycles with a second one within 500 ms of the restart\n%s\n", f.total(), f.nested, f.summary)
	if f.summary.Acked > 0 {
		fmt.Fprintf(&b, "%.0f duplicates per million acknowledged recipients\n", float64(f.summary.Duplicates)*1e6/float64(f.summary.Acked))
	}
	var all []time.Duration
	for _, what := range slices.Sorted(maps.Keys(f.recovery)) {
		fmt.Fprintf(&b, "mail taken again after the kill of %s: %s\n", what, percentiles(f.recovery[what]))
		all = append(all, f.recovery[what]...)
	}
	fmt.Fprintf(&b, "mail taken again after any kill: %s", percentiles(all))
	return b.String()
}

func percentiles(list []time.Duration) string {
	if len(list) == 0 {
		return "never measured"
	}
	sorted := slices.Sorted(slices.Values(list))
	at := func(p float64) time.Duration {
		return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))].Round(time.Millisecond)
	}
	return fmt.Sprintf("p50 %v, p90 %v, p99 %v, max %v (%d)", at(0.5), at(0.9), at(0.99), at(1), len(sorted))
}
