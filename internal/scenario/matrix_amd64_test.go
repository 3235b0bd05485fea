package scenario

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/priv"
	"postrider/internal/testhost"
	"postrider/internal/testhost/inject"
)

// counted are the operations that a matrix tried.
type counted struct{ processes, threads, refused, allowed atomic.Int64 }

func (c *counted) String() string {
	return fmt.Sprintf("%d processes, %d threads, %d operations refused, %d allowed",
		c.processes.Load(), c.threads.Load(), c.refused.Load(), c.allowed.Load())
}

// reporter is what a matrix tells its findings to: a test, or one who expects
// them.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// TestNoProcessCanDoMoreThanItsJob takes over every thread of every process
// of the table and tries all that none, or only some, shall be able to do. What
// is allowed must work: else a wrong path would look like a refusal.
func TestNoProcessCanDoMoreThanItsJob(t *testing.T) {
	t.Parallel()
	h, message := hostWithADelivery(t, nil)
	var c counted
	tried := make(map[string]int)
	for _, p := range h.Daemons() {
		if _, found := priv.RoleOf(p.Name); !found {
			continue // a program of alice's
		}
		victim := spool
		if p.Name == spool {
			victim = send
		}
		tried[p.Name] += tryAll(t, h, p, inside{message: message, victim: h.Find(victim)[0].PID}, &c)
	}
	other, message := hostWithADelivery(t, checkPassword)
	tried[checkpass] = tryAll(t, other, other.Find(checkpass)[0], inside{message: message, victim: other.Find(spool)[0].PID}, &c)
	other.CrashSuite()
	other.StartSuiteUnder([]string{"env", "QMAILREMOTE=qmail-remote"})
	other.WaitForLog(0, `^qmail-rspawn: mail to other hosts is given to `)
	tried[rspawn] = tryAll(t, other, other.Find(rspawn)[0], inside{message: message, victim: other.Find(spool)[0].PID}, &c)
	other.CrashSuite()
	t.Logf("%d different operations: %v", len(operations()), &c)
	for _, role := range priv.Roles() {
		if tried[role.Program] < 40 {
			t.Errorf("%s: only %d operations were tried", role.Program, tried[role.Program])
		}
	}
	// Nothing was broken by it.
	h.Must("sh", "-c", "echo > /home/alice/pipe")
	waitEmpty(t, h)
	h.StopSuite()
}

// findings collects what a matrix finds.
type findings struct {
	*testing.T
	found map[string]bool
}

func (f findings) Errorf(format string, args ...any) { f.found[fmt.Sprintf(format, args...)] = true }

// TestTheMatrixSeesWhatIsMissing switches the sandbox off and expects the
// matrix to find what Landlock and the filters would have refused, in each of
// the confined programs, and nothing that users and capabilities refuse.
func TestTheMatrixSeesWhatIsMissing(t *testing.T) {
	t.Parallel()
	h, message := hostWithADelivery(t, func(h *testhost.Host) { h.Control("sandbox", "off") })
	h.WaitForLog(0, `^qmail-start: warning: control/sandbox is off`)
	for _, program := range confinedPrograms {
		f := findings{t, make(map[string]bool)}
		victim := h.Find(start)[0].PID
		tryAll(f, h, h.Find(program)[0], inside{message: message, victim: victim, unconfined: true}, &counted{})
		for _, name := range []string{"read users/assign", "create in /tmp", "use MPTCP", "listen", "fork", "make code by mmap",
			"make an io_uring", "fork into a user namespace", "limit itself", "make a Unix socket"} {
			if program == auth && name == "read users/assign" {
				name = "read control/me" // the other one is beside its own file
			}
			if (program == lookup || program == vlookup) && name == "read users/assign" {
				continue // it can in any case
			}
			if !f.found[fmt.Sprintf("%s, thread 0: can %s (errno 0)", program, name)] {
				t.Errorf("%s without a sandbox: not found that it can %s", program, name)
			}
		}
		for finding := range f.found {
			for _, name := range []string{"become root", "mount", "trace another", "read another user's file"} {
				if strings.HasSuffix(finding, "can "+name+" (errno 0)") {
					t.Error(finding)
				}
			}
		}
		t.Logf("%s: %d findings", program, len(f.found))
	}
	h.CrashSuite() // its processes are not what they were
}

// withoutARule are programs whose filter lacks one rule, or a part of one, and what
// they then can do.
var withoutARule = []struct{ program, right, wrong, can string }{
	{tlsseen, "mayNot(unix.SYS_MMAP, 2, unix.PROT_EXEC),", "{Call: unix.SYS_MMAP},", "make code by mmap"},
	{mtasts, "{Arg: 2, Values: []uint32{0, unix.IPPROTO_TCP, unix.IPPROTO_UDP}},", "", "use MPTCP"},
	{tlsseen, "{Arg: 2, Values: []uint32{0}}, {Arg: 2, Upper: true, Values: []uint32{0}},", "", "limit itself"},
}

