package scenario

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"postrider/internal/testhost"
)

// queuectl runs the tool as a user and returns its output; it must succeed.
func queuectl(h *testhost.Host, user string, args ...string) string {
	return h.MustRun(testhost.Command{Argv: append([]string{"/var/qmail/bin/qmail-queuectl"}, args...), User: user})
}

// refusedQueuectl runs the tool, which must not do all that it is asked.
func refusedQueuectl(t *testing.T, h *testhost.Host, user string, args ...string) string {
	t.Helper()
	res, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: append([]string{"/var/qmail/bin/qmail-queuectl"}, args...), User: user})
	if err != nil || res.Code == 0 {
		t.Errorf("qmail-queuectl %v as %s: %v, exit %d: %s%s", args, user, err, res.Code, res.Stdout, res.Stderr)
	}
	return res.Stdout + res.Stderr
}

// submitDeferred sends a message to somebody whose .qmail file defers, and
// returns its number once that has happened.
func submitDeferred(h *testhost.Host, user, to, subject string) string {
	first := h.Log().Len()
	sendmail(h, user, []string{to}, letter(to, subject))
	id := h.WaitForLog(first, `^new msg (\d+)$`)[1]
	h.WaitForLog(first, `^delivery \d+: deferral: `)
	return id
}

// TestQueueIsManaged changes messages of a running suite, as root and as users.
func TestQueueIsManaged(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice", "bob", "busy")
	h.WriteFile("/home/busy/.qmail", "|echo not now; exit 111\n", 0o644)
	h.Chown("/home/busy/.qmail", "busy")
	h.StartSuite()
	hers := submitDeferred(h, "alice", "busy@mx1.example", "hers")
	his := submitDeferred(h, "bob", "busy@mx1.example", "his")

	if out := queuectl(h, "root", "list"); !strings.Contains(out, hers+"  deferred") || !strings.Contains(out, "busy@mx1.example: not now") || !strings.Contains(out, "2 messages") {
		t.Errorf("list:\n%s", out)
	}
	for _, program := range []string{"/var/qmail/bin/mailq", "/var/qmail/bin/qmail-queuectl"} {
		argv := []string{program}
		if strings.HasSuffix(program, "ctl") {
			argv = append(argv, "list")
		}
		if out := h.MustRun(testhost.Command{Argv: argv, User: "alice"}); !strings.Contains(out, hers) || strings.Contains(out, his) {
			t.Errorf("%s as alice:\n%s", program, out)
		}
	}
	if out := queuectl(h, "alice", "show", hers); !strings.Contains(out, "Subject: hers") || !strings.Contains(out, "deferred 1: not now") {
		t.Errorf("show:\n%s", out)
	}
	if out := refusedQueuectl(t, h, "alice", "show", his); strings.Contains(out, "Subject") {
		t.Errorf("alice sees:\n%s", out)
	}
	if out := refusedQueuectl(t, h, "alice", "delete", his); !strings.Contains(out, "not yours") {
		t.Errorf("alice deletes:\n%s", out)
	}
	if out := refusedQueuectl(t, h, "alice", "hold", hers); !strings.Contains(out, "only root may do that") {
		t.Errorf("alice holds:\n%s", out)
	}

	// What was answered survives.
	queuectl(h, "root", "hold", "--why", "ask the owner", "--from", "bob@*")
	first := h.Log().Len()
	h.Kill("qmail-send", syscall.SIGKILL)
	h.WaitForLog(first, `qmail-send .* killed by signal 9`)
	h.WaitForLog(first, `^status: `)
	barrier(t, h, "alice")
	if out := queuectl(h, "root", "list", "--state", "held"); !strings.Contains(out, his) || !strings.Contains(out, "ask the owner") || strings.Contains(out, hers) {
		t.Errorf("held after a crash:\n%s", out)
	}
	queuectl(h, "root", "readdress", "--address", "alice@mx1.example", his)
	queuectl(h, "root", "release", his)
	h.WaitForLog(first, `^end msg `+his+`$`)
	queuectl(h, "alice", "delete", hers)
	waitEmpty(t, h)
	if n := len(h.Maildir("alice").Messages()); n != 2 {
		t.Errorf("alice has %d messages", n)
	}
	h.StopSuite()
	if out := refusedQueuectl(t, h, "root", "retry", "--all"); !strings.Contains(out, "qmail-send does not run") {
		t.Errorf("while nothing runs:\n%s", out)
	}
}

// TestClassicQueueIsImported puts a queue of qmail into a running suite.
func TestClassicQueueIsImported(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice", "bob")
	h.StartSuite()
	h.MustRun(testhost.Command{Argv: []string{"sh", "-ec", `
for d in mess info local remote; do for i in $(seq 0 22); do mkdir -p /home/classic/$d/$i; done; done
mkdir /home/classic/todo /home/classic/bounce /home/classic/lock
: > /home/classic/lock/sendmutex`}})
	const n = 30
	for i := range n {
		where := fmt.Sprintf("%d/%d", (1000+i)%23, 1000+i)
		h.WriteFile("/home/classic/mess/"+where, "Received: (qmail 1 invoked by uid 0)\n"+letter("bob", fmt.Sprint("old ", i)), 0o600)
		h.WriteFile("/home/classic/info/"+where, "Falice@mx1.example\x00", 0o600)
		h.WriteFile("/home/classic/local/"+where, "Dalice@mx1.example\x00Tbob@mx1.example\x00", 0o600)
	}
	if out := queuectl(h, "root", "import", "/home/classic"); !strings.HasPrefix(out, fmt.Sprintf("imported: %d;", n)) {
		t.Errorf("got %s", out)
	}
	if _, err := h.WaitForFiles(testhost.Within(t, soon), "/home/bob/Maildir/new", func(names []string) bool { return len(names) == n }); err != nil {
		t.Errorf("%v\nlog:\n%s", err, h.Log().Timed(0))
	}
	waitEmpty(t, h)
	if out := queuectl(h, "root", "import", "/home/classic"); !strings.HasPrefix(out, fmt.Sprintf("imported: 0; imported before: %d;", n)) {
		t.Errorf("again: %s", out)
	}
	barrier(t, h, "alice")
	if got := len(h.Maildir("bob").Messages()); got != n {
		t.Errorf("bob has %d messages", got)
	}
	if got := len(h.Maildir("alice").Messages()); got != 1 {
		t.Errorf("alice, who had them all, has %d messages", got)
	}
	h.StopSuite()
}
