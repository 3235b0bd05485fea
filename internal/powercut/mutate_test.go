package powercut

import (
	"slices"
	"strings"
	"testing"
)

// A checker that never found anything has not been tested. Each mutation makes
// of a recorded trace that of a suite with a fault, which must be found.
var mutations = []struct {
	name     string
	workload string
	rule     Rule
	models   []Model
	mutate   func(*Trace, Case) int // returns how much it changed
}{
	{"no sync of the entry's file", "enqueue for 1", Torn, []Model{Ordered, Unordered}, func(t *Trace, _ Case) int {
		return dropSyncs(t, func(s Sync) bool { return s.Kind == SyncFile && !strings.HasSuffix(s.Name, ".body") })
	}},
	{"no sync of the large body", "enqueue for 1", Torn, []Model{Ordered, Unordered}, func(t *Trace, _ Case) int {
		return dropSyncs(t, func(s Sync) bool { return s.Kind == SyncFile && strings.HasSuffix(s.Name, ".body") })
	}},
	{"no sync of the queue's directory", "enqueue for 1", Lost, []Model{Ordered, Unordered}, func(t *Trace, _ Case) int {
		return dropSyncs(t, func(s Sync) bool { return s.Kind == SyncDir && strings.Contains(s.Name, "/queue/new/") })
	}},
	{"a yes before the sync", "concurrent enqueues", Lost, []Model{Ordered, Unordered}, earlyYes},
	{"no sync of a message in tmp of a Maildir", "deliver to a Maildir", Partial, []Model{Ordered, Unordered}, func(t *Trace, _ Case) int {
		return dropSyncs(t, func(s Sync) bool { return s.Kind == SyncFile && strings.Contains(s.Name, "/Maildir/tmp/") })
	}},
	{"no sync of new of a Maildir", "deliver to a Maildir", Lost, []Model{Unordered}, func(t *Trace, _ Case) int {
		return dropSyncs(t, func(s Sync) bool { return s.Kind == SyncDir && strings.HasSuffix(s.Name, "/Maildir/new") })
	}},
	{"a rename before the writing has ended", "deliver to a Maildir", Partial, []Model{Ordered, Unordered}, earlyRename},
	{"no sync of an mbox", "deliver to an mbox", Lost, []Model{Ordered, Unordered}, func(t *Trace, _ Case) int {
		return dropSyncs(t, func(s Sync) bool { return strings.Contains(s.Name, "/home/carol") })
	}},
	{"no sync of the progress", "temporary failure", Repeated, []Model{Ordered, Unordered}, func(t *Trace, _ Case) int {
		return dropSyncs(t, func(s Sync) bool { return strings.Contains(s.Name, "/queue/info/") })
	}},
	{"progress removed before its entry is durably gone", "temporary failure", Repeated, []Model{Unordered}, earlyForgetting},
	{"no sync of a file in drop", "drop", Lost, []Model{Ordered, Unordered}, func(t *Trace, _ Case) int {
		return dropSyncs(t, func(s Sync) bool {
			return strings.Contains(s.Name, "/queue/drop")
		})
	}},
	{"a file in drop removed before its entry is durable", "drop", Lost, []Model{Unordered}, earlyPickup},
	{"no sync of an order", "orders", Forgotten, []Model{Ordered, Unordered}, func(t *Trace, _ Case) int {
		return dropSyncs(t, func(s Sync) bool { return strings.Contains(s.Name, "/queue/info/") })
	}},
	{"no sync of orders for many", "orders for many", Forgotten, []Model{Ordered, Unordered}, func(t *Trace, _ Case) int {
		return dropSyncs(t, func(s Sync) bool { return s.Kind == SyncAll && strings.HasSuffix(s.Name, "/queue/info") })
	}},
	{"no sync of what is deleted", "orders", Forgotten, []Model{Ordered, Unordered}, func(t *Trace, _ Case) int {
		return dropSyncs(t, func(s Sync) bool { return s.Kind == SyncDir && strings.Contains(s.Name, "/queue/new/") })
	}},
	{"an entry removed before its bounce is accepted", "bounce", Lost, []Model{Ordered, Unordered}, earlyRemoval},
}

