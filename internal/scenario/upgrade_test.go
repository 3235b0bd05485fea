package scenario

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// upgradePace is how many sessions a second there are while a suite is upgraded.
const upgradePace = 200

// upgraded is a log line of a suite that was upgraded.
const upgraded = `^qmail-start: upgraded: `

// traffic is many short sessions, none of which may see anything of an upgrade.
type traffic struct {
	t         *testing.T
	from, to  *testhost.Host
	stop      chan struct{}
	running   sync.WaitGroup
	delivered atomic.Int64
	failed    atomic.Int64
}

func startTraffic(t *testing.T, from, to *testhost.Host, pace int) *traffic {
	tr := &traffic{t: t, from: from, to: to, stop: make(chan struct{})}
	tr.running.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(pace))
		defer tick.Stop()
		places := make(chan struct{}, 150) // below concurrencysmtpip
		for n := 0; ; n++ {
			select {
			case <-tr.stop:
				return
			case <-tick.C:
			}
			select {
			case places <- struct{}{}:
			default:
				continue // the machine is busy: no more than it can do
			}
			tr.running.Go(func() {
				defer func() { <-places }()
				tr.one(n)
			})
		}
	})
	return tr
}

func (tr *traffic) one(n int) {
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	if err := smtp(ctx, tr.from, tr.to, "joe@far.example", []string{"alice@mx1.example"}, letter("alice", fmt.Sprint("traffic-", n))); err != nil {
		if tr.failed.Add(1) < 10 {
			tr.t.Errorf("session %d: %v", n, err)
		}
		return
	}
	tr.delivered.Add(1)
}

func (tr *traffic) end() int {
	close(tr.stop)
	tr.running.Wait()
	if n := tr.failed.Load(); n > 0 {
		tr.t.Errorf("%d sessions failed, %d went well", n, tr.delivered.Load())
	}
	return int(tr.delivered.Load())
}

// replacedPrograms reports which daemons run a file that is no longer there.
func replacedPrograms(h *testhost.Host) string {
	return h.Must("sh", "-c", "ls -l /proc/[0-9]*/exe 2>/dev/null | grep 'qmail/bin.*deleted' || true")
}

func upgrade(t *testing.T, h *testhost.Host) {
	t.Helper()
	first := h.Log().Len()
	h.InstallPrograms()
	if err := h.Suite().Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	h.WaitForLog(first, upgraded)
}

// TestUpgrade replaces all programs under load: no connection is refused, no
// session sees an error, however long it lasts, nothing is lost, and at the end
// all processes run the new files.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice", "bob")
	far := net.Host("far.example")
	h.Control("rcpthosts", "mx1.example")
	h.Control("concurrencysmtp", "300")
	h.Control("concurrencysmtpip", "300")
	h.Control("checkrdns", "1") // so that there is a qmail-policy
	h.Control("qmtplisten", ":209")
	h.StartSuite()
	pid := h.Suite().PID

	ctx := testhost.Within(t, 3*soon)
	patient := dialPatiently(t, ctx, far, h)
	slow := dialPatiently(t, ctx, far, h)
	slow.must("MAIL FROM:<joe@far.example>", 2)
	slow.must("RCPT TO:<bob@mx1.example>", 2)
	slow.must("DATA", 3)
	slow.write("Subject: slow\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 3000))

	tr := startTraffic(t, far, h, upgradePace)
	sent := 0
	submitted := make(chan struct{})
	go func() { // programs of users
		defer close(submitted)
		for {
			select {
			case <-tr.stop:
				return
			default:
				sendmail(h, "bob", []string{"bob"}, letter("bob", fmt.Sprint("local-", sent)))
				sent++
			}
		}
	}()
	time.Sleep(time.Second)
	first := h.Log().Len()
	h.InstallPrograms()
	if err := h.Suite().Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	h.WaitForLog(first, `^qmail-start: qmail-smtpd \(pid \d+\) finishes its sessions`)
	time.Sleep(2 * time.Second)
	slow.write("the end\r\n.\r\n")
	slow.expect(2)
	h.WaitForLog(first, upgraded)
	time.Sleep(time.Second)
	patient.send("patient")
	n := tr.end()
	<-submitted
	patient.must("QUIT", 2)
	slow.must("QUIT", 2)
	h.WaitForLog(first, `^qmail-start: qmail-smtpd \(pid \d+\) exited: it was replaced`)
	if left := replacedPrograms(h); left != "" {
		t.Errorf("these run files that were replaced:\n%s", left)
	}
	if h.Suite().PID != pid {
		t.Error("qmail-start has another number")
	}
	t.Logf("%d sessions, %d local messages", n, sent)
	waitEmpty(t, h)
	if got := h.Maildir("alice").Count(); got != n+1 {
		t.Errorf("alice has %d messages of %d", got, n+1)
	}
	if got := h.Maildir("bob").Count(); got != sent+1 {
		t.Errorf("bob has %d messages of %d", got, sent+1)
	}
	if n := count(h, first, "drop"); n > 0 {
		t.Errorf("the log speaks %d times of the drop directory", n)
	}
	h.StopSuite()
}

// patientClient is a session that lasts.
type patientClient struct {
	*testhost.Client
	t *testing.T
}

func dialPatiently(t *testing.T, ctx context.Context, from, to *testhost.Host) patientClient {
	t.Helper()
	c, err := from.SMTP(ctx, to.IP.String()+":25")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return patientClient{c, t}
}

func (c patientClient) must(line string, digit int) {
	c.t.Helper()
	if err := c.Command(line, digit); err != nil {
		c.t.Errorf("%s: %v", line, err)
	}
}

func (c patientClient) write(text string) {
	c.t.Helper()
	if _, err := c.Conn().Write([]byte(text)); err != nil {
		c.t.Error(err)
	}
}

func (c patientClient) expect(digit int) {
	c.t.Helper()
	if err := c.Expect(digit); err != nil {
		c.t.Errorf("the answer: %v", err)
	}
}

func (c patientClient) send(subject string) {
	c.t.Helper()
	if err := c.Send("joe@far.example", []string{"alice@mx1.example"}, letter("alice", subject)); err != nil {
		c.t.Errorf("%s: %v", subject, err)
	}
}
