package scenario

import (
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/testhost"
	"postrider/internal/testhost/inject"
)

// TestNoUserReachesAnother takes a process of each of fourteen users over and tries
// to signal, trace, read and write a process and a file of each other one.
func TestNoUserReachesAnother(t *testing.T) {
	t.Parallel()
	h, _ := hostWithADelivery(t, nil)
	processes := make(map[string]int)
	for program, user := range map[string]string{spool: "qmailq", send: "qmails", lspawn: "qmailw", remote: "qmailr", smtpd: "qmaild", lookup: "qmailp", policy: "qmailn", mtasts: "qmailt", filter: "qmailf", nss: "qmailu", local: "alice"} {
		processes[user] = h.Find(program)[0].PID
	}
	for _, user := range []string{"qmaill", "alias", "bob"} {
		p, err := h.Start(testhost.Command{Argv: []string{"sleep", "1000"}, User: user})
		if err != nil {
			t.Fatal(err)
		}
		processes[user] = p.PID
	}
	for user := range processes {
		h.WriteFile("/tmp/of."+user, "secret\n", 0o600)
		h.Chown("/tmp/of."+user, user)
	}
	var c counted
	pairs := 0
	for user := range processes {
		pairs += crossAll(t, h, user, processes, &c)
	}
	t.Logf("%d pairs of users, %d operations refused, %d allowed", pairs, c.refused.Load(), c.allowed.Load())
	if pairs != 182 {
		t.Errorf("%d pairs of users, want 182", pairs)
	}
	h.Must("sh", "-c", "echo > /home/alice/pipe")
	waitEmpty(t, h)
	h.StopSuite()
}

// crossAll tries to reach all others from the process of a user.
func crossAll(t *testing.T, h *testhost.Host, user string, processes map[string]int, c *counted) (pairs int) {
	t.Helper()
	runtime.LockOSThread() // the tracer is this thread
	defer runtime.UnlockOSThread()
	p, err := inject.Attach(h.OuterPID(processes[user]))
	if err != nil {
		t.Fatalf("%s: %v", user, err)
	}
	defer func() {
		if err := p.Detach(); err != nil {
			t.Errorf("%s: %v", user, err)
		}
	}()
	in := inside{Process: p, tid: p.Threads()[0]}
	// The control: its own file is there and can be opened where files can.
	if errno := in.open("/tmp/of."+user, unix.O_RDONLY); errno != 0 && errno != unix.EACCES {
		t.Errorf("%s cannot read its own file: %v", user, errno)
	}
	for other, pid := range processes {
		if other == user {
			continue
		}
		pairs++
		in.victim = pid
		for _, o := range crossings(other, pid) {
			in.Reset()
			judge(t, user, 0, o, o.try(&in), c)
		}
	}
	return pairs
}

// crossings are what one user tries to do to the process and the file of
// another. Only qmail-lspawn may signal others.
func crossings(other string, pid int) []operation {
	list := []operation{
		{name: "read a file of " + other, try: opens("/tmp/of."+other, unix.O_RDONLY)},
		{name: "write a file of " + other, try: opens("/tmp/of."+other, unix.O_WRONLY)},
		{name: "read the memory file of " + other, try: opens(fmt.Sprintf("/proc/%d/mem", pid), unix.O_RDONLY)},
		{name: "read the environment of " + other, try: opens(fmt.Sprintf("/proc/%d/environ", pid), unix.O_RDONLY)},
	}
	for _, o := range processOperations() {
		switch o.name {
		case "signal another", "signal another's thread":
			o.allowed = []string{"qmailw"}
		case "trace another", "seize another", "read another's memory", "write another's memory", "limit another", "slow another down":
		default:
			continue
		}
		list = append(list, o)
	}
	return list
}
