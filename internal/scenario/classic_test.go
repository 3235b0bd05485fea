package scenario

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// TestSmtpdUnderTcpserver runs qmail-smtpd as qmail's own run scripts do, with
// soft limits of memory (softlimit -m 50000000).
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

// TestLimitsOfMemory: soft limits of a caller, as by "softlimit -m 3000000", stop
// none of the programs that queue mail; with hard ones they say what is wrong.
func TestLimitsOfMemory(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice")
	h.StartSuite()
	under := func(limits, program string) testhost.Result {
		r, err := h.Run(t.Context(), testhost.Command{
			Argv: []string{"sh", "-c", limits + "; exec " + program + " alice@mx1.example"}, Stdin: "Subject: " + program + "\n\n", User: "alice",
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	programs := []string{"/var/qmail/bin/sendmail", "/var/qmail/bin/qmail-inject"}
	for _, program := range programs {
		for _, kind := range []string{"v", "d"} {
			if r := under("ulimit -S -"+kind+" 3000", program); r.Code != 0 {
				t.Errorf("%s with a soft limit of -%s: %+v", program, kind, r)
			}
			r := under("ulimit -"+kind+" 20000", program)
			if r.Code != 111 || !strings.HasPrefix(r.Stderr, "no memory to run in: the hard limits (ulimit -Hv and -Hd)") {
				t.Errorf("%s with a hard limit of -%s: %+v", program, kind, r)
			}
		}
	}
	h.Maildir("alice").Wait(testhost.Within(t, soon), 2*len(programs))
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
		Argv: []string{"sh", "-c", "ulimit -S -v 50000; ulimit -S -d 50000; exec env - PATH=/var/qmail/bin:/usr/bin:/bin tcpserver -HRl mx1.example -x /etc/tcp.smtp.cdb " +
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
