package powercut

import (
	"path"
	"slices"
)

// Model is what a file system promises about changes that were not synced.
type Model int

// The models, from the most to the least that is promised.
const (
	// Ordered: changes of names reach the disk in their order, as in the one
	// journal of ext4 and XFS. Data come or not.
	Ordered Model = iota
	// Unordered: every change comes or not by itself; a synced file keeps the
	// name it was created under, a synced directory its names (btrfs).
	Unordered
	// Strict: the letter of POSIX. A synced file keeps its bytes and no name.
	// Nobody promises less; it is information, not a requirement.
	Strict
)

func (m Model) String() string { return [...]string{"ordered", "unordered", "strict"}[m] }

// plan is a trace prepared for the question what is on disk.
type plan struct {
	*Trace
	model Model
	needs [][]int // the operations without which one cannot be on disk
	users [][]int // the reverse
}

// newPlan finds what depends on what, as every file system honours it: the
// changes of one name are in order, a file is in a directory that exists, and
// content is that of a file.
func newPlan(t *Trace, model Model) *plan {
	p := &plan{Trace: t, model: model, needs: make([][]int, len(t.Ops)), users: make([][]int, len(t.Ops))}
	lastOn := make(map[string]int) // by name, from 1
	created := make(map[Inode]int)
	for i, o := range t.Ops {
		need := func(before int) {
			if before > 0 {
				p.needs[i] = append(p.needs[i], before-1)
			}
		}
		need(created[o.File])
		names := o.names()
		if o.Kind == Link {
			names = append(names, o.From)
		}
		for _, name := range names {
			need(lastOn[name])
			need(lastOn[path.Dir(name)]) // its mkdir, if the trace has it
		}
		for _, name := range o.names() {
			lastOn[name] = i + 1
		}
		if o.Kind == Create {
			created[o.File] = i + 1
		}
		slices.Sort(p.needs[i])
		p.needs[i] = slices.Compact(p.needs[i])
		for _, before := range p.needs[i] {
			p.users[before] = append(p.users[before], i)
		}
	}
	return p
}

// force marks what a sync has put on disk.
func (p *plan) force(forced []bool, s Sync) {
	for i, o := range p.Ops {
		switch {
		case forced[i] || o.End > s.Begin || !p.covers(s, o):
		case p.model == Strict && o.Kind.isData():
			forced[i] = true // its file may have no name
		default:
			p.require(forced, i)
		}
	}
	if p.model == Ordered {
		p.forceJournal(forced)
	}
}

func (p *plan) covers(s Sync, o Op) bool {
	switch s.Kind {
	case SyncFile:
		return o.File == s.File && (o.Kind.isData() || o.Kind == Create && p.model != Strict)
	case SyncDir:
		return !o.Kind.isData() && o.touches(s.Name)
	}
	return true
}

// require marks an operation and what it needs.
func (p *plan) require(set []bool, i int) {
	if set[i] {
		return
	}
	set[i] = true
	for _, before := range p.needs[i] {
		p.require(set, before)
	}
}

// forceJournal marks the changes of names that had ended before the newest
// that is on disk began.
func (p *plan) forceJournal(forced []bool) {
	newest := 0
	for i, o := range p.Ops {
		if forced[i] && !o.Kind.isData() {
			newest = max(newest, o.Begin)
		}
	}
	for i, o := range p.Ops {
		if !o.Kind.isData() && o.End < newest {
			p.require(forced, i)
		}
	}
}
