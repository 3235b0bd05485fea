package scenario

import (
	"strings"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// mailHost is a host with the suite installed, not yet started, and users.
func mailHost(t *testing.T, net *testhost.Network, name string, users ...string) *testhost.Host {
	t.Helper()
	testhost.NeedUsers(t)
	h := net.Host(name)
	h.Install()
	h.AddUsers(users...)
	return h
}

func TestSendmailDeliversIntoAMaildir(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "bob")
	h.StartSuite()
	start := time.Now()
	h.MustRun(testhost.Command{
		Argv: []string{"/usr/sbin/sendmail", "-t"}, User: "bob",
		Stdin: "To: alice@mx1.example\nSubject: hello\n\nbody\n",
	})
	got := h.Maildir("alice").Wait(testhost.Within(t, 10*time.Second), 1)[0]
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
	if got.Header("Subject") != "hello" || got.Body() != "body\n" || !strings.Contains(got.Header("From"), "bob@mx1.example") {
		t.Errorf("got %s", got.Text)
	}
	h.StopSuite()
}
