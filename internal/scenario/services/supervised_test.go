package services

import (
	"os"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

// supervisor is a program that starts a directory of services, and how it is
// told what to do with ours.
type supervisor struct {
	name    string // of the Debian package, and of the directory of contrib
	scan    string // in the directory of services
	status  string
	up      *regexp.Regexp // what status says of a service that runs, with its pid
	down    *regexp.Regexp
	hup     string
	upgrade string
	restart string
	stop    string
	start   string
	alarm   string // has the logger begin a new file
	exit    string // the service and its logger end for good
}

const (
	services = "/var/service"
	service  = services + "/postrider"
)

var supervisors = []supervisor{
	{
		name: "runit", scan: "runsvdir .", status: "sv status ./postrider",
		up: regexp.MustCompile(`^run: \./postrider: \(pid (\d+)\)`), down: regexp.MustCompile(`^down: `),
		hup: "sv hup ./postrider", upgrade: "sv 2 ./postrider", restart: "sv -w 60 term ./postrider",
		stop: "sv -w 60 stop ./postrider", start: "sv -w 60 start ./postrider",
		alarm: "sv alarm ./postrider/log", exit: "sv exit ./postrider ./postrider/log",
	},
	{
		name: "daemontools", scan: "svscan .", status: "svstat postrider",
		up: regexp.MustCompile(`^postrider: up \(pid (\d+)\)`), down: regexp.MustCompile(`^postrider: down `),
		hup: "svc -h postrider", upgrade: `kill -USR2 $(svstat postrider | sed 's/.*(pid \([0-9]*\)).*/\1/')`, restart: "svc -t postrider",
		stop: "svc -d postrider", start: "svc -u postrider",
		alarm: "svc -a postrider/log", exit: "svc -dx postrider; svc -x postrider/log",
	},
	{
		name: "s6", scan: "s6-svscan .", status: "s6-svstat postrider",
		up: regexp.MustCompile(`^up \(pid (\d+)`), down: regexp.MustCompile(`^down \(`),
		hup: "s6-svc -h postrider", upgrade: "s6-svc -2 postrider", restart: "s6-svc -r postrider",
		stop: "s6-svc -d postrider", start: "s6-svc -u postrider",
		alarm: "s6-svc -a postrider/log", exit: "s6-svc -xd postrider; s6-svc -x postrider/log",
	},
}

// TestSupervisors has the services of contrib run under the real programs, while
// mail comes: reloaded, upgraded, restarted, killed, stopped and started, with a
// new file of the log in between. Nothing is lost, and each line is in the log.
func TestSupervisors(t *testing.T) {
	t.Parallel()
	for _, s := range supervisors {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.test(t)
		})
	}
}

func (s supervisor) test(t *testing.T) {
	h := serviceHost(t, s.name)
	contrib(t, h, s.name, service)
	// Directories that are there can be watched from now on.
	shell(t, h, "mkdir -p "+supervised+" "+logDir)
	scan := daemon(t, h, services, s.scan)
	await(t, h, supervised, "the service is supervised", func() bool { return exists(h, supervised+"/status") })
	await(t, h, logDir, "there is a log", func() bool { return exists(h, logDir+"/current") })
	first := s.running(t, h, 0, 0)
	mail := begin(t, h)

	// What cannot be read says that it was.
	h.Control("destinations", "nonsense")
	s.tell(t, h, s.hup)
	s.logs(t, h, 0, "alert: unable to reread control/destinations")
	shell(t, h, "rm /var/qmail/control/destinations")

	n := len(logLines(t, h))
	s.tell(t, h, s.upgrade)
	s.logs(t, h, n, "upgraded: all processes run the programs that are installed")
	if pid := s.pid(t, h, s.up); pid != first {
		t.Errorf("the process was %d and is %d", first, pid)
	}

	n = len(logLines(t, h))
	s.tell(t, h, s.restart)
	second := s.running(t, h, n, first)

	files := len(logFiles(t, h))
	s.tell(t, h, s.alarm)
	await(t, h, logDir, "a new file of the log", func() bool { return len(logFiles(t, h)) > files })

	n = len(logLines(t, h))
	mail.book.Fault("kill", "qmail-start")
	shell(t, h, "kill -KILL "+strconv.Itoa(second))
	s.running(t, h, n, second)

	s.tell(t, h, s.stop)
	s.stopped(t, h)
	// Those whose parent was killed have 10 s to finish.
	shell(t, h, "n=0; while ps -eo comm= | grep ^qmail- && [ $n -lt 600 ]; do n=$((n + 1)); sleep 0.1; done >/dev/null")
	if left := ours(h); len(left) > 0 {
		t.Errorf("after the stop %v run", left)
	}
	n = len(logLines(t, h))
	s.tell(t, h, s.start)
	s.running(t, h, n, 0)
	probe(t, h)

	mail.end(t, func() []ledger.LogLine {
		s.tell(t, h, s.stop)
		s.stopped(t, h)
		s.logs(t, h, n, "qmail-start: stopped")
		return logLines(t, h)
	})
	if n := len(logFiles(t, h)); n < 2 {
		t.Errorf("the log has %d files", n)
	}
	s.tell(t, h, s.exit)
	if err := scan.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}

// tell gives a command to the supervisor.
func (s supervisor) tell(t *testing.T, h *testhost.Host, command string) string {
	t.Helper()
	return shell(t, h, "cd "+services+"; "+command)
}

// supervised is where a supervisor writes down how the service is.
const supervised = service + "/supervise"

// pid reads the process number from the status, if that is as wanted.
func (s supervisor) pid(t *testing.T, h *testhost.Host, wanted *regexp.Regexp) int {
	t.Helper()
	m := wanted.FindStringSubmatch(s.tell(t, h, s.status+" || true"))
	if m == nil {
		return 0
	}
	if len(m) == 1 {
		return -1
	}
	pid, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// running waits until the service runs as another process than before, and has
// said so behind the first n lines of the log; it returns the process.
func (s supervisor) running(t *testing.T, h *testhost.Host, n, before int) (pid int) {
	t.Helper()
	await(t, h, supervised, "the service is up", func() bool {
		pid = s.pid(t, h, s.up)
		return pid != 0 && pid != before
	})
	s.logs(t, h, n, "qmail-start: listening on ")
	s.logs(t, h, n, "status: local 0/")
	exe, err := os.Readlink(h.Path("/proc/" + strconv.Itoa(pid) + "/exe"))
	if err != nil || exe != "/var/qmail/bin/qmail-start" {
		t.Errorf("process %d runs %q, %v", pid, exe, err)
	}
	return pid
}

func (s supervisor) stopped(t *testing.T, h *testhost.Host) {
	t.Helper()
	await(t, h, supervised, "the service is down", func() bool { return s.pid(t, h, s.down) != 0 })
}

func (s supervisor) logs(t *testing.T, h *testhost.Host, n int, text string) {
	t.Helper()
	await(t, h, logDir, "the log has "+text, func() bool { return logHas(t, h, n, text) })
}
