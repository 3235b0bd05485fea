package hostile

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/internal/testhost"
)

const (
	// soon is how long something is waited for that takes milliseconds on an
	// idle machine.
	soon = 60 * time.Second
	// goal is how long the mail of others may take while somebody attacks
	// (R63); allowance is what a test machine gets that does other things too.
	goal      = 10 * time.Second
	allowance = 20 * time.Second
)

func TestMain(m *testing.M) {
	if what := os.Getenv(attackVariable); what != "" {
		os.Exit(attack(what))
	}
	os.Exit(testhost.Main(m))
}

// ground is a host with alice and bob, who write to each other, and mallory.
type ground struct {
	*testhost.Host
	t *testing.T
}

const (
	secret  = "secret of root\n"
	private = "private of alice\n"
)

func newGround(t *testing.T) *ground {
	t.Helper()
	testhost.NeedUsers(t)
	h := testhost.NewNetwork(t).Host("mx1.example")
	h.Install()
	h.AddUsers("alice", "bob", "mallory")
	h.WriteFile("/etc/secret", secret, 0o600)
	h.WriteFile("/home/alice/private", private, 0o600)
	h.Chown("/home/alice/private", "alice")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	h.WriteFile(attackerPath, string(self), 0o755)
	g := &ground{h, t}
	h.StartSuite()
	return g
}

// attack runs the attacker as mallory until it ends by itself.
func (g *ground) attack(ctx context.Context, what string, args ...string) testhost.Result {
	g.t.Helper()
	r, err := g.Run(ctx, testhost.Command{
		Argv: append([]string{attackerPath}, args...), User: "mallory", Env: []string{attackVariable + "=" + what}, Dir: "/home/mallory",
	})
	if err != nil {
		g.t.Errorf("attack %s: %v", what, err)
	}
	return r
}

func (g *ground) own(user, name, text string) {
	g.WriteFile("/home/"+user+"/"+name, text, 0o600)
	g.Chown("/home/"+user+"/"+name, user)
}

// send sends a message as a user; one that is not taken fails the test.
func (g *ground) send(from, to, subject string) {
	g.t.Helper()
	g.MustRun(testhost.Command{
		Argv: []string{"/usr/sbin/sendmail", to}, User: from, Stdin: fmt.Sprintf("To: %s\nSubject: %s\n\nx\n", to, subject),
	})
}

// settled waits until the queue is empty; signal makes what waits due now.
func (g *ground) settled() {
	g.t.Helper()
	ctx := testhost.Within(g.t, 3*soon)
	for g.WaitForEmptyQueue(testhost.Within(g.t, 2*time.Second)) != nil {
		if ctx.Err() != nil {
			g.t.Fatalf("the queue holds %v\nlog:\n%s", g.Queue(), g.Log().Timed(max(0, g.Log().Len()-200)))
		}
		if err := g.Suite().Signal(alarm); err != nil {
			g.t.Fatal(err)
		}
	}
}

// daemons are the processes of the suite that no user owns, by name and pid.
func (g *ground) daemons() []string {
	g.t.Helper()
	var list []string
	for _, p := range g.Daemons() {
		if strings.HasPrefix(p.Name, "qmail-") && p.Name != "qmail-local" && p.Name != "qmail-queue" {
			list = append(list, fmt.Sprintf("%s %d", p.Name, p.PID))
		}
	}
	slices.Sort(list)
	return list
}

// unharmed is what must hold after any attack: the same daemons run, files of
// others are as before, and nothing of them is in a mailbox or readable.
func (g *ground) unharmed(before []string) {
	g.t.Helper()
	if after := g.daemons(); !slices.Equal(after, before) {
		g.t.Errorf("daemons were %v, are %v\nlog:\n%s", before, after, g.Log().Timed(max(0, g.Log().Len()-100)))
	}
	if got := g.ReadFile("/etc/secret") + g.ReadFile("/home/alice/private"); got != secret+private {
		g.t.Errorf("files of others changed: %q", got)
	}
	out := g.Must("sh", "-c", `grep -rlsF -e 'secret of root' -e 'private of alice' /home/*/Maildir /home/mallory /var/qmail/queue /var/qmail/alias --include='*' --exclude=attacker || :`)
	if out != "" {
		g.t.Errorf("foreign files got into %s", out)
	}
}

// flow is mail between alice and bob, one message after the other.
type flow struct {
	g      *ground
	stop   context.CancelFunc
	done   sync.WaitGroup
	sent   int
	worst  time.Duration
	failed error
}

func (g *ground) flow() *flow {
	ctx, stop := context.WithCancel(g.t.Context())
	f := &flow{g: g, stop: stop}
	f.done.Go(func() {
		for ctx.Err() == nil && f.failed == nil {
			f.failed = f.one()
			pause(ctx, 20*time.Millisecond)
		}
	})
	return f
}

// one sends a message and waits until it is there.
func (f *flow) one() error {
	ctx, cancel := context.WithTimeout(f.g.t.Context(), soon)
	defer cancel()
	begun := time.Now()
	from, to := "bob", "alice"
	r, err := f.g.Run(ctx, testhost.Command{
		Argv: []string{"/usr/sbin/sendmail", to}, User: from, Stdin: fmt.Sprintf("To: %s\nSubject: flow %d\n\nx\n", to, f.sent),
	})
	if err != nil || r.Code != 0 {
		return fmt.Errorf("message %d is not taken: %v %w", f.sent, r, err)
	}
	f.sent++
	_, err = f.g.WaitForFiles(ctx, "/home/alice/Maildir/new", func(names []string) bool { return len(names) >= f.sent })
	if err != nil {
		return fmt.Errorf("message %d does not arrive: %w", f.sent, err)
	}
	f.worst = max(f.worst, time.Since(begun))
	return nil
}

// end stops the flow and judges it.
func (f *flow) end(attack string) {
	f.g.t.Helper()
	f.stop()
	f.done.Wait()
	f.g.t.Logf("%s: %d messages of others meanwhile, the slowest took %v (goal %v)", attack, f.sent, f.worst.Round(time.Millisecond), goal)
	if f.failed != nil || f.worst > allowance || f.sent == 0 {
		f.g.t.Errorf("%s: others suffer: %d sent, the slowest took %v, %v\nlog:\n%s",
			attack, f.sent, f.worst, f.failed, f.g.Log().Timed(max(0, f.g.Log().Len()-100)))
	}
}

// pause waits a moment before something that nobody announces.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
