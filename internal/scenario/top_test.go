package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/testhost"
)

// console is a terminal of a host, with a shell in it and a screen that can be
// read: tmux is the terminal.
type console struct {
	t *testing.T
	h *testhost.Host
}

const consoleSocket = "/tmp/console.sock"

func openConsole(t *testing.T, h *testhost.Host) console {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("tmux is not installed; .ci/run does that")
	}
	h.WriteFile("/tmp/tmux.conf", "set -g status off\nset -g default-command '/bin/sh'\n", 0o644)
	c := console{t, h}
	c.tmux("new-session", "-d", "-x", "80", "-y", "24")
	t.Cleanup(func() { _, _ = c.try("kill-server") }) // the test may have done that
	return c
}

func (c console) try(args ...string) (testhost.Result, error) {
	argv := append([]string{"tmux", "-u", "-S", consoleSocket, "-f", "/tmp/tmux.conf"}, args...)
	return c.h.Run(testhost.Within(c.t, soon), testhost.Command{Argv: argv, Env: []string{"TERM=xterm", "LC_ALL=C.UTF-8"}})
}

func (c console) tmux(args ...string) string {
	c.t.Helper()
	r, err := c.try(args...)
	if err != nil || r.Code != 0 {
		c.t.Fatalf("tmux %q: %v, %v", args, r, err)
	}
	return r.Stdout
}

// keys presses keys, by the names that tmux has for them.
func (c console) keys(names ...string) {
	c.t.Helper()
	c.tmux(append([]string{"send-keys"}, names...)...)
}

// line types a line.
func (c console) line(text string) {
	c.t.Helper()
	c.tmux("send-keys", "-l", text)
	c.keys("Enter")
}

