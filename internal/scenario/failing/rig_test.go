//go:build linux && amd64

package failing

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"postrider/internal/faultcall"
	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

const (
	domain  = "mx1.example"
	patient = 60 * time.Second // for what takes milliseconds on an idle machine
)

// rig is a host whose suite runs under a supervisor, and the ledger of what is
// sent to it.
type rig struct {
	t      *testing.T
	host   *testhost.Host
	book   *ledger.Ledger
	calls  *faultcall.Supervisor // nil if the suite runs without one
	sent   int
	users  []string
	silent int // submissions without an answer
}

func newRig(t *testing.T, users ...string) *rig {
	t.Helper()
	testhost.NeedUsers(t)
	h := testhost.NewNetwork(t).Host(domain)
	h.Install()
	h.AddUsers(users...)
	h.Control("rcpthosts", domain)
	book, err := ledger.New(t.TempDir() + "/ledger")
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, host: h, book: book, users: users}
}

// start starts the suite under a supervisor.
func (r *rig) start() {
	r.t.Helper()
	calls, theirs, err := faultcall.New()
	if err != nil {
		r.t.Fatal(err)
	}
	defer theirs.Close()
	r.t.Cleanup(func() { calls.Close() })
	// Process 1 of the host is this test binary.
	r.host.StartSuiteUnder(faultcall.Prefix("/proc/1/exe"), theirs)
	r.calls = calls
}

func (r *rig) arm(orders ...faultcall.Order) []int {
	r.t.Helper()
	seen, err := r.calls.Arm(orders...)
	if err != nil {
		r.t.Fatalf("%v\nlog:\n%s", err, r.host.Log().Timed(max(0, r.host.Log().Len()-100)))
	}
	return seen
}

// compose makes the next message and writes it down.
func (r *rig) compose(via string, size int, to ...string) (ledger.Intent, string) {
	r.sent++
	id := fmt.Sprintf("%s-%d", via, r.sent)
	for i := range to {
		to[i] += "@" + domain
	}
	sender := "sender@" + domain
	text, hash := ledger.Compose(id, sender, to[0], size)
	in := ledger.Intent{ID: id, Via: via, Sender: sender, Recipients: to, Hash: hash}
	r.book.Intend(in)
	return in, text
}

// drain lifts all faults and waits until the queue is empty.
func (r *rig) drain(ctx context.Context) {
	r.t.Helper()
	for {
		if err := r.host.Suite().Signal(syscall.SIGALRM); err != nil {
			r.t.Fatal(err)
		}
		moment, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := r.host.WaitForEmptyQueue(moment)
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			r.t.Fatalf("the queue does not empty: %v\nlog:\n%s", r.host.Queue(), r.host.Log().Timed(max(0, r.host.Log().Len()-200)))
		}
	}
}

// judge stops the suite and holds the ledger against what is found.
func (r *rig) judge() {
	r.t.Helper()
	r.host.StopSuite()
	violations, summary := r.book.Check(collect(r.t, r.book, r.host, r.users...))
	r.t.Log(summary)
	for i, v := range violations {
		if i == 20 {
			r.t.Errorf("... %d violations in all", len(violations))
			break
		}
		r.t.Error(v)
	}
	if err := r.book.Close(); err != nil {
		r.t.Error(err)
	}
	if r.t.Failed() {
		r.t.Logf("the last lines of the log:\n%s", r.host.Log().Timed(max(0, r.host.Log().Len()-60)))
	}
}
