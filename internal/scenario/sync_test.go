package scenario

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"postrider/internal/testhost"
)

// TestSubmissionsShareSyncs counts how often the spool has files synced while
// many clients hand messages in at once: not as often as there are messages,
// although each answer comes after the sync of its file and its directory.
func TestSubmissionsShareSyncs(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "a disk that syncs")
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.StartSuite()
	spool := h.Find("qmail-spool")
	if len(spool) != 1 {
		t.Fatalf("spools: %v", spool)
	}
	tracer := startTracer(t, h, spool[0].PID)
	ctx := testhost.Within(t, soon)
	const clients, each = 20, 20
	var load sync.WaitGroup
	errs := make(chan error, clients)
	for range clients {
		load.Go(func() { errs <- submit(ctx, h, each) })
	}
	load.Wait()
	for range clients {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	h.Maildir("alice").Wait(ctx, clients*each)
	waitEmpty(t, h)
	if err := tracer.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := tracer.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	syncs := len(syncCall.FindAllString(h.ReadFile("/tmp/trace"), -1))
	t.Logf("%d messages in and out of the queue, %d rounds of syncs", clients*each, syncs)
	if syncs == 0 || syncs >= clients*each {
		t.Errorf("%d rounds of syncs for %d messages", syncs, clients*each)
	}
	h.StopSuite()
}

var syncCall = regexp.MustCompile(`(?m)io_submit(?:\(| resumed>).*= [1-9]\d*$`)

// submit sends messages one after another on one connection.
func submit(ctx context.Context, h *testhost.Host, messages int) error {
	c, err := h.SMTP(ctx, h.IP.String()+":25")
	if err != nil {
		return err
	}
	defer c.Close()
	for n := range messages {
		if err := c.Send("x@else.example", []string{"alice@mx1.example"}, letter("alice", fmt.Sprint(n))); err != nil {
			return err
		}
	}
	return c.Quit()
}

// startTracer attaches strace to a process of the host and returns when it
// watches.
func startTracer(t *testing.T, h *testhost.Host, pid int) *testhost.Process {
	t.Helper()
	said, says, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { said.Close() })
	p, err := h.Start(testhost.Command{
		Argv:  []string{"strace", "-f", "-e", "trace=io_submit", "-o", "/tmp/trace", "-p", fmt.Sprint(pid)},
		Files: []*os.File{says, says, says},
	})
	says.Close()
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for buf := make([]byte, 4096); !strings.Contains(text, "attached"); {
		n, err := said.Read(buf)
		if err != nil {
			t.Fatalf("strace said %q: %v", text, err)
		}
		text += string(buf[:n])
	}
	return p
}
