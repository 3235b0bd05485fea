package scenario

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// soon is how long a test waits for what takes milliseconds on an idle
// machine.
const soon = 60 * time.Second

// mailHost is a host with the suite installed, not yet started, and users.
func mailHost(t *testing.T, net *testhost.Network, name string, users ...string) *testhost.Host {
	t.Helper()
	testhost.NeedUsers(t)
	h := net.Host(name)
	h.Install()
	h.AddUsers(users...)
	return h
}

// sendmail sends a message as a user of the host and fails the test if it is
// not taken.
func sendmail(h *testhost.Host, user string, args []string, text string) {
	h.MustRun(testhost.Command{
		Argv: append([]string{"/usr/sbin/sendmail"}, args...), User: user, Stdin: text,
	})
}

// smtp sends a message to port 25 of the host, from another or the same one.
func smtp(ctx context.Context, from, to *testhost.Host, sender string, recipients []string, text string) error {
	c, err := from.SMTP(ctx, to.IP.String()+":25")
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Send(sender, recipients, text); err != nil {
		return err
	}
	return c.Quit()
}

// letter is a small message.
func letter(to, subject string) string {
	return fmt.Sprintf("To: %s\nSubject: %s\n\nbody of %s\n", to, subject, subject)
}

// waitEmpty waits until the queue of the host is empty.
func waitEmpty(t *testing.T, h *testhost.Host) {
	t.Helper()
	if err := h.WaitForEmptyQueue(testhost.Within(t, soon)); err != nil {
		t.Fatalf("%s: the queue holds %v: %v\nlog:\n%s", h.Name, h.Queue(), err, h.Log().Timed(0))
	}
}

// count counts the log lines from number first on that contain text.
func count(h *testhost.Host, first int, text string) int {
	n := 0
	for _, line := range h.Log().Lines(first) {
		if strings.Contains(line.Text, text) {
			n++
		}
	}
	return n
}

// barrier returns when the scheduler has handled everything that was due
// before: a message to user went all the way.
func barrier(t *testing.T, h *testhost.Host, user string) {
	t.Helper()
	first := h.Log().Len()
	sendmail(h, "root", []string{user}, letter(user, "barrier"))
	id := h.WaitForLog(first, `^new msg (\d+)$`)[1]
	h.WaitForLog(first, `^end msg `+id+`$`)
}
