package powercut

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"slices"
)

// State is what a power cut may leave.
type State struct {
	Tree  *Tree
	Point int    // the cut came after this line of the trace
	Marks []Mark // what had been said by then

	fates   []fate
	durable *moment
}

// moment is what is known of a point of the trace.
type moment struct {
	forced []bool // operations that are on disk whatever happens
	tree   *Tree  // of these alone
}

// Limits bound an enumeration. A point of a trace with more states than
// PerPoint gives as many of them, chosen at random.
type Limits struct {
	PerPoint int
	Random   int // subsets at random, of each point
	Seed     uint64
}

// enumeration calls visit for every different state that a power cut may leave
// at any moment of a trace.
type enumeration struct {
	plan    *plan
	builder *builder
	limits  Limits
	visit   func(*State)
	random  *rand.Rand
	tried   map[uint64]bool   // fates and marks
	seen    map[[32]byte]bool // trees and marks

	point    int
	marks    []Mark
	now      *moment
	optional []int // operations that may or may not be on disk
}

func newEnumeration(t *Trace, m Model, limits Limits) *enumeration {
	return &enumeration{
		plan: newPlan(t, m), builder: newBuilder(t), limits: limits,
		random: rand.New(rand.NewPCG(limits.Seed, uint64(m))),
		tried:  make(map[uint64]bool), seen: make(map[[32]byte]bool),
	}
}

// run goes through the points at which something changes.
func (e *enumeration) run() {
	ops, syncs, marks := e.plan.Ops, e.plan.Syncs, e.plan.Marks
	forced := make([]bool, len(ops))
	e.now = nil
	done := 0
	for _, point := range e.points() {
		for done < len(syncs) && syncs[done].End <= point {
			e.plan.force(forced, syncs[done])
			done++
			e.now = nil
		}
		said := len(e.marks)
		for said < len(marks) && marks[said].At <= point {
			said++
		}
		e.point, e.marks = point, marks[:said]
		if e.now == nil {
			e.now = &moment{forced: slices.Clone(forced)}
			e.now.tree = e.builder.tree(e.fates(whole))
		}
		e.optional = e.optional[:0]
		for i, o := range ops {
			if o.Begin <= point && !forced[i] {
				e.optional = append(e.optional, i)
			}
		}
		e.states()
	}
}

// points are the lines of the trace after which a cut differs.
func (e *enumeration) points() []int {
	points := []int{0}
	for _, o := range e.plan.Ops {
		points = append(points, o.Begin)
	}
	for _, s := range e.plan.Syncs {
		points = append(points, s.End)
	}
	for _, m := range e.plan.Marks {
		points = append(points, m.At)
	}
	slices.Sort(points)
	return slices.Compact(points)
}

// fates starts from what is on disk whatever happens; the given operations
// get the fate f besides.
func (e *enumeration) fates(f fate, more ...int) []fate {
	fates := make([]fate, len(e.plan.Ops))
	for i, yes := range e.now.forced {
		if yes {
			fates[i] = whole
		}
	}
	for _, i := range more {
		fates[i] = e.fateOf(i, f)
	}
	return fates
}

// fateOf is f for writes; everything else is there or not.
func (e *enumeration) fateOf(i int, f fate) fate {
	if f != lost && e.plan.Ops[i].Kind != Write {
		return whole
	}
	return f
}

// states tries the combinations of one point.
func (e *enumeration) states() {
	var all [][]fate
	if e.plan.model == Ordered {
		all = e.prefixes()
	} else {
		all = e.subsets()
	}
	if first := 8; e.limits.PerPoint > 0 && len(all) > e.limits.PerPoint {
		rest := all[first:]
		e.random.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
		all = all[:e.limits.PerPoint]
	}
	for range e.limits.Random {
		all = append(all, e.atRandom())
	}
	for _, fates := range all {
		e.try(fates)
	}
}

// try builds a state and shows it if it is new.
func (e *enumeration) try(fates []fate) {
	e.repair(fates)
	h := fnv.New64a()
	raw := make([]byte, len(fates)+8)
	for i, f := range fates {
		raw[i] = byte(f)
	}
	binary.LittleEndian.PutUint64(raw[len(fates):], uint64(len(e.marks)))
	h.Write(raw)
	if e.tried[h.Sum64()] {
		return
	}
	e.tried[h.Sum64()] = true
	tree := e.builder.tree(fates)
	sum := tree.sum()
	binary.LittleEndian.PutUint64(sum[:8], binary.LittleEndian.Uint64(sum[:8])+uint64(len(e.marks)))
	if e.seen[sum] {
		return
	}
	e.seen[sum] = true
	e.visit(&State{Tree: tree, Point: e.point, Marks: e.marks, fates: fates, durable: e.now})
}

