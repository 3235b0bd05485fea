package scenario

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// TestSmtpdUnderTcpserver runs qmail-smtpd as qmail's own run scripts do.
func TestSmtpdUnderTcpserver(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.Control("smtplisten", "127.0.0.1:2525") // port 25 is tcpserver's
	h.MustRun(testhost.Command{
		Argv: []string{"tcprules", "/etc/tcp.smtp.cdb", "/etc/tcp.smtp.tmp"}, Stdin: "10.77.0.:allow,RELAYCLIENT=\"\"\n:allow\n",
	})
	h.StartSuite()
	server := startTcpserver(t, h)
	ctx := testhost.Within(t, soon)
	var err error
	for {
		if err = smtp(ctx, h, h, "x@else.example", []string{"alice@mx1.example"}, letter("alice", "classic")); err == nil || ctx.Err() != nil {
			break
		}
		pause(ctx) // tcpserver does not say when it listens
	}
	if err != nil {
		t.Fatal(err)
	}
	got := h.Maildir("alice").Wait(ctx, 1)[0]
	if got.Header("Subject") != "classic" {
		t.Errorf("got %s", got.Text)
	}
	if err := smtp(ctx, h, h, "x@else.example", []string{"x@remote.example"}, letter("x", "relay")); err != nil {
		t.Errorf("RELAYCLIENT is not obeyed: %v", err)
	}
	if err := server.SignalGroup(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	h.StopSuite()
}

func startTcpserver(t *testing.T, h *testhost.Host) *testhost.Process {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	server, err := h.Start(testhost.Command{
		Argv: []string{"sh", "-c", "exec env - PATH=/var/qmail/bin:/usr/bin:/bin tcpserver -HRl mx1.example -x /etc/tcp.smtp.cdb " +
			"-u `id -u qmaild` -g `id -g qmaild` 0 25 qmail-smtpd"},
		Files: []*os.File{null, null, null},
	})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// pause waits a moment before something is tried again that nobody announces.
func pause(ctx context.Context) {
	select {
	case <-time.After(10 * time.Millisecond):
	case <-ctx.Done():
	}
}
