package scenario

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// activated starts what follows as systemd starts a service with sockets.
var activated = []string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=a:b exec "$@"`, "sh"}

// TestInheritedSockets starts the suite with sockets that listened before, one
// of them for both families: who has come early is served, and programs of users
// do not learn of it.
func TestInheritedSockets(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.Control("smtplisten", ":25", "127.0.0.1:2525")
	h.WriteFile("/home/alice/.qmail", "|env >\"$HOME/environment\"\n./Maildir/\n", 0o600)
	h.Chown("/home/alice/.qmail", "alice")
	both, local := listening(t, h, "[::]:25"), listening(t, h, "127.0.0.1:2525")
	ctx := testhost.Within(t, soon)
	early, err := h.Dial(ctx, "tcp", h.IP.String()+":25")
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	h.StartSuiteUnder(activated, both, local)
	greeting := make([]byte, 3)
	if _, err := io.ReadFull(early, greeting); err != nil || string(greeting) != "220" {
		t.Errorf("who came early got %q, %v", greeting, err)
	}
	for _, address := range []string{h.IP.String() + ":25", "[::1]:25", "127.0.0.1:2525"} {
		c, err := h.SMTP(ctx, address)
		if err == nil {
			err = c.Send("x@else.example", []string{"alice@mx1.example"}, letter("alice", address))
		}
		if err != nil {
			t.Fatalf("%s: %v\nlog:\n%s", address, err, h.Log().Timed(0))
		}
		c.Close()
	}
	for _, m := range h.Maildir("alice").Wait(ctx, 3) {
		if m.Header("Subject") == h.IP.String()+":25" && !strings.Contains(m.Text, "("+h.IP.String()+")") {
			t.Errorf("the client's address is not as it is elsewhere: %s", m.Text)
		}
	}
	if environment := h.ReadFile("/home/alice/environment"); strings.Contains(environment, "LISTEN_") {
		t.Errorf("a user's program has %s", environment)
	}
	if n := count(h, 0, ", which was inherited"); n != 2 {
		t.Errorf("%d sockets were inherited\n%s", n, h.Log().Timed(0))
	}
	h.StopSuite()
	// What was inherited is not ours to end: clients wait for the next start.
	if c, err := h.Dial(ctx, "tcp", "127.0.0.1:2525"); err != nil {
		t.Errorf("the socket has gone: %v", err)
	} else {
		c.Close()
	}
}

// TestInheritedSocketOfNobody starts the suite with a socket that no control file
// names.
func TestInheritedSocketOfNobody(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.Control("smtplisten", "127.0.0.1:25")
	first := listening(t, h, "127.0.0.1:25")
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, c := range []struct {
		name   string
		second *os.File
		want   string
	}{
		{"no line", listening(t, h, "127.0.0.1:26"), "listens on 127.0.0.1:26"},
		{"no socket", null, "descriptor 4"},
	} {
		out, in, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p, err := h.Start(testhost.Command{
			Argv:  append(activated, "/var/qmail/bin/qmail-start"),
			Files: []*os.File{null, null, in, first, c.second},
		})
		if err != nil {
			t.Fatal(err)
		}
		in.Close()
		said, err := io.ReadAll(out)
		out.Close()
		result, waitErr := p.Wait(testhost.Within(t, soon))
		if err := errors.Join(err, waitErr); err != nil || result.Code != 111 || !strings.Contains(string(said), c.want) {
			t.Errorf("%s: %v, %v: %s", c.name, err, result, said)
		}
	}
}

// listening returns a socket that listens on a host.
func listening(t *testing.T, h *testhost.Host, address string) *os.File {
	t.Helper()
	f, err := h.Listen("tcp", address).(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
