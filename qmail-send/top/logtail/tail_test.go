package logtail

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// appendTo writes to the end of a log.
func appendTo(t *testing.T, name, text string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// look returns the lines that a tail has to tell.
func look(t *testing.T, l *Tail) (lines []string) {
	t.Helper()
	if err := l.Look(func(line string) { lines = append(lines, line) }); err != nil {
		t.Fatal(err)
	}
	return lines
}

// TestTail follows a log through all that happens to logs.
func TestTail(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "current")
	l := &Tail{Names: []string{name + ".none", name}}
	defer l.Close()
	if err := l.Look(func(string) { t.Error("a line of nothing") }); err == nil {
		t.Error("there is no log, and no error")
	}
	rename := func() {
		if err := os.Rename(name, name+".old"); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		what string
		do   func()
		want []string
	}{
		{"what was there", func() { appendTo(t, name, "one\ntwo\nthr") }, []string{"one", "two"}},
		{"nothing new", func() {}, nil},
		{"the rest of a line", func() { appendTo(t, name, "ee\r\nfour\n") }, []string{"three", "four"}},
		{"moved away, with a last line, and made anew", func() {
			appendTo(t, name, "five\n")
			rename()
			appendTo(t, name, "six\n")
		}, []string{"five", "six"}},
		{"moved away", rename, nil},
		{"a last line of the one that was moved", func() { appendTo(t, name+".old", "seven\n") }, []string{"seven"}},
		{"and made anew", func() { appendTo(t, name, "eight\n") }, []string{"eight"}},
		{"cut off", func() {
			if err := os.Truncate(name, 0); err != nil {
				t.Fatal(err)
			}
		}, nil},
		{"after that", func() { appendTo(t, name, "9\n") }, []string{"9"}},
		{"a long line", func() { appendTo(t, name, strings.Repeat("x", 3*maxLine)+"\nten\n") }, []string{strings.Repeat("x", maxLine), "ten"}},
	} {
		step.do()
		if got := look(t, l); !slices.Equal(got, step.want) {
			t.Fatalf("%s: got %.200q, want %.200q", step.what, got, step.want)
		}
	}
}

// TestTailIsBounded: of a log that has grown by very much, the newest part is read.
func TestTailIsBounded(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "current")
	var b strings.Builder
	for i := range 300_000 {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	appendTo(t, name, b.String())
	l := &Tail{Names: []string{name}}
	defer l.Close()
	for _, most := range []int{firstLook, lookAtOnce} {
		lines := look(t, l)
		size := 0
		for _, line := range lines {
			if !strings.HasPrefix(line, "line ") {
				t.Fatalf("%q is no whole line", line)
			}
			size += len(line) + 1
		}
		if size > most || size < most/2 || lines[len(lines)-1] != "line 299999" {
			t.Errorf("%d bytes of lines, want about %d; the last is %q", size, most, lines[len(lines)-1])
		}
		appendTo(t, name, b.String())
	}
}

// TestTailRefuses what could make it wait.
func TestTailRefuses(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{pipe, t.TempDir(), "/dev/zero"} {
		l := &Tail{Names: []string{name}}
		if err := l.Look(func(string) {}); err == nil {
			t.Errorf("%s is read", name)
		}
		l.Close()
	}
}
