package account

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestHierarchy(t *testing.T) {
	t.Parallel()
	const (
		one = "cgroup /sys/fs/cgroup/cpuacct cgroup rw,relatime,cpuacct 0 0\n"
		two = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
	)
	for _, c := range []struct {
		name, mounts, dir string
		unified           bool
	}{
		{"version 1", one, "/sys/fs/cgroup/cpuacct", false},
		{"version 2", two, "/sys/fs/cgroup/unified", true},
		{"both", two + one, "/sys/fs/cgroup/cpuacct", false},
		{"together with another controller", "cgroup /c cgroup rw,cpu,cpuacct 0 0\n", "/c", false},
		{"another controller alone", "cgroup /c cgroup rw,cpuset 0 0\n" + two, "/sys/fs/cgroup/unified", true},
	} {
		dir, unified, err := hierarchy(c.mounts)
		if dir != c.dir || unified != c.unified || err != nil {
			t.Errorf("%s: %q, %v, %v", c.name, dir, unified, err)
		}
	}
	if _, _, err := hierarchy("proc /proc proc rw 0 0\n"); err == nil {
		t.Error("no hierarchy is no error")
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	got, err := busyOf("cpu  100 10 1000 50000 70 3 4 9 0 0\ncpu0 1 1 1\n")
	if want := 1117 * tick; got != want || err != nil {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if _, err := busyOf("intr 5"); err == nil {
		t.Error("no error")
	}
}

func TestPSS(t *testing.T) {
	t.Parallel()
	if got := pssOf("55d0-7ffc ---p 00000000 00:00 0 [rollup]\nRss:  900 kB\nPss:   300 kB\nPss_Dirty: 5 kB\n"); got != 300<<10 {
		t.Error(got)
	}
}

// TestGroup shows that the time and the memory of a process that joins are
// counted, and nobody else's.
func TestGroup(t *testing.T) {
	g, err := New()
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	spin := exec.Command("sh", "-c", `echo 0 >"$0" && i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; read x`, g.Procs())
	in, _ := spin.StdinPipe()
	out, _ := spin.StdoutPipe()
	spin.Stderr = os.Stderr
	if err := spin.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	used, err := g.CPU()
	if used < time.Millisecond || used > time.Minute || err != nil {
		t.Errorf("CPU: %v, %v", used, err)
	}
	list, err := g.Memory()
	if len(list) != 1 || Total(list) < 100<<10 || err != nil {
		t.Errorf("memory: %v, %v", list, err)
	}
	if most := g.Watch(time.Millisecond).End(); most < 100<<10 {
		t.Errorf("peak: %d", most)
	}
	in.Close()
	_ = spin.Wait() // read fails at end of file
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
}
