package figures

import (
	"fmt"
	"hash/fnv"
	"slices"
)

// MaxAreas is how many areas there may be.
const MaxAreas = 256

const (
	wordSize = 8
	pageSize = 4096
)

// layout is where everything is in an area: the cells of each row, one after the
// other, and behind them, in the area of qmail-start alone, a word for each area
// that says whether a process works there.
type layout struct {
	rows  [metrics]Metric
	first [metrics]int // cell of each row
	live  int          // first word of those
	size  int          // of an area in bytes
	sum   string       // of all that
}

// here is the layout of this program. Nothing changes it.
var here = newLayout()

func newLayout() layout {
	l := layout{rows: table()}
	for id, row := range l.rows {
		l.first[id] = l.live
		l.live += row.cells()
	}
	l.size = ((l.live+MaxAreas)*wordSize + pageSize - 1) / pageSize * pageSize
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d %+v", l.size, l.live, l.rows) // never fails
	l.sum = fmt.Sprintf("%016x", h.Sum64())
	return l
}

// Layout tells this table from any other one.
func Layout() string { return here.sum }

// Table returns the rows.
func Table() []Metric { return slices.Clone(here.rows[:]) }

// CountedBy reports whether a program counts anything.
func CountedBy(program string) bool {
	return slices.ContainsFunc(here.rows[:], func(m Metric) bool { return slices.Contains(m.By, program) })
}
