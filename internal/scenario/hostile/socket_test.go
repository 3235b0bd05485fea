package hostile

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// memoryUnderAttack bounds what the spool takes, RSS.
const memoryUnderAttack = 96 << 20

// idleConnections are what qmail-smtpd and qmail-send keep for the next message,
// which they had not before the first.
const idleConnections = 12

// TestPublicSocketUnderAttack: connections by the thousand, garbage, slow and
// half frames, descriptors that nobody asked for, messages and envelopes
// without end.
func TestPublicSocketUnderAttack(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	before, files := g.daemons(), g.spoolFiles()
	seconds := testhost.Times(t, "seconds of garbage", 3, 300)
	bytes := testhost.Times(t, "bytes without end, 4 times", 512<<20, 10<<30)
	for _, a := range []struct{ what, n string }{
		{"connections", "1000"}, {"garbage", fmt.Sprint(seconds)}, {"endless", fmt.Sprint(bytes)}, {"envelope", fmt.Sprint(bytes)},
	} {
		f := g.flow()
		r := g.attack(testhost.Within(t, soon*20), a.what, a.n)
		if r.Stdout != "" {
			t.Errorf("%s: %s", a.what, r.Stdout)
		}
		t.Logf("%s: %s", a.what, strings.ReplaceAll(strings.TrimSpace(r.Stderr), "\n", "; "))
		f.end(a.what)
		if got := g.spoolMemory(); got > memoryUnderAttack {
			t.Errorf("%s: qmail-spool takes %d MB", a.what, got>>20)
		}
		g.unharmed(before)
	}
	ended := testhost.Within(t, soon)
	for after := g.spoolFiles(); after > files+idleConnections; after = g.spoolFiles() {
		if ended.Err() != nil {
			t.Fatalf("qmail-spool keeps %d descriptors, had %d: %v", after, files, g.spool().Files)
		}
		pause(ended, 1e8)
	}
	left := g.Must("sh", "-c", "ls /var/qmail/queue/tmp | wc -l; df -P /var/qmail | tail -1")
	if !strings.HasPrefix(left, "0\n") {
		t.Errorf("left in tmp: %s", left)
	}
	g.StopSuite()
}

func (g *ground) spool() testhost.ProcessInfo {
	g.t.Helper()
	found := g.Find("qmail-spool")
	if len(found) != 1 {
		g.t.Fatalf("%d qmail-spools", len(found))
	}
	return found[0]
}

func (g *ground) spoolFiles() int { return len(g.spool().Files) }

func (g *ground) spoolMemory() int {
	g.t.Helper()
	status, err := os.ReadFile(g.Path(fmt.Sprintf("/proc/%d/status", g.spool().PID)))
	if err != nil {
		g.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kb, err := strconv.Atoi(f[1])
			if err != nil {
				g.t.Fatal(err)
			}
			return kb << 10
		}
	}
	g.t.Fatal("no VmRSS")
	return 0
}