// TestTheMatrixSeesAMissingRule: one is enough to be found, and nothing else is.
func TestTheMatrixSeesAMissingRule(t *testing.T) {
	t.Parallel()
	for _, c := range withoutARule[:testhost.Times(t, "programs whose filter lacks a rule", 1, len(withoutARule))] {
		t.Run(c.can, func(t *testing.T) {
			t.Parallel()
			h, message := hostWithADelivery(t, func(h *testhost.Host) {
				h.InstallMutant("../..", testhost.Mutant{Program: c.program, File: "internal/priv/calls_linux.go", Old: c.right, New: c.wrong})
			})
			f := findings{t, make(map[string]bool)}
			tryAll(f, h, h.Find(c.program)[0], inside{message: message, victim: h.Find(spool)[0].PID}, &counted{})
			if !f.found[fmt.Sprintf("%s, thread 0: can %s (errno 0)", c.program, c.can)] {
				t.Errorf("not found that %s can %s", c.program, c.can)
			}
			for finding := range f.found {
				if !strings.HasSuffix(finding, "can "+c.can+" (errno 0)") {
					t.Error(finding)
				}
			}
			h.CrashSuite() // its processes are not what they were
		})
	}
}

// hostWithADelivery is a host whose suite runs, with a program of alice's that
// waits, and returns the message that it delivers. configure is for what
// comes before the start.
func hostWithADelivery(t *testing.T, configure func(*testhost.Host)) (h *testhost.Host, message string) {
	t.Helper()
	h = mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "bob")
	h.WriteFile("/var/qmail/users/assign", ".\n", 0o644)
	h.WriteFile("/var/qmail/control/probe.key", "secret\n", 0o600)
	for _, user := range []string{"alice", "bob"} {
		h.WriteFile("/home/"+user+"/secret", "secret\n", 0o600)
		h.Chown("/home/"+user+"/secret", user)
	}
	private, err := net.Listen("unix", h.Path("/run/probe.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { private.Close() })
	if err := os.Chmod(h.Path("/run/probe.sock"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.GiveKey()
	h.GivePassword("scram", "joe", "secret")
	h.Control("spfbehavior", "1")
	h.Control("mtasts", "1")
	h.Control("tlsremember", "1")
	h.Control("tlsrpt", "postmaster@mx1.example")
	serveQMTP(h)
	h.Control("concurrencyfilter", "20") // so that qmail-filter runs
	h.Control("nssprobe", "root")        // and qmail-nss
	h.Control("vpopmailuser", "qmailp")  // and qmail-vlookup
	h.Control("metricslisten", ":9925")  // and qmail-metrics
	if configure != nil {
		configure(h)
	}
	h.StartSuite()
	own(h, "alice", ".qmail", "|cat; echo $$ > $HOME/running; read forever < $HOME/pipe\n")
	h.Must("mkfifo", "-m", "666", "/home/alice/pipe")
	if err := smtp(testhost.Within(t, soon), h, h, "x@else.example", []string{"alice@mx1.example"}, letter("alice", "m")); err != nil {
		t.Fatalf("%v\n%s", err, h.Log().Timed(0))
	}
	if _, err := h.WaitForFiles(testhost.Within(t, soon), "/home/alice", func(names []string) bool { return slices.Contains(names, "running") }); err != nil {
		t.Fatalf("no delivery runs: %v\n%s", err, h.Log().Timed(0))
	}
	id := h.Queue()[0]
	return h, queue + "/new/" + id[len(id)-2:] + "/" + id
}

// tryAll tries all operations in all threads of a process and returns how many
// there are for it.
func tryAll(t reporter, h *testhost.Host, p testhost.ProcessInfo, in inside, c *counted) int {
	t.Helper()
	runtime.LockOSThread() // the tracer is this thread
	defer runtime.UnlockOSThread()
	var err error
	if in.Process, err = inject.Attach(h.OuterPID(p.PID)); err != nil {
		t.Fatalf("%s: %v", p.Name, err)
	}
	defer func() {
		if err := in.Detach(); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}()
	c.processes.Add(1)
	n := 0
	for i, tid := range in.Threads() {
		in.tid = tid
		c.threads.Add(1)
		for _, o := range operations() {
			if !o.concerns(p.Name) || o.final && in.unconfined {
				continue
			}
			if i == 0 {
				n++
			}
			in.Reset()
			judge(t, p.Name, i, o, o.try(&in), c)
		}
	}
	return n
}

// judge compares how an operation ended with what the table says.
func judge(t reporter, program string, thread int, o operation, errno unix.Errno, c *counted) {
	t.Helper()
	refused := errno == unix.EPERM || errno == unix.EACCES || errno == unix.ENOSYS
	switch allowed := slices.Contains(o.allowed, program); {
	case allowed && errno != 0:
		t.Errorf("%s, thread %d: cannot %s: %v", program, thread, o.name, errno)
	case allowed:
		c.allowed.Add(1)
	case !refused:
		t.Errorf("%s, thread %d: can %s (%v)", program, thread, o.name, errno)
	default:
		c.refused.Add(1)
	}
}
