//go:build linux && amd64

package failing

import (
	"time"

	"postrider/internal/faultcall"
	"postrider/internal/testhost"
)

// sweep is a set of faults, each of which meets the first, the second ... of
// the calls of a program during an operation.
type sweep struct {
	name    string
	program string
	classes []faultcall.Class
	// share is which part of the faults the bounded form tries: one in so many.
	share int
	// most is how many calls of a class the bounded form tries; 0 means all.
	most int
	// do carries the operation out under the order, and says whether it fired.
	do func(o faultcall.Order) (fired bool)
	// rest is called after each class.
	rest func()
}

const (
	// maxNth ends a sweep whose operations grow in calls.
	maxNth = 200
	// misses is after how many operations without the Nth call there is none:
	// work behind an operation may come late.
	misses = 2
)

// writePath are the calls that a message's way is made of.
var writePath = []faultcall.Class{
	faultcall.Open, faultcall.Write, faultcall.Read, faultcall.Sync, faultcall.Submit, faultcall.Rename, faultcall.Link,
	faultcall.Unlink, faultcall.Mkdir, faultcall.Close, faultcall.Truncate, faultcall.Copy, faultcall.Flush, faultcall.List,
	faultcall.Stat, faultcall.Times, faultcall.Memory, faultcall.Send, faultcall.Receive, faultcall.Socket, faultcall.Accept,
}

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

// run carries a sweep out. How many calls there are is found with the first
// fault of a class; in the bounded form the others meet a random share of them.
func (r *rig) run(s sweep) {
	r.t.Helper()
	began, total := time.Now(), 0
	for _, class := range s.classes {
		last := 0
		for i, fault := range faultsOf(class) {
			missed := 0
			for nth := 1; missed < misses && nth <= s.limit(); nth++ {
				if i > 0 && !testhost.Long() && s.share > 1 && r.random.IntN(s.share) > 0 {
					if nth > last {
						break
					}
					continue
				}
				if !s.do(faultcall.Order{Program: s.program, Class: class, Nth: nth, Fault: fault}) {
					missed++
					continue
				}
				missed, last = 0, max(last, nth)
				r.count(s.program)
				total++
			}
		}
		if s.rest != nil && last > 0 {
			s.rest()
		}
	}
	r.t.Logf("%s: %d calls of %s failed, in %v", s.name, total, s.program, time.Since(began).Round(time.Millisecond))
}

func (s sweep) limit() int {
	if s.most > 0 && !testhost.Long() {
		return s.most
	}
	return maxNth
}

func (r *rig) count(what string) {
	if r.injected == nil {
		r.injected = make(tally)
	}
	r.injected[what]++
}

func describe(o faultcall.Order) string {
	return faultcall.Event{Program: o.Program, Call: string(o.Class), Nth: o.Nth, Fault: o.Fault}.String()
}
