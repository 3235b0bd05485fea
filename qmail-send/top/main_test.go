package top

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postrider/internal/clock"
	"postrider/internal/exposition"
	"postrider/internal/world"
	"postrider/qmail-send/top/ask"
)

// serve answers every question on a socket with what answer returns.
func serve(t *testing.T, answer func() string) (home string) {
	t.Helper()
	home = t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(home, "run", "metrics.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 1000)
			n, _ := c.Read(buf) // whatever it is, there is one answer
			if strings.HasPrefix(string(buf[:n]), "GET /metrics HTTP/1.0\r\n") {
				_, _ = c.Write([]byte(answer())) // who asks may have gone
			}
			c.Close()
		}
	}()
	return home
}

// someFigures are those of a host where 100 messages a second come in.
func someFigures(second int) string {
	return fmt.Sprintf("postrider_queue_messages{state=\"deferred\"} %d\npostrider_messages_accepted_total{via=\"smtp\"} %d\n"+
		"postrider_smtp_sessions 23\npostrider_smtp_sessions_limit 200\n", 12046+second, 100*second)
}

const fine = "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n"

// run runs the program with a home directory.
func run(t *testing.T, home string, stdin *os.File, environ []string, args ...string) (code int, out, errs string) {
	t.Helper()
	dir := t.TempDir()
	open := func(name string) *os.File {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	stdout, stderr := open("out"), open("err")
	code = Main(world.World{Args: append([]string{"qmail-top"}, args...), Environ: environ, Stdin: stdin, Stdout: stdout, Stderr: stderr,
		Home: home, Clock: clock.Real()})
	text := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	return code, text("out"), text("err")
}

// TestOnce prints one screen, with rates.
func TestOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	home := serve(t, func() string { return fine + someFigures(100*int(asked.Add(1))) })
	log := filepath.Join(t.TempDir(), "current")
	if err := os.WriteFile(log, []byte("@400000006926ed8c00000000 new msg 17641515001234560001\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(t, home, nil, []string{"TERM=xterm", "COLUMNS=100", "LINES=30"}, "--once", "-l", log)
	if code != exitOK || errs != "" {
		t.Fatalf("exit code %d, %s", code, errs)
	}
	for _, word := range []string{"12,246 messages", "- 1 queue ---", "23 of 200", "new msg 17641515001234560001", "qmail-send does not run"} {
		if !strings.Contains(out, word) {
			t.Errorf("no %q", word)
		}
	}
	if strings.Contains(out, "in 0/s") || strings.Contains(out, "q quit") || strings.ContainsFunc(out, func(c rune) bool { return c > '~' }) {
		t.Error("there are no rates, or keys, or characters of terminals")
	}
	if t.Failed() {
		t.Log(out)
	}
}

// TestOnceFromPipe: the log is standard input, and what prints is no terminal.
func TestOnceFromPipe(t *testing.T) {
	t.Parallel()
	home := serve(t, func() string { return fine + someFigures(1) })
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := w.WriteString("delivery 7: deferral: later/\n"); err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(t, home, r, []string{"TERM=xterm"}, "-l", "-")
	if code != exitOK || !strings.Contains(out, "deferral delivery 7: later/") {
		t.Errorf("exit code %d, %s\n%s", code, errs, out)
	}
}

// TestNobodyAnswers: it says so, and what is missing.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	code, out, errs := run(t, t.TempDir(), nil, nil, "-b", "-l", "/nonexistent")
	if code != exitTemporary || !strings.Contains(out, "qmail-send does not run") || !strings.Contains(errs, "qmail-metrics does not run") {
		t.Errorf("exit code %d, %s\n%s", code, errs, out)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-x"}, {"-l"}, {"more"}} {
		if code, _, errs := run(t, t.TempDir(), nil, nil, args...); code != exitMisused || errs != usage {
			t.Errorf("%q: exit code %d, %s", args, code, errs)
		}
	}
}

// TestFetchFigures: answers that are none are told, and nobody waits for ever or
// reads without end.
func TestFetchFigures(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"nothing":       "",
		"no HTTP":       "220 mx ESMTP\r\n\r\n",
		"another code":  "HTTP/1.1 503 \x1b[31m\r\n\r\n" + someFigures(1),
		"no head's end": "HTTP/1.1 200 OK\r\n",
		"no figures":    fine + "<html>",
		"too many":      fine + strings.Repeat("#\n", exposition.MaxText),
	} {
		home := serve(t, func() string { return answer })
		_, err := ask.Figures(home+"/run/metrics.sock", time.Now)
		if err == nil || errors.Is(err, ask.ErrNoFigures) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %v", name, err)
		}
	}
	home := serve(t, func() string { return fine + someFigures(1) })
	if r, err := ask.Figures(home+"/run/metrics.sock", time.Now); err != nil || r.Sum("smtp_sessions") != 23 {
		t.Errorf("%v, %v", r, err)
	}
	if err := os.Remove(home + "/run/metrics.sock"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if _, err := ask.Figures(home+"/run/metrics.sock", time.Now); !errors.Is(err, ask.ErrNoFigures) {
		t.Errorf("without a socket: %v", err)
	}
}
