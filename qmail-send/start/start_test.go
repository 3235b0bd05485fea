package start

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/clock"
	"postrider/internal/logline"
	"postrider/internal/priv"
	"postrider/internal/queuelock"
	"postrider/internal/world"
)

// server is a running qmail-start whose daemons the test binary plays.
type server struct {
	t       *testing.T
	home    string
	lines   chan string
	seen    []string
	signals chan os.Signal
	ended   chan int
}

// newHome makes a home directory with the programs in it.
func newHome(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	for _, dir := range []string{"bin", "control", "queue/lock"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"printer"}
	for _, role := range priv.Roles() {
		names = append(names, role.Program)
	}
	for _, name := range names {
		if err := os.Symlink(self, filepath.Join(home, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

// run starts qmail-start with the given arguments as the user who tests.
func run(t *testing.T, home string, args ...string) *server {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, home: home, lines: make(chan string, 1000), signals: make(chan os.Signal, 4), ended: make(chan int, 1)}
	outside := world.World{
		Args:    append([]string{"qmail-start"}, args...),
		Environ: []string{"PATH=/nowhere:" + home + "/bin", "GODEBUG=x", "LD_PRELOAD=y"},
		Stdout:  w, Stderr: w, Home: home, Clock: clock.Real(),
	}
	set, err := readSettings(outside)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		log := logline.NewWriter(w)
		status, err := serve(outside, set, nil, log, s.signals)
		if err != nil {
			log.Line("serve: " + err.Error())
		}
		log.Close()
		w.Close()
		s.ended <- status
	}()
	go func() {
		for in := bufio.NewScanner(r); in.Scan(); {
			s.lines <- in.Text()
		}
		close(s.lines)
		r.Close()
	}()
	t.Cleanup(func() {
		s.signals <- syscall.SIGTERM
		for range s.lines {
		}
	})
	return s
}

// await reads the log until all of the lines were there, each given as a
// regular expression of a whole line.
func (s *server) await(want ...string) {
	s.t.Helper()
	deadline := time.After(time.Minute)
	for len(want) > 0 {
		select {
		case line, open := <-s.lines:
			if !open {
				s.t.Fatalf("the log ended without %q; it was\n%s", want, strings.Join(s.seen, "\n"))
			}
			s.seen = append(s.seen, line)
			for i, w := range want {
				if regexp.MustCompile("^" + w + "$").MatchString(line) {
					want = slices.Delete(want, i, i+1)
					break
				}
			}
		case <-deadline:
			s.t.Fatalf("no line %q; the log is\n%s", want, strings.Join(s.seen, "\n"))
		}
	}
}

// pid returns the pid of the last start of a member.
func (s *server) pid(name string) int {
	s.t.Helper()
	pattern := regexp.MustCompile("^qmail-start: " + name + ` started \(pid (\d+)\)$`)
	for _, line := range slices.Backward(s.seen) {
		if m := pattern.FindStringSubmatch(line); m != nil {
			pid, _ := strconv.Atoi(m[1])
			return pid
		}
	}
	s.t.Fatalf("%s was not started", name)
	return 0
}

// stop asks for the end and returns the exit status.
func (s *server) stop() int {
	s.t.Helper()
	s.signals <- syscall.SIGTERM
	s.await("qmail-start: stopped")
	select {
	case status := <-s.ended:
		return status
	case <-time.After(time.Minute):
		s.t.Fatal("does not end")
		return 0
	}
}

func (s *server) write(name, text string) {
	s.t.Helper()
	writeControl(s.t, s.home, name, text)
}

func writeControl(t *testing.T, home, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(home, "control", name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestEveryDaemonGetsWhatItsRowSays(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	port := freePort(t)
	writeControl(t, home, "smtplisten", "127.0.0.1:"+port+"\n")
	writeControl(t, home, "tcp.smtp", ":allow,QMAILQUEUE=\"/bin/scan\"\n")
	s := run(t, home, "./Maildir/")
	want := []string{
		// Links, as both ends see them.
		"qmail-spool: link entries to qmail-send", "qmail-send: link entries to qmail-spool",
		"qmail-spool: link submit.send to qmail-send", "qmail-send: link submit to qmail-spool",
		"qmail-spool: link submit.smtpd to qmail-smtpd", "qmail-smtpd: link submit to qmail-spool",
		"qmail-lookup: link lookup.smtpd to qmail-smtpd", "qmail-smtpd: link lookup to qmail-lookup",
		"qmail-send: link spawn.local to qmail-lspawn", "qmail-lspawn: link spawn to qmail-send",
		"qmail-send: link spawn.remote.0 to qmail-remote", "qmail-remote: link spawn to qmail-send",
		"qmail-send: link spawn.remote.1 to qmail-remote", "qmail-remote: link spawn to qmail-send",
		"qmail-smtpd: link filter to qmail-filter", "qmail-filter: link filter.smtpd to qmail-smtpd",
		"qmail-spool: listener public", "qmail-send: listener manage", "qmail-smtpd: listener listen.smtp",
		`qmail-send: frame N "2"`,
		`qmail-lspawn: frame I "./Maildir/"`, `qmail-lookup: frame I "./Maildir/"`,
		`qmail-lspawn: frame E "PATH=.*GODEBUG=x.x00LD_PRELOAD=y.x00"`,
		`qmail-filter: frame E "PATH=.*GODEBUG=x.x00LD_PRELOAD=y.x00"`,
	}
	for _, name := range []string{"qmail-spool", "qmail-send", "qmail-lspawn", "qmail-remote", "qmail-remote", "qmail-lookup", "qmail-smtpd", "qmail-filter"} {
		want = append(want, name+`: descriptors \[0 1 2 3\]`, name+`: environment \[\]`, name+": leads its session: true",
			name+": descriptor 0 is /dev/null", name+": descriptor 1 is /dev/null", name+`: frame G ""`)
	}
	s.await(want...)
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Errorf("the SMTP port: %v", err)
	} else {
		c.Close()
	}
	if info, err := os.Stat(home + "/queue/submit.sock"); err != nil || info.Mode() != os.ModeSocket|0o666 {
		t.Errorf("the public socket: %v, %v", info, err)
	}
	if info, err := os.Stat(home + "/queue/manage.sock"); err != nil || info.Mode() != os.ModeSocket|0o666 {
		t.Errorf("the socket of qmail-send: %v, %v", info, err)
	}
	if got := s.stop(); got != 0 {
		t.Errorf("exit status %d", got)
	}
	s.checkStopOrder()
}

// checkStopOrder looks at the order in which the ends were logged.
func (s *server) checkStopOrder() {
	s.t.Helper()
	var order []string
	for _, line := range s.seen {
		if m := regexp.MustCompile(`^qmail-start: (qmail-\w+).* exited$`).FindStringSubmatch(line); m != nil {
			order = append(order, m[1])
		}
	}
	if len(order) > 3 {
		slices.Sort(order[1:3]) // whom qmail-smtpd asks end at the same time
	}
	want := []string{"qmail-smtpd", "qmail-filter", "qmail-lookup", "qmail-send", "qmail-lspawn", "qmail-remote", "qmail-remote", "qmail-spool"}
	if !slices.Equal(order, want) {
		s.t.Errorf("stopped in the order %v, want %v", order, want)
	}
}

func TestRestartedDaemonGetsFreshLinks(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	writeControl(t, home, "smtplisten", "")
	writeControl(t, home, "remoteworkers", "1\n")
	s := run(t, home)
	s.await(`qmail-send: frame G ""`, `qmail-lspawn: frame G ""`, `qmail-remote: frame G ""`,
		"qmail-spool: link entries to qmail-send", "qmail-send: link entries to qmail-spool")
	if err := syscall.Kill(s.pid("qmail-spool"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.await(`qmail-start: warning: qmail-spool \(pid \d+\) was killed by signal 9 \(killed\) after .*; it is started again now`,
		"qmail-send: link entries: EOF", "qmail-send: link submit: EOF",
		`qmail-start: qmail-spool started \(pid \d+\)`,
		"qmail-spool: listener public", "qmail-spool: link entries to qmail-send", "qmail-spool: link submit.send to qmail-send",
		"qmail-send: link entries to qmail-spool", "qmail-send: link submit to qmail-spool", `qmail-spool: frame G ""`)
	if err := syscall.Kill(s.pid("qmail-remote 0"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.await("qmail-send: link spawn.remote.0: EOF", "qmail-send: link spawn.remote.0 to qmail-remote", "qmail-remote: link spawn to qmail-send")
	for _, line := range s.seen {
		if strings.Contains(line, "smtpd") {
			t.Errorf("qmail-smtpd runs with nothing to listen on: %s", line)
		}
	}
	if got := s.stop(); got != 0 {
		t.Errorf("exit status %d", got)
	}
}

func TestLoggerGetsAllLogs(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	writeControl(t, home, "smtplisten", "")
	s := run(t, home, "./Mailbox", "printer", "argument")
	s.await(`logger: descriptors \[0 1 2\]`, `logged: qmail-send: frame G ""`, `logged: qmail-spool: frame G ""`,
		`logged: qmail-start: qmail-lspawn started .*`)
	s.signals <- syscall.SIGINT
	s.await("logger: end", "qmail-start: stopped")
}

func TestSecondServerDoesNotStart(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	writeControl(t, home, "smtplisten", "")
	lock, err := openLock(home, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := queuelock.Try(lock); err != nil {
		t.Fatal(err)
	}
	s := run(t, home)
	s.await("qmail-start: warning: qmail-start is already running on this queue; trying again for 30s")
	lock.Close() // the predecessor ends
	s.await("qmail-start: qmail-spool started .*")
	second, err := openLock(home, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := queuelock.Try(second); err != queuelock.ErrLocked {
		t.Errorf("a second lock: %v", err)
	}
}

func TestBusyPortIsTriedAgain(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	writeControl(t, home, "smtplisten", l.Addr().String()+"\n")
	s := run(t, home)
	s.await("qmail-start: warning: unable to listen on .*: another program has the port; trying again for 30s", `qmail-smtpd: frame G ""`)
	l.Close()
	s.await("qmail-start: listening on "+regexp.QuoteMeta(l.Addr().String()), "qmail-smtpd: listener listen.smtp")
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
