package powercut

import (
	"fmt"
	"slices"
	"strings"
)

// Result is what an exploration found.
type Result struct {
	Model  Model
	States int
	// Broken has for each rule the first state that breaks it, with as few
	// changes lost as do.
	Broken map[Rule]Broken
	Counts map[Rule]int // states that break a rule
}

// Broken is a state that breaks a rule.
type Broken struct {
	Violation
	After string   // the last that happened before the cut
	Lost  []string // what is not on disk, or not whole
}

func (b Broken) String() string {
	return fmt.Sprintf("%v\n  the power fails after: %s\n  not on disk:\n    %s", b.Violation, b.After, strings.Join(b.Lost, "\n    "))
}

// Explore checks every state that a power cut may leave. see is called with
// those that break nothing; it may be nil.
func Explore(t *Trace, c Case, m Model, limits Limits, see func(*State)) Result {
	r := Result{Model: m, Broken: make(map[Rule]Broken), Counts: make(map[Rule]int)}
	k := NewChecker(t, c)
	e := newEnumeration(t, m, limits)
	k.use(e.builder)
	e.visit = func(s *State) {
		r.States++
		broken := k.Check(s)
		counted := make(map[Rule]bool)
		for _, v := range broken {
			if !counted[v.Rule] {
				counted[v.Rule] = true
				r.Counts[v.Rule]++
			}
			if _, known := r.Broken[v.Rule]; !known {
				r.Broken[v.Rule] = e.shortest(s, v, k)
			}
		}
		if len(broken) == 0 && see != nil {
			see(s)
		}
	}
	e.run()
	return r
}

// shortest puts back what need not be lost for the violation.
func (e *enumeration) shortest(s *State, v Violation, k *Checker) Broken {
	best := *s
	for _, i := range e.optional {
		if best.fates[i] == whole {
			continue
		}
		fates := slices.Clone(best.fates)
		fates[i] = whole
		e.repair(fates)
		if fates[i] == lost {
			continue
		}
		next := best
		next.fates, next.Tree = fates, e.builder.tree(fates)
		if slices.ContainsFunc(k.Check(&next), func(w Violation) bool { return w.Rule == v.Rule && w.What == v.What }) {
			best = next
		}
	}
	b := Broken{Violation: v, After: e.last()}
	for _, i := range e.optional {
		switch o := e.plan.Ops[i]; best.fates[i] {
		case lost:
			b.Lost = append(b.Lost, o.String())
		case zeroed:
			b.Lost = append(b.Lost, "the bytes of: "+o.String())
		case halved:
			b.Lost = append(b.Lost, "the second half of: "+o.String())
		}
	}
	return b
}

// last is what happened last before the point of the cut.
func (e *enumeration) last() string {
	text, at := "the beginning", -1
	later := func(when int, what fmt.Stringer) {
		if when <= e.point && when > at {
			text, at = what.String(), when
		}
	}
	for _, o := range e.plan.Ops {
		later(o.Begin, o)
	}
	for _, s := range e.plan.Syncs {
		later(s.End, s)
	}
	for _, m := range e.plan.Marks {
		later(m.At, m)
	}
	return text
}

func (m Mark) String() string {
	switch m.Kind {
	case Accepted:
		return "the answer that " + m.ID + " is accepted"
	case Obeyed:
		return "the answer to an order about " + m.ID
	case Dropped:
		return "exit code 0 of a program that left a message in drop/"
	}
	return "another host took " + m.ID
}
