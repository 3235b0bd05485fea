package scenario

import (
	"fmt"
	"regexp"
	"sync"
	"syscall"
	"testing"

	"postrider/internal/testhost"
)

var deferral = regexp.MustCompile(`^delivery \d+: deferral: `)

const (
	alarm  = syscall.SIGALRM
	hangup = syscall.SIGHUP
)

func TestHangupReadsVirtualdomainsAgain(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.Control("rcpthosts", "mx1.example", "virtual.example")
	h.StartSuite()
	h.WriteFile("/home/alice/.qmail-info", "./Maildir/\n", 0o644)
	h.Chown("/home/alice/.qmail-info", "alice")
	h.Control("virtualdomains", "virtual.example:alice")
	if err := h.Suite().Signal(hangup); err != nil {
		t.Fatal(err)
	}
	// A signal has no answer: mail that is sent before it is handled goes to
	// the network, where the name does not exist, and bounces.
	box := h.Maildir("alice")
	for tries := 1; ; tries++ {
		first := h.Log().Len()
		sendmail(h, "root", []string{"-f", "root@virtual.example", "info@virtual.example"}, letter("info@virtual.example", "virtual"))
		way := h.WaitForLog(first, `^starting delivery \d+: msg \d+ to (local|remote) (\S+)`)
		if way[1] == "local" {
			if way[2] != "alice-info@virtual.example" {
				t.Errorf("goes to %s", way[2])
			}
			break
		}
		if tries == 50 {
			t.Fatal("virtualdomains is not read again")
		}
	}
	if m := box.Wait(testhost.Within(t, soon), 1)[0]; m.Header("Delivered-To") != "alice-info@virtual.example" {
		t.Errorf("got %s", m.Text)
	}
	h.StopSuite()
}

func TestAlarmTriesEverythingNow(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice")
	far := net.Host("far.example")
	h.StartSuite()
	const n = 5
	for i := range n {
		sendmail(h, "alice", []string{"x@far.example"}, letter("x@far.example", fmt.Sprint("m", i)))
	}
	// The first one finds that nobody is there; the others wait for it.
	h.WaitForLog(0, `^destination far.example: down`)
	h.WaitForLog(0, `^delivery \d+: deferral: `)
	sink := far.Sink(":25", nil)
	if err := h.Suite().Signal(alarm); err != nil {
		t.Fatal(err)
	}
	sink.Wait(testhost.Within(t, soon), n)
	waitEmpty(t, h)
	h.StopSuite()
}

// TestTermLosesNothing stops and starts the suite while messages pour in.
func TestTermLosesNothing(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.StartSuite()
	ctx := testhost.Within(t, 2*soon)
	var senders sync.WaitGroup
	var mu sync.Mutex
	taken := make(map[string]bool)
	stop := make(chan struct{})
	for s := range 3 {
		senders.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				subject := fmt.Sprintf("s%d-%d", s, n)
				if smtp(ctx, h, h, "x@else.example", []string{"alice@mx1.example"}, letter("alice", subject)) == nil {
					mu.Lock()
					taken[subject] = true
					mu.Unlock()
				}
			}
		})
	}
	box := h.Maildir("alice")
	for round := range 3 {
		box.Wait(ctx, 20*(round+1))
		h.StopSuite()
		if left := h.Daemons(); len(left) > 0 {
			t.Errorf("still there: %v", left)
		}
		h.StartSuite()
	}
	close(stop)
	senders.Wait()
	waitEmpty(t, h)
	seen := make(map[string]int)
	for _, m := range box.Messages() {
		seen[m.Header("Subject")]++
	}
	for subject := range taken {
		if seen[subject] != 1 {
			t.Errorf("%s was taken and came %d times", subject, seen[subject])
		}
	}
	t.Logf("%d messages taken, %d delivered", len(taken), len(seen))
	h.StopSuite()
}
