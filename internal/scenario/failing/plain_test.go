//go:build linux && amd64

package failing

import (
	"syscall"
	"testing"

	"postrider/internal/faultcall"
)

// TestPlainSyncs: where the kernel has no queue for syncs (io_setup refused),
// files are synced by fsync, and its errors mean the same.
func TestPlainSyncs(t *testing.T) {
	r := newRig(t, "alice")
	r.standing = []faultcall.Order{{Class: faultcall.Setup, Fault: faultcall.Fault{Errno: syscall.ENOSYS}}}
	r.host.Control("concurrencylocal", "0")
	r.start()
	for _, size := range sizes {
		r.run(sweep{
			name: "plain fsync", program: "qmail-spool", classes: []faultcall.Class{faultcall.Sync, faultcall.Open, faultcall.Close},
			do: func(o faultcall.Order) bool { return r.underSMTP(o, size) },
		})
	}
	events, _ := r.calls.Events(0)
	for _, e := range events {
		if e.Call == "fsync by io_submit" {
			t.Fatalf("%v: there is a queue for syncs after all", e)
		}
	}
	r.finish()
}
