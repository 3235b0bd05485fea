package offspring

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const patience = 20 * time.Second

// family starts a shell that says a number: mostly of a process that it has
// started.
func family(t *testing.T, script string) (f Family, said int, wait func()) {
	t.Helper()
	c := exec.Command("/bin/sh", "-c", script)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	f, err = Start(func() (int, error) {
		if err := c.Start(); err != nil {
			return 0, err
		}
		return c.Process.Pid, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if f.mark == 0 {
		t.Fatal("there is no mark: somebody limits RLIMIT_RTTIME of this test")
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if said, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		t.Fatal(err)
	}
	return f, said, func() { _ = c.Wait() } // it was killed
}

// gone waits until a process has ended, be it that nobody waits for it.
func gone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(end) {
			_ = unix.Kill(pid, unix.SIGKILL)
			t.Fatalf("it lives: %s", stat)
		}
	}
}

// TestKill: a family ends with those who have left its group, its session and
// their parents.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, script string }{
		{"in the group", "sleep 1000 & echo $!"},
		{"in a session of its own", "setsid sh -c 'echo $$; exec sleep 1000' &"},
		{"without a parent", "(setsid sh -c 'echo $$; exec sleep 1000' & )"},
		{"that ignores signals", "trap '' TERM HUP INT; setsid sh -c 'echo $$; sleep 1000 & wait' &"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, pid, wait := family(t, c.script+"\nexec sleep 1000")
			f.Kill()
			wait()
			gone(t, pid)
		})
	}
}

// TestKillOfWhatForks: one that starts others all the time has an end, too.
func TestKillOfWhatForks(t *testing.T) {
	t.Parallel()
	f, _, wait := family(t, "loop() { while :; do setsid sleep 0.3 & done; }\n(loop &); (loop &); sleep 0.3; echo 1; exec sleep 1000")
	f.Kill()
	wait()
	names, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && f.has(pid) {
			gone(t, pid)
		}
	}
}

// TestOthersStay: a family ends alone, also before its sisters.
func TestOthersStay(t *testing.T) {
	t.Parallel()
	first, _, waitFirst := family(t, "echo 1; exec sleep 1000")
	second, _, waitSecond := family(t, "echo 1; exec sleep 1000")
	first.Kill()
	waitFirst()
	if !second.has(second.leader) || unix.Kill(second.leader, 0) != nil {
		t.Error("another program's end was its sister's")
	}
	second.Kill()
	waitSecond()
}

// TestStartHasAnEnd: a start that waits for the program is over when its time
// is.
func TestStartHasAnEnd(t *testing.T) {
	t.Parallel()
	c := exec.Command("sleep", "1000")
	begun := time.Now()
	f, err := startWithin(100*time.Millisecond, func() (int, error) {
		if err := c.Run(); err != nil {
			return 0, err
		}
		return c.Process.Pid, nil
	})
	if err == nil || f.leader != 0 || time.Since(begun) > patience {
		t.Errorf("%+v, %v after %v", f, err, time.Since(begun))
	}
}
