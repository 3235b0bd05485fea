package lspawn

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Stopped children of another process stay as they are, ours would be those
// that the other tests have stopped: so the parent here is a shell.
func TestKillStopped(t *testing.T) {
	t.Parallel()
	shell := exec.Command("/bin/sh", "-c", "sleep 1000 & kill -STOP $!; echo $!; wait $!; echo $?")
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	defer shell.Wait()
	buf := make([]byte, 100)
	n, err := out.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	child := strings.TrimSpace(string(buf[:n]))
	for p, _ := processAt(child); p.state != "T"; p, _ = processAt(child) {
		time.Sleep(time.Millisecond) // no event tells that a stranger's child has stopped
	}
	killStopped(shell.Process.Pid + 1<<22) // nobody's parent
	if p, found := processAt(child); !found || p.state != "T" || p.parent != shell.Process.Pid {
		t.Errorf("somebody else's child: %+v", p)
	}
	killStopped(shell.Process.Pid)
	if n, err = out.Read(buf); err != nil || string(buf[:n]) != strconv.Itoa(128+9)+"\n" {
		t.Errorf("got %q, %v", buf[:n], err)
	}
}
