package qmailremote

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/wire/parent"
	"postrider/internal/world"
)

// homeVariable makes the test binary be qmail-remote with that home directory.
const homeVariable = "POSTRIDER_TEST_REMOTE_HOME"

func TestMain(m *testing.M) {
	if dir := os.Getenv(homeVariable); dir != "" {
		w := world.Real()
		w.Home = dir
		os.Exit(Main(w))
	}
	os.Exit(m.Run())
}

// program is a command that is qmail-remote with a route of all mail to p.
func program(t *testing.T, p *peer, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := home(t, map[string]string{"me": "me.example.org\n", "smtproutes": ":" + p.listener.Addr().String() + "\n"})
	cmd := exec.Command(self, args...)
	cmd.Env = []string{homeVariable + "=" + dir, "GOCOVERDIR=" + t.TempDir()}
	return cmd
}

func TestProgramClassic(t *testing.T) {
	t.Parallel()
	n := newTestNet(t)
	cmd := program(t, n.peer("192.0.2.1", success), "d.example", "s@x.example", "r@d.example")
	cmd.Stdin = strings.NewReader(simpleMessage)
	out, err := cmd.Output()
	if want := "r\x00K127.0.0.1 accepted message.\nRemote host said: 250 queued\n\x00"; err != nil || string(out) != want {
		t.Errorf("got %q, %v", out, err)
	}
	n.check()

	cmd = program(t, n.peer("192.0.2.2"))
	if out, err := cmd.Output(); err != nil || string(out) != "DI (qmail-remote) was invoked improperly. (#5.3.5)\n\x00" {
		t.Errorf("got %q, %v", out, err)
	}
}

// TestProgramWorker runs a worker as qmail-start does, and looks at what it
// has open: no file for writing but the log.
func TestProgramWorker(t *testing.T) {
	t.Parallel()
	b := &workbench{host: &host{testNet: newTestNet(t)}}
	waiting, proceed := make(chan struct{}), make(chan struct{})
	b.event = func() { close(waiting); <-proceed }
	cmd := program(t, b.peer("192.0.2.1", sent+"@ event\nS 250 queued"+bye))
	control, theirs := pair(t)
	var log bytes.Buffer
	cmd.Stderr = &log
	cmd.ExtraFiles = []*os.File{theirs} // descriptor 3
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	var err error
	if b.control, err = parent.NewChannel(control); err != nil {
		t.Fatal(err)
	}
	p := b.link()
	b.give(p, simpleMessage, b.job(1, "d.example", "r@d.example"))

	<-waiting
	for _, open := range openForWriting(t, cmd.Process.Pid) {
		if !strings.HasPrefix(open, "2 ") {
			t.Errorf("open for writing: %s", open)
		}
	}
	close(proceed)
	if got := b.results(p, 1); got != "1K127.0.0.1 accepted message./Remote host said: 250 queued/" {
		t.Errorf("got %s", got)
	}
	b.control.Close()
	if err := cmd.Wait(); err != nil || log.Len() > 0 {
		t.Errorf("%v, log %q", err, log.String())
	}
	if _, _, err := p.Receive(make([]byte, 10), 0); err != io.EOF {
		t.Errorf("the link: %v", err)
	}
	b.check()
}

// openForWriting lists the descriptors of a process that are no sockets and no
// event queues and may be written to.
func openForWriting(t *testing.T, pid int) (list []string) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil || strings.HasPrefix(target, "socket:") || strings.HasPrefix(target, "anon_inode:") || target == os.DevNull {
			continue
		}
		if ours, _ := os.Readlink("/proc/self/fd/" + e.Name()); ours == target {
			continue // what the caller of the tests left open for all
		}
		info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, e.Name()))
		if err != nil {
			continue
		}
		var flags int
		_, rest, _ := strings.Cut(string(info), "flags:")
		fmt.Sscanf(rest, "%o", &flags)
		if flags&(os.O_WRONLY|os.O_RDWR) != 0 {
			list = append(list, e.Name()+" "+target)
		}
	}
	return list
}
