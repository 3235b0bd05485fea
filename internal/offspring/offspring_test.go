package offspring

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
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
	c := exec.Command("/bin/sh", "-c", script, t.TempDir()+"/script")
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

// TestKillOfWhatForks: those that start others all the time have an end, too: one
// whose children live for a while, and one that hands over to its child at once,
// in every session. Others have the processors meanwhile.
func TestKillOfWhatForks(t *testing.T) {
	t.Parallel()
	for range 2 * runtime.NumCPU() {
		busy := exec.Command("/bin/sh", "-c", "while :; do :; done")
		if err := busy.Start(); err != nil {
			t.Fatal(err)
		}
		defer busy.Wait()
		defer busy.Process.Kill()
	}
	for _, script := range []string{
		"loop() { while :; do setsid sleep 0.3 & done; }\n(loop &); (loop &)",
		"chain() { ( chain ) & exit; }\n(chain &); (chain &); (chain &)",
		"cat >$0.chain <<'X'\nsetsid sh $0 &\nX\n(sh $0.chain &); (sh $0.chain &)",
	} {
		f, _, wait := family(t, "set -- \"$0\"\n"+script+"\nsleep 0.3; echo 1; exec sleep 1000")
		begun := time.Now()
		f.Kill()
		wait()
		f.Rest(time.Now())
		for f.kin().live() {
			if time.Since(begun) > patience {
				t.Fatalf("%q: %v live", script, f.kin().find())
			}
			time.Sleep(time.Millisecond)
		}
		t.Logf("%q: ended after %v", script, time.Since(begun))
	}
}

// TestOthersStay: a family ends alone, also before its sisters.
func TestOthersStay(t *testing.T) {
	t.Parallel()
	first, _, waitFirst := family(t, "echo 1; exec sleep 1000")
	second, _, waitSecond := family(t, "echo 1; exec sleep 1000")
	first.Kill()
	waitFirst()
	if markOf(second.leader) != second.mark || unix.Kill(second.leader, 0) != nil {
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

const leftBehind = "(setsid sh -c 'echo $$; exec sleep 1000' & )"

// TestRest: who is left behind has time, and then an end. Where nobody is, nobody is
// waited for.
//
// Not parallel, as the next: all tests have the same families at rest.
func TestRest(t *testing.T) {
	f, pid, wait := family(t, leftBehind)
	wait()
	begun := time.Now()
	f.Rest(begun.Add(300 * time.Millisecond))
	if unix.Kill(pid, 0) != nil && time.Since(begun) < 300*time.Millisecond {
		t.Error("it has no time")
	}
	gone(t, pid)
	if took := time.Since(begun); took < 300*time.Millisecond {
		t.Errorf("it ended after %v", took)
	}
	alone, _, wait := family(t, "echo 1")
	wait()
	alone.Rest(time.Now().Add(time.Hour))
	for begun := time.Now(); atRest() > 0; time.Sleep(time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("%d families are at rest", atRest())
		}
	}
}

func atRest() int {
	resting.Lock()
	defer resting.Unlock()
	return len(resting.until)
}

// TestRestHasABound: one more than may have time has none; and with this process
// the time of all is over.
func TestRestHasABound(t *testing.T) {
	var pids []int
	for range maxResting + 1 {
		f, pid, wait := family(t, leftBehind)
		wait()
		f.Rest(time.Now().Add(time.Hour))
		pids = append(pids, pid)
	}
	if n := atRest(); n != maxResting {
		t.Errorf("%d families are at rest", n)
	}
	gone(t, pids[maxResting])
	for _, pid := range pids[:maxResting] {
		if unix.Kill(pid, 0) != nil {
			t.Error("one of those that have time has ended")
		}
	}
	EndRest()
	for _, pid := range pids {
		gone(t, pid)
	}
	if n := atRest(); n > 0 {
		t.Errorf("%d families are at rest", n)
	}
}
