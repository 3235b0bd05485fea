package limits

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
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
	if err := l.Program(pid); err != nil {
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

func TestNobodyToLimit(t *testing.T) {
	t.Parallel()
	c := exec.Command("true")
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	if err := (Limits{Processes: 1}).Program(c.Process.Pid); !errors.Is(err, unix.ESRCH) {
		t.Errorf("got %v", err)
	}
}
