//go:build linux && amd64

package failing

import (
	"testing"
	"time"

	"postrider/internal/faultcall"
	"postrider/internal/testhost"
)

// callerCalls are on the way of sendmail and qmail-queue.
var callerCalls = append([]faultcall.Class{faultcall.Start}, writePath...)

// callerFaults is how many faults each program meets in the bounded form, of
// 100 to 250 that there are.
const callerFaults = 6

// TestCallers lets calls of sendmail and qmail-queue fail, and of qmail-spool
// that they talk to.
func TestCallers(t *testing.T) {
	r := newRig(t, "alice")
	r.host.Control("concurrencylocal", "0")
	r.start()
	for _, name := range []string{"sendmail", "qmail-queue"} {
		for _, size := range []int{600, 100_000} {
			r.sampleCaller(name, size)
		}
	}
	r.run(sweep{
		name: "public socket", program: "qmail-spool", classes: writePath, share: 15, most: 4,
		do: func(o faultcall.Order) bool {
			r.arm(o)
			r.program(o, false, "qmail-queue", 600, "alice")
			return r.arm()[0] >= o.Nth
		},
	})
	r.finish()
}

// dropCalls are qmail-spool's while it takes in what lies in queue/drop.
var dropCalls = []faultcall.Class{faultcall.Open, faultcall.Read, faultcall.Write, faultcall.Sync, faultcall.Rename, faultcall.Unlink}

// TestDrop lets calls of sendmail and qmail-queue fail while no daemon runs and
// they leave the message in queue/drop, and then each call of qmail-spool while
// it takes one in.
func TestDrop(t *testing.T) {
	r := newRig(t, "alice")
	r.host.Control("concurrencylocal", "0")
	for _, name := range []string{"sendmail", "qmail-queue"} {
		r.sampleCaller(name, 600)
	}
	r.start()
	r.awaitDrops()
	r.run(sweep{
		name: "taking in a drop", program: "qmail-spool", classes: dropCalls, share: 12, most: 8,
		do: func(o faultcall.Order) bool {
			r.arm(o)
			r.leave()
			return r.arm()[0] >= o.Nth
		},
	})
	r.restart(func() {}) // what a fault left there is taken in at the start, or in a minute
	r.awaitDrops()
	r.finish()
}

// sampleCaller lets a program meet faults, each in a run of its own: all that
// there are, or in the bounded form some.
func (r *rig) sampleCaller(name string, size int) {
	r.t.Helper()
	began := time.Now()
	faults := r.callerOrders(name, size)
	r.random.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	all := len(faults)
	if !testhost.Long() {
		faults = faults[:min(callerFaults, all)]
	}
	fired := 0
	for _, o := range faults {
		if _, met := r.program(o, true, name, size, "alice"); met {
			r.count(name)
			fired++
		}
	}
	r.t.Logf("%s, %d bytes: %d of %d faults tried, %d met, in %v", name, size, len(faults), all, fired, time.Since(began).Round(time.Millisecond))
}

// callerOrders are all faults that the calls of a program can meet, by what it
// calls when it meets none.
func (r *rig) callerOrders(name string, size int) []faultcall.Order {
	r.t.Helper()
	var all []faultcall.Order
	for class, calls := range r.callsOf(name, size) {
		for _, fault := range faultsOf(class) {
			for nth := range calls {
				all = append(all, faultcall.Order{Program: name, Class: class, Nth: nth + 1, Fault: fault})
			}
		}
	}
	return all
}
