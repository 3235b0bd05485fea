package limits

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/control"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Load(control.Dir(dir))
	if want := (Limits{defaultProcesses, defaultMemory, defaultFiles, 0, defaultSeconds}); err != nil || l != want {
		t.Errorf("%+v, %v", l, err)
	}
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"programprocesses": "1\n", "programmemory": "2\n", "programfiles": "3\n", "programfilesize": "4\n", "programcpu": "0\n",
	} {
		put(name, text)
	}
	l, err = Load(control.Dir(dir))
	if want := (Limits{1, 2, 3, 4, 0}); err != nil || l != want {
		t.Errorf("%+v, %v", l, err)
	}
	put("programmemory", "99999999999999999999999\n")
	if _, err := Load(control.Dir(dir)); err == nil {
		t.Error("no error for a number that is none")
	}
}

// limitOf returns the soft and hard limit of a process in the words of proc(5).
func limitOf(t *testing.T, pid int, name string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/limits")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + name + ` +(\S+) +(\S+)`).FindStringSubmatch(string(text))
	if m == nil {
		t.Fatalf("no %s in %s", name, text)
	}
	return m[1] + " " + m[2]
}

// A program has what it is given, and no more than it had.
func TestProgram(t *testing.T) {
	t.Parallel()
	c := exec.Command("sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Wait() }()
	defer c.Process.Kill()
	pid := c.Process.Pid
	files := limitOf(t, pid, "Max open files")
	l := Limits{Processes: 100, Memory: 1 << 25, Files: 1 << 40, Seconds: 10}
	size := limitOf(t, pid, "Max file size")
	if err := l.program(pid); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Max processes": "100 100", "Max data size": "33554432 33554432", "Max open files": files,
		"Max cpu time": "10 10", "Max file size": size,
	} {
		if got := limitOf(t, pid, name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if score, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/oom_score_adj"); err != nil || string(score) != "500\n" {
		t.Errorf("its score is %q, %v", score, err)
	}
}

// TestStart: a program has no more processes from its first moment, before it
// is bounded itself, and this process has what it had. Not parallel: it is the
// whole process's.
func TestStart(t *testing.T) {
	own := limitOf(t, os.Getpid(), "Max processes")
	var out []byte
	c := exec.Command("grep", "Max processes", "/proc/self/limits")
	l := Limits{Processes: 1234}
	pid, err := l.Start(func() (int, error) {
		pipe, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err == nil {
			out, err = io.ReadAll(pipe)
		}
		if err != nil {
			return 0, err
		}
		return c.Process.Pid, nil
	})
	if err != nil || pid != c.Process.Pid {
		t.Errorf("%d, %v", pid, err)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	if f := strings.Fields(string(out)); len(f) < 3 || f[2] != "1234" {
		t.Errorf("it began with %q", out)
	}
	if now := limitOf(t, os.Getpid(), "Max processes"); now != own {
		t.Errorf("our own is %s, was %s", now, own)
	}
}

// TestStartWithoutAnEnd: who started a program that cannot be bounded is told
// which one that is, and what became of one that did not start.
func TestStartWithoutAnEnd(t *testing.T) {
	fault := errors.New("no program")
	if pid, err := (Limits{Processes: 1000}).Start(func() (int, error) { return 0, fault }); pid != 0 || err != fault {
		t.Errorf("%d, %v", pid, err)
	}
	ended := func() (int, error) {
		c := exec.Command("true")
		err := c.Run()
		return c.Process.Pid, err
	}
	if pid, err := (Limits{Processes: 1000}).Start(ended); pid <= 0 || !errors.Is(err, unix.ESRCH) {
		t.Errorf("%d, %v", pid, err)
	}
}

func TestNobodyToLimit(t *testing.T) {
	t.Parallel()
	c := exec.Command("true")
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	if err := (Limits{Processes: 1}).program(c.Process.Pid); !errors.Is(err, unix.ESRCH) {
		t.Errorf("got %v", err)
	}
}

// TestBound: a process that bounds itself leaves room for its own work, and
// takes from those it starts what it takes from itself.
func TestBound(t *testing.T) {
	if os.Getenv("LIMITS_TEST_BOUND") != "" {
		l := Limits{Processes: 100, Memory: 1 << 30, Files: 3, FileSize: 1, Seconds: 1}
		if err := l.Bound(); err != nil {
			t.Fatal(err)
		}
		if err := (Limits{}).Bound(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile("/proc/self/limits")
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s", text)
		return
	}
	t.Parallel()
	own := func(name string) string { return limitOf(t, os.Getpid(), name) }
	want := map[string]string{
		"Max processes": fmt.Sprint(100+ownProcesses, " ", 100+ownProcesses), "Max data size": fmt.Sprint(1<<30+ownMemory, " ", 1<<30+ownMemory),
		"Max file size": own("Max file size"), "Max cpu time": own("Max cpu time"),
	}
	c := exec.Command(os.Args[0], "-test.run=^TestBound$", "-test.v")
	c.Env = append(os.Environ(), "LIMITS_TEST_BOUND=1")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, value := range want {
		line := regexp.MustCompile(name + ` +(\S+) +(\S+)`).FindSubmatch(out)
		if line == nil || string(line[1])+" "+string(line[2]) != value {
			t.Errorf("%s: %s, want %s", name, line, value)
		}
	}
	if files := regexp.MustCompile(`Max open files +(\d+)`).FindSubmatch(out); files == nil || string(files[1]) == "3" {
		t.Errorf("open files: %s", files)
	}
}

// TestLowerOnly: what is lower stays, and what is no limit is none.
func TestLowerOnly(t *testing.T) {
	t.Parallel()
	c := exec.Command("sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Wait() }()
	defer c.Process.Kill()
	for _, l := range []Limits{{FileSize: 5000}, {FileSize: 7000}, {}} {
		if err := l.program(c.Process.Pid); err != nil {
			t.Fatal(err)
		}
		if got := limitOf(t, c.Process.Pid, "Max file size"); got != "5000 5000" {
			t.Errorf("%+v: %s", l, got)
		}
	}
	if restore, err := (Limits{}).lowerProcesses(); err != nil || restore() != nil {
		t.Errorf("no limit of processes: %v", err)
	}
}