// repair takes out what cannot be on disk without something that is not.
func (e *enumeration) repair(fates []fate) {
	for i := range fates {
		if fates[i] == lost {
			continue
		}
		for _, before := range e.plan.needs[i] {
			if fates[before] == lost {
				fates[i] = lost
				break
			}
		}
	}
}

// damages are the fates of a write that is not lost as a whole.
var damages = []fate{whole, zeroed, halved}

// subsets are the combinations where everything comes or not by itself: the
// extremes first, then all that differ from these in one operation or two.
func (e *enumeration) subsets() [][]fate {
	o := e.optional
	all := [][]fate{e.fates(whole), e.fates(whole, o...), e.fates(zeroed, o...), e.fates(halved, o...), e.without(o, e.dataOps())}
	for _, i := range o {
		for _, f := range e.damagesOf(i) {
			all = append(all, e.with(f, i), e.changed(o, f, i))
		}
		all = append(all, e.changed(o, lost, i))
	}
	if len(o) > maxPairs {
		return all
	}
	for n, i := range o {
		for _, j := range o[n+1:] {
			all = append(all, e.with(whole, i, j), e.without(o, []int{i, j}))
		}
	}
	return all
}

// maxPairs is up to how many operations all pairs are tried.
const maxPairs = 24

func (e *enumeration) damagesOf(i int) []fate {
	if e.plan.Ops[i].Kind == Write {
		return damages
	}
	return damages[:1]
}

func (e *enumeration) dataOps() []int {
	return slices.DeleteFunc(slices.Clone(e.optional), func(i int) bool { return !e.plan.Ops[i].Kind.isData() })
}

// with has the given operations, and those they need, besides what is forced.
func (e *enumeration) with(f fate, given ...int) []fate {
	set := slices.Clone(e.now.forced)
	for _, i := range given {
		e.plan.require(set, i)
	}
	fates := make([]fate, len(set))
	for i, yes := range set {
		if yes {
			fates[i] = whole
		}
	}
	for _, i := range given {
		fates[i] = e.fateOf(i, f)
	}
	return fates
}

// changed has all of o, and gives one of them another fate.
func (e *enumeration) changed(o []int, f fate, i int) []fate {
	fates := e.fates(whole, o...)
	fates[i] = e.fateOf(i, f)
	return fates
}

// without has all of o but some.
func (e *enumeration) without(o, some []int) []fate {
	fates := e.fates(whole, o...)
	for _, i := range some {
		fates[i] = lost
	}
	return fates
}

// prefixes are the combinations where changes of names come in their order
// and data come or not.
func (e *enumeration) prefixes() [][]fate {
	data := e.dataOps()
	names := slices.DeleteFunc(slices.Clone(e.optional), func(i int) bool { return e.plan.Ops[i].Kind.isData() })
	var all [][]fate
	for n := len(names); n >= 0; n-- {
		first := names[:n]
		for _, f := range []fate{whole, lost, zeroed, halved} {
			all = append(all, e.mixed(first, data, f))
		}
		for x, i := range data {
			for _, f := range []fate{lost, zeroed, halved} {
				all = append(all, e.but(first, data, whole, f, i))
			}
			all = append(all, e.but(first, data, lost, whole, i))
			for y, j := range data[x+1:] {
				all = append(all, e.but(first, data, whole, lost, i, j), e.but(first, data, lost, whole, i, j))
				if len(data) > maxTriples {
					continue
				}
				for _, k := range data[x+1:][y+1:] {
					all = append(all, e.but(first, data, lost, whole, i, j, k))
				}
			}
		}
	}
	return all
}

// maxTriples is up to how many writes all sets of three are tried.
const maxTriples = 8

// mixed has the given names, and all data with one fate.
func (e *enumeration) mixed(names, data []int, f fate) []fate {
	fates := e.fates(whole, names...)
	for _, i := range data {
		fates[i] = e.fateOf(i, f)
	}
	return fates
}

// but is mixed with another fate for some of the data.
func (e *enumeration) but(names, data []int, f, other fate, some ...int) []fate {
	fates := e.mixed(names, data, f)
	for _, i := range some {
		fates[i] = e.fateOf(i, other)
	}
	return fates
}

// atRandom is any combination.
func (e *enumeration) atRandom() []fate {
	fates := e.fates(whole)
	cut := e.random.IntN(len(e.optional) + 1) // of names, where they are in order
	for n, i := range e.optional {
		there := e.random.IntN(2) == 0
		if e.plan.model == Ordered && !e.plan.Ops[i].Kind.isData() {
			there = n < cut
		}
		if there {
			fates[i] = e.fateOf(i, damages[e.random.IntN(len(damages))])
		}
	}
	return fates
}
