package powercut

import (
	"math/rand/v2"
	"testing"

	"postrider/internal/testhost"
)

// recorded is a workload with its trace.
type recorded struct {
	name  string
	trace *Trace
	c     Case
}

// TestEveryStateOfTheDiskKeepsThePromise records what the suite does to its
// files in a number of workloads and checks every state that a power cut may
// leave at any moment of each.
func TestEveryStateOfTheDiskKeepsThePromise(t *testing.T) {
	s := newStation(t)
	traces := make(map[string]recorded)
	var order []recorded
	for _, w := range workloads() {
		s.clean()
		s.concurrency(w.deliveries)
		trace, c := s.record(Case{}, w.work)
		t.Logf("%s: %d operations, %d syncs, %d answers", w.name, len(trace.Ops), len(trace.Syncs), len(trace.Marks))
		traces[w.name] = recorded{w.name, trace, c}
		order = append(order, traces[w.name])
	}
	seed := rand.Uint64()
	keep := newSampler(rand.New(rand.NewPCG(seed, 0)))
	total := make(map[Model]int)
	look := newInspector(t)
	for _, r := range order {
		keep.begin(r)
		explore(t, r, keep, look, total)
	}
	samples := keep.some(testhost.Times(t, "states that the suite is started on, at most", 12, 5000))
	t.Logf("seed %d; states of %d shapes", seed, len(keep.kept))
	t.Logf("%d workloads, states: %d ordered, %d unordered, %d strict", len(order), total[Ordered], total[Unordered], total[Strict])
	t.Run("mutations", func(t *testing.T) { testMutations(t, traces) })
	again := testRestarts(t, s, look, samples, testhost.Times(t, "recoveries that are recorded, at most", 4, 40))
	t.Logf("%d recoveries, states in those recorded: %d ordered, %d unordered", len(samples), again[Ordered], again[Unordered])
	t.Logf("qmail-queuectl check saw %d states and found %v", look.states, look.findings)
}

// limits are those of a trace. Orders about forty messages leave 2^40 states before
// their sync: of these more are no better than some.
func limits(t *Trace) Limits {
	switch {
	case testhost.Long() && len(t.Ops) > 300:
		return Limits{PerPoint: 300, Random: 256, Seed: 1}
	case testhost.Long():
		return Limits{PerPoint: 20_000, Random: 256, Seed: 1}
	}
	return Limits{PerPoint: 60, Random: 6, Seed: 1}
}

// recoveryLimits are for the power cuts during a recovery.
func recoveryLimits() Limits {
	if testhost.Long() {
		return Limits{PerPoint: 1000, Random: 64, Seed: 2}
	}
	return Limits{PerPoint: 20, Random: 2, Seed: 2}
}

// explore checks a trace under the models that a file system may follow, and in
// the long form strict, which is information only.
func explore(t *testing.T, r recorded, keep *sampler, look *inspector, total map[Model]int) {
	t.Helper()
	models := []Model{Ordered, Unordered}
	if testhost.Long() {
		models = append(models, Strict)
	}
	for _, m := range models {
		see := func(state *State) {
			nth := keep.see(r, state)
			if nth <= 2 || testhost.Long() { // two of each shape, or all
				look.see(r, state)
			}
		}
		if m == Strict {
			see = nil
		}
		result := Explore(r.trace, r.c, m, limits(r.trace), see)
		t.Logf("%s, %v: %d states, broken: %v", r.name, m, result.States, result.Counts)
		total[m] += result.States
		for _, b := range result.Broken {
			if m == Strict {
				t.Logf("%s, %v: %v", r.name, m, b)
			} else {
				t.Errorf("%s, %v: %v", r.name, m, b)
			}
		}
	}
}
