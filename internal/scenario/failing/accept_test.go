//go:build linux && amd64

package failing

import (
	"fmt"
	"strings"
	"testing"

	"postrider/internal/faultcall"
)

// sizes are a message that is in memory, one that is so just, and one whose
// body is a file of its own.
var sizes = []int{600, 40_000, 100_000}

// TestAcceptance lets each call of qmail-spool, and of qmail-smtpd, fail while
// messages of all sizes come in by SMTP.
func TestAcceptance(t *testing.T) {
	r := newRig(t, "alice")
	r.host.Control("concurrencylocal", "0") // nothing else happens meanwhile
	r.start()
	for _, size := range sizes {
		for program, share := range map[string]int{"qmail-spool": 2, "qmail-smtpd": 8} {
			r.run(sweep{
				name: fmt.Sprintf("SMTP, %d bytes", size), program: program, classes: writePath, share: share,
				do: func(o faultcall.Order) bool { return r.underSMTP(o, size) },
			})
		}
	}
	r.finish()
}

// underSMTP lets the suite take a message by SMTP under an order.
func (r *rig) underSMTP(o faultcall.Order, size int) (fired bool) {
	r.t.Helper()
	events, _ := r.calls.Events(0)
	record := faultcall.Order{Program: o.Program, Class: o.Class}
	if o.Class == faultcall.Sync {
		r.arm(o, record)
	} else {
		r.arm(o)
	}
	got := r.bySMTP(o, size, "alice")
	fired = r.arm()[0] >= o.Nth
	if fired && o.Class == faultcall.Sync && o.Program == "qmail-spool" {
		after, _ := r.calls.Events(len(events))
		r.checkSync(o, got, after)
	}
	return fired
}

// checkSync: after a failed sync the message is refused, and its files are
// never synced again as if that could help (R5).
func (r *rig) checkSync(o faultcall.Order, got outcome, events []faultcall.Event) {
	r.t.Helper()
	failed := ""
	for _, e := range events {
		switch {
		case e.Fault.Errno != 0:
			failed = e.Target
			// The start of the spool syncs, too.
			if got == taken && strings.HasPrefix(failed, "/var/qmail/queue/new/") {
				r.wrong("%s: and yet the message was taken", describe(o))
			}
		case e.Target == failed && isEntry(failed):
			r.wrong("%s: %s was synced again", describe(o), failed)
		}
	}
}

// isEntry tells files from directories, which are synced again and again.
func isEntry(path string) bool { return len(path) > len("/var/qmail/queue/new/00/") }

// finish lets the messages go out that were kept, and judges.
func (r *rig) finish() {
	r.t.Helper()
	r.injected.log(r.t)
	r.restart(func() {
		r.book.Fault("held until now", "local deliveries")
		r.host.Control("concurrencylocal", "20")
	})
	r.drain()
	r.judge()
	r.report()
}
