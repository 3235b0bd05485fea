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

	"postrider/internal/priv"
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
	for _, p := range h.Daemons() { // signals that were blocked between the programs are not in their children
		masks := h.Must("sh", "-c", fmt.Sprintf("grep -hs SigBlk /proc/%d/task/*/status || true", p.PID))
		if p.Name != "qmail-start" && masks != "" && !strings.Contains(masks, "\t0000000000000000\n") {
			t.Errorf("%s has signals blocked:\n%s", p.Name, masks)
		}
	}
	for _, p := range h.Daemons() { // nobody has got more by it
		if role, found := priv.RoleOf(p.Name); found && role.User != "" {
			checkIdentity(t, h, role, p)
			checkDescriptors(t, p)
		}
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

// quietHost is a host whose suite runs, with a session that has begun.
func quietHost(t *testing.T) (*testhost.Host, patientClient) {
	t.Helper()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice")
	h.Control("rcpthosts", "mx1.example")
	h.StartSuite()
	return h, dialPatiently(t, testhost.Within(t, 3*soon), net.Host("far.example"), h)
}

// pids are the processes of the suite by number.
func pids(h *testhost.Host) map[int]string {
	found := make(map[int]string)
	for _, p := range h.Daemons() {
		found[p.PID] = p.Name
	}
	return found
}

// TestUpgradeThatCannotBe: whatever is wrong with the programs or the settings
// that are installed, one line says so, and not one process is another.
func TestUpgradeThatCannotBe(t *testing.T) {
	t.Parallel()
	h, c := quietHost(t)
	before := pids(h)
	const start, smtpd = "/var/qmail/bin/qmail-start", "/var/qmail/bin/qmail-smtpd"
	h.Must("cp", "-p", start, start+".good")
	for _, wrong := range []struct{ name, do, want, undo string }{
		{"a setting", "echo 99 >/var/qmail/control/remoteworkers", `remoteworkers: 99 is not between`, "rm /var/qmail/control/remoteworkers"},
		{"a program is missing", "mv " + smtpd + " /tmp/smtpd", `access /var/qmail/bin/qmail-smtpd`, "mv /tmp/smtpd " + smtpd},
		{"the program is missing", "rm " + start, `qmail-start: no such file`, "cp -p " + start + ".good " + start},
		{"another program", "cp -f /bin/true " + start + ".new && mv " + start + ".new " + start, `cannot take over: exit status 0`, "mv -f " + start + ".new2 " + start},
		{"no program", "head -c 1000 " + start + ".good >" + start + ".new && chmod 755 " + start + ".new && mv " + start + ".new " + start, `qmail-start(: exec format error|: input/output error| cannot take over)`, "mv -f " + start + ".new2 " + start},
	} {
		h.Must("cp", "-p", start+".good", start+".new2")
		first := h.Log().Len()
		h.Must("sh", "-c", wrong.do)
		if err := h.Suite().Signal(syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		h.WaitForLog(first, `^qmail-start: warning: no upgrade, all runs on as it was: .*`+wrong.want)
		if n := count(h, first, "no upgrade"); n != 1 {
			t.Errorf("%s: %d lines", wrong.name, n)
		}
		h.Must("sh", "-c", wrong.undo)
		if got := pids(h); fmt.Sprint(got) != fmt.Sprint(before) {
			t.Errorf("%s: the processes are %v, were %v", wrong.name, got, before)
		}
	}
	c.send("as ever")
	c.must("QUIT", 2)
	h.Maildir("alice").Wait(testhost.Within(t, soon), 1)
	upgrade(t, h) // and nothing of that is left
	h.StopSuite()
}

// TestNewFrontEndThatFails: if the new qmail-smtpd does not come up, the one
// before serves on, until one is installed that does.
func TestNewFrontEndThatFails(t *testing.T) {
	t.Parallel()
	h, c := quietHost(t)
	h.Must("sh", "-c", "cp -p /bin/false /var/qmail/bin/x && mv /var/qmail/bin/x /var/qmail/bin/qmail-smtpd")
	first := h.Log().Len()
	if err := h.Suite().Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	h.WaitForLog(first, `^qmail-start: warning: qmail-smtpd \(pid \d+\) exited with code 1 .* it is started again in 2s`)
	c.send("by the one before")
	upgrade(t, h)
	c.send("still by the one before")
	c.must("QUIT", 2)
	h.WaitForLog(first, `^qmail-start: qmail-smtpd \(pid \d+\) exited: it was replaced`)
	for end := time.Now().Add(soon); replacedPrograms(h) != ""; { // the first upgrade ends before the second
		if time.Now().After(end) {
			t.Fatalf("these run files that were replaced:\n%s", replacedPrograms(h))
		}
	}
	h.Maildir("alice").Wait(testhost.Within(t, soon), 2)
	h.StopSuite()
}

// TestTroubleDuringUpgrade: signals and deaths at any moment of it end well.
func TestTroubleDuringUpgrade(t *testing.T) {
	t.Parallel()
	h, c := quietHost(t)
	for _, program := range []string{"qmail-spool", "qmail-send", "qmail-lookup", "qmail-smtpd", "qmail-lspawn"} {
		first := h.Log().Len()
		h.InstallPrograms()
		if program == "qmail-smtpd" {
			c.must("QUIT", 2) // who is killed cannot finish its sessions
		}
		if err := h.Suite().Signal(syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		h.WaitForLog(first, `^qmail-start: upgrading: `)
		if h.Kill(program, syscall.SIGKILL) == 0 {
			t.Errorf("%s does not run", program)
		}
		for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGALRM, syscall.SIGUSR2} {
			if err := h.Suite().Signal(sig); err != nil {
				t.Fatal(err)
			}
		}
		h.WaitForLog(first, upgraded)
		barrier(t, h, "alice")
	}
	// Upgraded again while the first is not over, and stopped in the midst of it.
	first := h.Log().Len()
	h.InstallPrograms()
	for range 3 {
		if err := h.Suite().Signal(syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		h.WaitForLog(first, `^qmail-start: qmail-smtpd started`)
	}
	sendmail(h, "alice", []string{"alice"}, letter("alice", "last"))
	// A TERM at the very moment of the exec ends qmail-start as any signal ends a
	// program; its daemons follow.
	h.EndSuite()
	h.StartSuite()
	waitEmpty(t, h)
	h.StopSuite()
}

// TestSettingsAtUpgrade: members that are new, and some that are not wanted any more.
func TestSettingsAtUpgrade(t *testing.T) {
	t.Parallel()
	h, c := quietHost(t)
	h.Control("checkrdns", "1")
	h.Control("qmtplisten", ":209")
	h.Control("remoteworkers", "3")
	upgrade(t, h)
	has := func(program string, want int) {
		t.Helper()
		if got := len(h.Find(program)); got != want {
			t.Errorf("%d processes of %s, want %d", got, program, want)
		}
	}
	has("qmail-policy", 1)
	has("qmail-qmtpd", 1)
	has("qmail-remote", 3)
	h.Must("rm", "/var/qmail/control/checkrdns", "/var/qmail/control/qmtplisten", "/var/qmail/control/remoteworkers")
	first := h.Log().Len()
	h.Must("sh", "-c", "echo :2525 >>/var/qmail/control/smtplisten; echo :25 >>/var/qmail/control/smtplisten")
	upgrade(t, h)
	h.WaitForLog(first, `^qmail-start: not listening on 0.0.0.0:209 any more`)
	h.WaitForLog(first, `^qmail-start: listening on 0.0.0.0:2525`)
	c.send("through all of it")
	c.must("QUIT", 2)
	h.WaitForLog(first, `^qmail-start: qmail-policy \(pid \d+\) exited: it was replaced`)
	h.WaitForLog(first, `^qmail-start: qmail-remote 2 \(pid \d+\) exited: it was replaced`)
	has("qmail-policy", 0)
	has("qmail-qmtpd", 0)
	has("qmail-remote", 2)
	h.StopSuite()
}