// testMutations needs the traces of the workloads by name.
func testMutations(t *testing.T, traces map[string]recorded) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			r := traces[m.workload]
			if r.trace == nil {
				t.Fatalf("no workload %q", m.workload)
			}
			mutant := r.trace.clone()
			if n := m.mutate(mutant, r.c); n == 0 {
				t.Fatal("there is nothing to change")
			}
			for _, model := range m.models {
				result := Explore(mutant, r.c, model, limits(r.trace), nil)
				if broken, found := result.Broken[m.rule]; found {
					t.Logf("%v: %d of %d states; %v", model, result.Counts[m.rule], result.States, broken)
				} else {
					t.Errorf("%v: not found in %d states: %v", model, result.States, result.Counts)
				}
			}
		})
	}
}

func (t *Trace) clone() *Trace {
	c := *t
	c.Ops, c.Syncs, c.Marks = slices.Clone(t.Ops), slices.Clone(t.Syncs), slices.Clone(t.Marks)
	return &c
}

func dropSyncs(t *Trace, which func(Sync) bool) int {
	before := len(t.Syncs)
	t.Syncs = slices.DeleteFunc(t.Syncs, which)
	return before - len(t.Syncs)
}

// earlyYes answers as soon as an entry has its name.
func earlyYes(t *Trace, _ Case) int {
	changed := 0
	for i, m := range t.Marks {
		for _, o := range t.Ops {
			if m.Kind == Accepted && o.Kind == Rename && o.File == t.Entries[m.ID] && o.End < m.At {
				t.Marks[i].At = o.End
				changed++
			}
		}
	}
	slices.SortStableFunc(t.Marks, func(a, b Mark) int { return a.At - b.At })
	return changed
}

// earlyRename shows a message in a Maildir before it is written.
func earlyRename(t *Trace, _ Case) int {
	return moveBefore(t, func(o Op) bool { return o.Kind == Rename && strings.Contains(o.Name, "/Maildir/new/") },
		func(o Op) bool { return o.Kind == Write && strings.Contains(o.Name, "/Maildir/tmp/") })
}

// earlyForgetting removes the progress together with the entry.
func earlyForgetting(t *Trace, _ Case) int {
	return moveBefore(t, func(o Op) bool { return o.Kind == Unlink && strings.Contains(o.Name, "/queue/info/") },
		func(o Op) bool { return o.Kind == Unlink && strings.Contains(o.Name, "/queue/new/") })
}

// earlyPickup removes what was in drop/ when it begins to be copied.
func earlyPickup(t *Trace, _ Case) int {
	return moveBefore(t, func(o Op) bool { return o.Kind == Unlink && strings.Contains(o.Name, "/queue/drop/") },
		func(o Op) bool { return o.Kind == Create && strings.Contains(o.Name, "/queue/tmp/") })
}

// earlyRemoval removes an entry that failed before its bounce is written.
func earlyRemoval(t *Trace, c Case) int {
	k := NewChecker(t, c)
	changed := 0
	for bounce, pairs := range k.bounces {
		for id, file := range t.Entries {
			if text := k.b.final(file).body(); text.bounce == nil && text.id == pairs[0].ID && id < bounce {
				changed += moveBefore(t, func(o Op) bool { return o.Kind == Unlink && o.File == file },
					func(o Op) bool { return o.Kind == Create && o.File == t.Entries[bounce] })
			}
		}
	}
	return changed
}

// moveBefore moves the last operation of one sort to just before the last of
// another that is before it.
func moveBefore(t *Trace, what, before func(Op) bool) int {
	from := lastIndex(t.Ops, what)
	if from < 0 {
		return 0
	}
	to := lastIndex(t.Ops[:from], before)
	if to < 0 {
		return 0
	}
	o := t.Ops[from]
	o.Begin, o.End = t.Ops[to].Begin-1, t.Ops[to].Begin-1
	t.Ops = slices.Insert(slices.Delete(t.Ops, from, from+1), to, o)
	return 1
}

func lastIndex(ops []Op, match func(Op) bool) int {
	for i := len(ops) - 1; i >= 0; i-- {
		if match(ops[i]) {
			return i
		}
	}
	return -1
}
