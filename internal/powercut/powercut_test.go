package powercut

import (
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
	t.Run("states", func(t *testing.T) {
		for _, r := range order {
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				explore(t, r)
			})
		}
	})
	t.Run("mutations", func(t *testing.T) { testMutations(t, traces) })
}

func limits() Limits {
	if testhost.Long() {
		return Limits{PerPoint: 20_000, Random: 256, Seed: 1}
	}
	return Limits{PerPoint: 250, Random: 16, Seed: 1}
}

// explore checks a trace under all models; strict is information only.
func explore(t *testing.T, r recorded) (states int) {
	for _, m := range []Model{Ordered, Unordered, Strict} {
		result := Explore(r.trace, r.c, m, limits(), nil)
		t.Logf("%v: %d states, broken: %v", m, result.States, result.Counts)
		states += result.States
		for _, b := range result.Broken {
			if m == Strict {
				t.Logf("%v: %v", m, b)
			} else {
				t.Errorf("%v: %v", m, b)
			}
		}
	}
	return states
}
