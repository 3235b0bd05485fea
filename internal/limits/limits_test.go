package limits

import (
	"errors"
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