// await waits until the screen has all that the patterns say, and returns it and
// what the last one found.
func (c console) await(patterns ...string) (screen string, found []string) {
	c.t.Helper()
	for ctx := testhost.Within(c.t, 3*soon); ; {
		screen = c.tmux("capture-pane", "-p")
		missing := ""
		for _, p := range patterns {
			if found = regexp.MustCompile("(?m)" + p).FindStringSubmatch(screen); found == nil {
				missing = p
				break
			}
		}
		if missing == "" {
			return screen, found
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("no %s on the screen\n%s", missing, screen)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// start runs a program between two looks at the terminal's settings: if these are
// the same, "ended" and the exit code follow.
func (c console) start(program string) {
	c.t.Helper()
	c.line("clear; stty -g > /tmp/before; " + program + "; code=$?; stty -g > /tmp/after; cmp /tmp/before /tmp/after && echo ended $code")
}

// copyLog writes the log of a host into a file of it, until the test ends.
func copyLog(t *testing.T, h *testhost.Host, name string) {
	t.Helper()
	h.WriteFile(name, "", 0o644)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- func() error {
			for n := 0; ; {
				if now := h.Log().Len(); now > n {
					f, err := os.OpenFile(h.Path(name), os.O_WRONLY|os.O_APPEND, 0)
					if err != nil {
						return err
					}
					for _, line := range h.Log().Lines(n)[:now-n] {
						_, err = fmt.Fprintln(f, line.Text)
						if err != nil {
							break
						}
					}
					if err := errors.Join(err, f.Close()); err != nil {
						return err
					}
					n = now
				}
				select {
				case <-ctx.Done():
					return nil
				case <-time.After(200 * time.Millisecond):
				}
			}
		}()
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// busyHost is a host that takes mail, delivers it, refuses some, and has a
// destination that is down.
func busyHost(t *testing.T) (h, far *testhost.Host) {
	t.Helper()
	network := testhost.NewNetwork(t)
	h = mailHost(t, network, "mx1.example", "alice", "bob")
	far = network.Host("far.example")
	h.Control("rcpthosts", "mx1.example")
	h.Control("smtproutes", "gone.example:["+far.IP.String()+"]:9")
	h.Control("concurrencysmtp", "300")
	h.Control("concurrencysmtpip", "300")
	h.Control("metricslisten")
	h.StartSuite()
	return h, far
}

const topProgram = "/var/qmail/bin/qmail-top -l /tmp/current"

// localTotal is the line of local deliveries: the last word found is their number.
const localTotal = `^ local +\d+ of \d+ +\S+ +([0-9.]+[kM]?) `

// TestTop watches a host under load on a terminal: what it shows moves and agrees
// with what happens, keys and a new size do what they should, and however it
// ends, the terminal is what it was.
func TestTop(t *testing.T) {
	t.Parallel()
	h, far := busyHost(t)
	c := openConsole(t, h)
	copyLog(t, h, "/tmp/current")
	tr := startTraffic(t, far, h, 20)
	for i := range 3 {
		sendmail(h, "bob", []string{"x@gone.example"}, letter("x", fmt.Sprint("away-", i)))
	}
	if smtp(testhost.Within(t, soon), far, h, "joe@far.example", []string{"x@else.example"}, letter("x", "relay")) == nil {
		t.Error("mail for others is taken")
	}

	c.start(topProgram)
	screen, first := c.await(`^ mx1.example +up .* process`, `^ ! `, ` smtp \[`, ` rcpthosts$`, `^ \S+ +down +\d+ +\d/1 `, `^─ 6 log: all lines`,
		`success alice@mx1.example: did`, ` q quit `, `deferred +\d+`, `half within: local`, localTotal)
	t.Logf("under load:\n%s", screen)
	for {
		_, now := c.await(localTotal)
		if now[1] != first[1] {
			break
		}
	}
	pressAll(t, c, far.IP.String())
	moveLog(t, c)
	resizeAll(c)
	holdStill(t, c)
	c.keys("q")
	c.await(`^ended 0$`)
	tr.end()

	// As text.
	out := h.Must("/var/qmail/bin/qmail-top", "--once", "-l", "/tmp/current")
	for _, p := range []string{`^- 1 queue -+ - 2 sessions`, localTotal, `^ \S+ +down +\d+`} {
		if !regexp.MustCompile("(?m)" + p).MatchString(out) {
			t.Errorf("no %s in\n%s", p, out)
		}
	}
}

// wholeScreen is what a screen with all blocks has.
const wholeScreen = `^─ 1 queue ─+ ─ 2 sessions`

// pressAll presses a key for each block, and looks at what it has alone.
func pressAll(t *testing.T, c console, far string) {
	t.Helper()
	for key, patterns := range map[string][]string{
		"1": {`^─ 1 queue`, `^ in, a column a second, up to [0-9.]+/s`}, "2": {`^─ 2 sessions`, ` rcpthosts$`}, "3": {`^─ 3 channels`, `^ local  up to`},
		"4": {`^─ 4 processes`, `^ qmail-metrics +up`}, "5": {`^─ 5 destinations`, `\[?` + far + `.* down `}, "?": {`^─ keys`},
	} {
		c.keys(key)
		c.await(patterns...)
		c.keys("0")
		c.await(wholeScreen)
	}
	c.keys("f", "6")
	screen, _ := c.await(`^─ 6 log: failures, deferrals and warnings`, `deferral x@gone.example`)
	if strings.Contains(screen, "success alice") {
		t.Errorf("a success is a failure\n%s", screen)
	}
}

// moveLog has another log take the place of the one that is shown.
func moveLog(t *testing.T, c console) {
	t.Helper()
	c.h.Must("mv", "/tmp/current", "/tmp/current.old")
	c.h.WriteFile("/tmp/current", "qmail-policy: warning: \x1b[31mevil\x1b]0;title\x07\n", 0o644)
	c.await(`qmail-policy: warning: _\[31mevil_\]0;title_`)
	c.keys("Escape")
	c.await(wholeScreen)
}

// resizeAll gives the terminal other sizes.
func resizeAll(c console) {
	c.t.Helper()
	c.tmux("resize-window", "-x", "130", "-y", "45")
	c.await(`─ 2 sessions ─+ ─ 4 processes ─+$`, `^ local .*\[\|* *\]$`)
	c.tmux("resize-window", "-x", "40", "-y", "10")
	c.await(`^ queue \S+ oldest`, `^ remote \d+/\d+ ok `, `^ q quit 1-6 block`)
	c.tmux("resize-window", "-x", "80", "-y", "24")
	c.await(wholeScreen)
}

// holdStill pauses the screen while mail is delivered, and goes on.
func holdStill(t *testing.T, c console) {
	t.Helper()
	c.keys("p")
	before, _ := c.await(`PAUSED`)
	delivered := count(c.h, 0, ": success: ")
	for ctx := testhost.Within(t, soon); count(c.h, 0, ": success: ") < delivered+20; {
		select {
		case <-ctx.Done():
			t.Fatal("nothing is delivered any more")
		case <-time.After(100 * time.Millisecond):
		}
	}
	if after := c.tmux("capture-pane", "-p"); after != before {
		t.Errorf("paused, the screen goes on from\n%sto\n%s", before, after)
	}
	c.keys("p")
	c.await(`^ mx1.example +up \d.*[^D]  \d{4}-`)
}

// TestTopOnTerminals of several kinds, which signals end.
func TestTopOnTerminals(t *testing.T) {
	t.Parallel()
	h, _ := busyHost(t)
	h.WriteFile("/tmp/current", "", 0o644)
	c := openConsole(t, h)
	overview := []string{`^─ 1 queue ─+ ─ 2 sessions ─+$`, `^ remote +0 of 20 `, `^ q quit +1-6 one block `}
	for _, term := range []string{"xterm", "xterm-256color", "screen", "tmux", "tmux-256color", "linux", "vt100", "vt220", "unheard-of"} {
		c.start("TERM=" + term + " " + topProgram)
		c.await(overview...)
		c.keys("q")
		c.await(`^ended 0$`)
	}
	// Without Unicode lines are those of the terminal, or plain.
	c.start("TERM=vt100 LC_ALL=C " + topProgram)
	c.await(`^.. ?1 queue .*2 sessions `, overview[1])
	c.keys("C-c")
	c.await(`^ended 0$`)

	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP} {
		c.start(topProgram)
		c.await(overview...)
		h.Kill("qmail-top", sig)
		c.await(`^ended 0$`)
	}
	// Figures that do not come are told.
	h.Kill("qmail-metrics", syscall.SIGSTOP)
	c.start(topProgram)
	c.await(`^ ! unable to read figures`, `^ 0 messages `) // which qmail-send has listed
	h.Kill("qmail-metrics", syscall.SIGCONT)
	c.await(overview[1])

	// The terminal is closed.
	c.tmux("kill-server")
	for ctx := testhost.Within(t, soon); len(h.Find("qmail-top")) > 0; {
		select {
		case <-ctx.Done():
			t.Fatal("it goes on without a terminal")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// TestTopOnTerminalThatTakesNothing, as behind a connection that has died without
// a word: who ends qmail-top does not wait for the terminal.
func TestTopOnTerminalThatTakesNothing(t *testing.T) {
	t.Parallel()
	h, _ := busyHost(t)
	master, slave := openTerminal(t)
	p, err := h.Start(testhost.Command{Argv: []string{"setsid", "--ctty", "--wait", "/var/qmail/bin/qmail-top"}, Env: []string{"TERM=xterm"},
		Files: []*os.File{slave, slave, slave}})
	if err != nil {
		t.Fatal(err)
	}
	// Nobody reads, and each of these keys has all drawn anew.
	for ctx := testhost.Within(t, soon); writable(t, slave); {
		if _, err := master.WriteString("\x0c"); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
			t.Fatal("the terminal takes all")
		case <-time.After(20 * time.Millisecond):
		}
	}
	if h.Kill("qmail-top", syscall.SIGTERM) != 1 {
		t.Fatal("it does not run")
	}
	if r, err := p.Wait(testhost.Within(t, soon)); err != nil || r.Code != 111 {
		t.Errorf("%v, %v", r, err)
	}
}

// openTerminal returns both sides of a terminal of 200 columns and 60 lines.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	open := func(name string) *os.File {
		f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	master = open("/dev/ptmx")
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 60, Col: 200})
	}
	if err != nil {
		t.Fatal(err)
	}
	return master, open(fmt.Sprint("/dev/pts/", number))
}

// writable reports whether a terminal takes more.
func writable(t *testing.T, f *os.File) bool {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLOUT}}
	if _, err := unix.Poll(fds, 0); err != nil && err != unix.EINTR {
		t.Fatal(err)
	}
	return fds[0].Revents&unix.POLLOUT != 0
}
