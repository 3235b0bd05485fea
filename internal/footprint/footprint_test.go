package footprint

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A daemon gets calm timers, anybody else's program those of Linux, and the
// thread that starts them keeps its own.
func TestTimerSlack(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own := slack(t)
	for _, c := range []struct {
		name  string
		start func(string, []string, *os.ProcAttr) (*os.Process, error)
		want  int64
	}{
		{"daemon", StartDaemon, calmSlack.Nanoseconds()},
		{"program", StartProgram, usualSlack.Nanoseconds()},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.start("/bin/cat", []string{"cat"}, &os.ProcAttr{Files: []*os.File{r, nil, nil}})
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/timerslack_ns", p.Pid))
		w.Close()
		if _, waitErr := p.Wait(); waitErr != nil {
			t.Error(waitErr)
		}
		if got := strings.TrimSpace(string(text)); err != nil || got != fmt.Sprint(c.want) {
			t.Errorf("%s: slack %s ns, %v, want %d", c.name, got, err, c.want)
		}
		if now := slack(t); now != own {
			t.Errorf("%s: our own slack is %d ns, was %d", c.name, now, own)
		}
	}
}

func slack(t *testing.T) int {
	t.Helper()
	ns, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

// Not parallel: it is the whole process's.
func TestProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	OneProcessor()
	if n := runtime.GOMAXPROCS(0); n != 1 {
		t.Errorf("%d processors, want 1", n)
	}
	HalfTheProcessors()
	if n := runtime.GOMAXPROCS(0); n != max(1, runtime.NumCPU()/2) {
		t.Errorf("%d of %d processors", n, runtime.NumCPU())
	}
}
