package hostile

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// TestNoProcessOfOthersCanBeTouched: no signal, no trace, no memory, no
// descriptor of a process of another user, nor of her own worker but signals.
func TestNoProcessOfOthersCanBeTouched(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	// Her worker and alice's are there: a program of each runs.
	g.Must("mkfifo", "-m", "666", "/home/alice/pipe", "/home/mallory/pipe")
	for _, user := range []string{"alice", "mallory"} {
		g.own(user, ".qmail", "|cat >/dev/null; touch $HOME/begun; read forever < $HOME/pipe\n")
		g.send("bob", user, "start a worker")
	}
	ctx := testhost.Within(t, soon)
	begun := func(user string) bool {
		_, err := os.Stat(g.Path("/home/" + user + "/begun"))
		return err == nil
	}
	for !begun("alice") || !begun("mallory") {
		if ctx.Err() != nil {
			t.Fatalf("no workers\nlog:\n%s", g.Log().Timed(0))
		}
		pause(ctx, 1e7)
	}
	r := g.attack(testhost.Within(t, soon), "signals", fmt.Sprint(g.UserID("mallory")))
	if r.Code != 0 || r.Stdout != "" {
		t.Errorf("mallory can touch:\n%v", r)
	}
	// The same on processes that she may touch finds something: root's probe.
	probe, err := g.Run(testhost.Within(t, soon), testhost.Command{
		Argv: []string{attackerPath, "none"}, Env: []string{attackVariable + "=signals"},
	})
	if err != nil || strings.Count(probe.Stdout, "may be signalled") < 5 || !strings.Contains(probe.Stdout, "its memory may be written") {
		t.Errorf("the probe finds nothing as root: %v %v", probe, err)
	}
	g.Must("sh", "-c", "echo > /home/alice/pipe; echo > /home/mallory/pipe")
	g.settled()
	g.StopSuite()
}

// TestStoppedDaemonIsReplaced: mail flows again after a daemon was stopped,
// with a line in the log, and what it had is delivered once.
func TestStoppedDaemonIsReplaced(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.send("bob", "alice", "before")
	g.Maildir("alice").Wait(testhost.Within(t, soon), 1)
	// Each has to be seen at work once before it counts as one that stopped.
	pause(t.Context(), 11*time.Second)
	stopped := []string{"qmail-lspawn", "qmail-remote", "qmail-smtpd"}
	for _, program := range stopped {
		if g.Kill(program, syscall.SIGSTOP) == 0 {
			t.Fatalf("no %s", program)
		}
	}
	begun := time.Now()
	g.send("bob", "alice", "meanwhile")
	ctx := testhost.Within(t, 3*soon)
	g.Maildir("alice").Wait(ctx, 2)
	t.Logf("delivered %v after qmail-lspawn was stopped", time.Since(begun).Round(time.Second))
	for _, program := range stopped {
		g.WaitForLog(0, `^qmail-start: warning: `+program+`.* has done nothing for 30s; it is killed`)
	}
	g.settled()
	if got := g.Maildir("alice").Messages(); len(got) != 2 {
		t.Errorf("%d messages, want 2", len(got))
	}
	g.StopSuite()
}
