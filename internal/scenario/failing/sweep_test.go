//go:build linux && amd64

package failing

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postrider/internal/faultcall"
)

// sweep is a set of faults, each of which meets the first, the second ... of
// the calls of a program during an operation.
type sweep struct {
	name    string
	program string
	classes []faultcall.Class
	target  string
	do      func(o faultcall.Order)
}

// maxNth ends a sweep that does not end: an operation whose calls grow in number.
const maxNth = 200

// misses is after how many operations without the Nth call there is none: work
// behind an operation may come late.
const misses = 2

// faultsOf are the faults that calls of a class can meet.
func faultsOf(c faultcall.Class) []faultcall.Fault {
	var faults []faultcall.Fault
	for _, errno := range c.Errnos() {
		faults = append(faults, faultcall.Fault{Errno: errno})
	}
	if c.CanBeShort() {
		faults = append(faults, faultcall.Fault{Short: true})
	}
	return faults
}

// tally counts what was injected.
type tally struct {
	injected int
	by       map[string]int
}

func (n *tally) add(what string, count int) {
	if n.by == nil {
		n.by = make(map[string]int)
	}
	n.injected += count
	n.by[what] += count
}

func (n *tally) log(t *testing.T) {
	var parts []string
	for what, count := range n.by {
		parts = append(parts, fmt.Sprintf("%s %d", what, count))
	}
	t.Logf("%d calls failed: %s", n.injected, strings.Join(parts, ", "))
}

// run carries a sweep out and returns how many calls it let fail.
func (r *rig) run(s sweep, n *tally) {
	r.t.Helper()
	began, total := time.Now(), n.injected
	for _, class := range s.classes {
		most := 0
		for _, fault := range faultsOf(class) {
			missed := 0
			for nth := 1; missed < misses && nth <= maxNth; nth++ {
				o := faultcall.Order{Program: s.program, Class: class, Target: s.target, Nth: nth, Fault: fault}
				r.arm(o)
				s.do(o)
				if seen := r.arm()[0]; seen < nth {
					missed++
					continue
				}
				missed = 0
				most = max(most, nth)
				n.add(s.program, 1)
			}
		}
		r.t.Logf("%s: %s: %d calls of %s", s.name, s.program, most, class)
	}
	r.t.Logf("%s: %s: %d calls failed in %v", s.name, s.program, n.injected-total, time.Since(began).Round(time.Millisecond))
}
