package logjson

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"postrider/internal/clock"
	"postrider/internal/world"
)

// stillClock stands still.
type stillClock struct{ clock.Clock }

func (stillClock) Now() time.Time { return time.Date(2026, 11, 2, 0, 30, 28, 42000, time.UTC) }

const (
	line   = "status: exiting\n"
	object = `{"time":"2026-11-02T00:30:28.000042Z","program":"qmail-send","event":"exiting"}` + "\n"
)

// start runs the program with pipes; the function returns its exit code.
func startProgram(t *testing.T, args ...string) (in, out *os.File, wait func() int) {
	t.Helper()
	inRead, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, outWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w := world.World{Args: append([]string{"qmail-logjson"}, args...), Clock: stillClock{}, Stdin: inRead, Stdout: outWrite, Stderr: outWrite}
	code := make(chan int, 1)
	go func() {
		code <- Main(w)
		inRead.Close()
		outWrite.Close()
	}()
	t.Cleanup(func() { in.Close(); out.Close() })
	return in, out, func() int { return <-code }
}

// A line is written at once when no other waits, whether or not a program is
// behind.
func TestLinesAreNotHeldBack(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"/bin/cat"}} {
		in, out, wait := startProgram(t, args...)
		for range 2 {
			if _, err := in.WriteString(line); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(object))
			if _, err := io.ReadFull(out, got); err != nil || string(got) != object {
				t.Errorf("%v: %q, %v", args, got, err)
			}
		}
		in.Close()
		if code := wait(); code != exitDone {
			t.Errorf("%v: exit %d", args, code)
		}
	}
}

func TestLongAndTornLines(t *testing.T) {
	t.Parallel()
	in, out, wait := startProgram(t)
	if _, err := in.WriteString("alert: " + strings.Repeat("x", 3*maxLine) + "\n" + line + strings.TrimSuffix(line, "\n")); err != nil {
		t.Fatal(err)
	}
	in.Close()
	all, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.SplitAfter(string(all), "\n")
	if len(got) != 4 || len(got[0]) < maxLine || len(got[0]) > maxLine+200 || got[1] != object || got[2] != object {
		t.Errorf("%d lines: %.300q", len(got), got)
	}
	wait()
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--help"}, exitMisused, "usage"},
		{[]string{"/nowhere/logger"}, exitBad, "/nowhere/logger: no such file"},
		{[]string{"/bin/sh", "-c", "cat; exit 7"}, 7, ""},
	} {
		in, out, wait := startProgram(t, tc.args...)
		in.Close()
		all, err := io.ReadAll(out)
		if code := wait(); err != nil || code != tc.code || !strings.Contains(string(all), tc.says) {
			t.Errorf("%v: exit %d, %q, %v", tc.args, code, all, err)
		}
	}
}
