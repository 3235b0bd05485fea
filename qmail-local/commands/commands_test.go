package commands

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/internal/clock"
	"postrider/internal/world"
)

const message = "From: a@b\nSubject: s\n\nbody\n"

// run calls a program with the message as its standard input, and returns its
// exit code and what it and its children wrote.
func run(t *testing.T, main func(world.World) int, environ []string, args ...string) (code int, out, diagnostics string) {
	t.Helper()
	return runWith(t, main, message, environ, args...)
}

// runWith is run with another message.
func runWith(t *testing.T, main func(world.World) int, message string, environ []string, args ...string) (code int, out, diagnostics string) {
	t.Helper()
	dir := t.TempDir()
	open := func(name, text string) *os.File {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	w := world.World{
		Args: append([]string{"program"}, args...), Environ: append([]string{"PATH=/usr/bin:/bin"}, environ...),
		Stdin: open("in", message), Stdout: open("out", ""), Stderr: open("err", ""), Home: dir, Clock: clock.Real(),
	}
	code = main(w)
	return code, read(t, dir+"/out"), read(t, dir+"/err")
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// delivery is the variables that qmail-local sets.
var delivery = []string{
	"SENDER=s@x", "NEWSENDER=joe-owner@y", "UFLINE=From s@x Thu\n", "RPLINE=Return-Path: <s@x>\n", "DTLINE=Delivered-To: joe@y\n",
}

// queue returns a queue program that keeps what it gets in a directory, or
// ends with a code.
func queue(t *testing.T, code int) (environ []string, dir string) {
	t.Helper()
	dir = t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\ncat > %[1]s/message\ncat <&1 > %[1]s/envelope\nexit %[2]d\n", dir, code)
	if err := os.WriteFile(dir+"/queue", []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return append(slices.Clone(delivery), "QMAILQUEUE="+dir+"/queue"), dir
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		argv                      []string
		bouncesaying, except, red int
	}{
		{[]string{"true"}, 100, 100, 99},
		{[]string{"sh", "-c", "grep -q Subject"}, 100, 100, 99}, // it gets the message
		{[]string{"false"}, 0, 0, 0},
		{[]string{"sh", "-c", "exit 99"}, 0, 0, 0},
		{[]string{"sh", "-c", "exit 100"}, 0, 0, 0},
		{[]string{"sh", "-c", "exit 111"}, 111, 111, 111},
		{[]string{"sh", "-c", "kill -9 $$"}, 111, 111, 111},
		{[]string{"there-is-no-such-program"}, 0, 0, 0},
		{[]string{"/etc/passwd"}, 0, 0, 0},
	} {
		if code, _, said := run(t, BounceSaying, delivery, append([]string{"Go away. (#5.7.1)"}, c.argv...)...); code != c.bouncesaying ||
			strings.Contains(said, "Go away. (#5.7.1)\n") != (code == 100) {
			t.Errorf("bouncesaying %q: %d, %q", c.argv, code, said)
		}
		if code, _, said := run(t, Except, delivery, c.argv...); code != c.except {
			t.Errorf("except %q: %d, %q", c.argv, code, said)
		}
		environ, dir := queue(t, 0)
		code, _, said := run(t, CondRedirect, environ, append([]string{"else@z"}, c.argv...)...)
		if code != c.red {
			t.Errorf("condredirect %q: %d, %q", c.argv, code, said)
		}
		_, err := os.Stat(dir + "/message")
		if queued := err == nil; queued != (code == 99) {
			t.Errorf("condredirect %q: queued %v", c.argv, queued)
		}
		if err == nil {
			checkQueued(t, dir, "Fs@x\x00Telse@z\x00\x00")
		}
	}
	if code, _, said := run(t, BounceSaying, nil, "No."); code != 100 || said != "No.\n" {
		t.Errorf("bouncesaying without a program: %d, %q", code, said)
	}
}

func checkQueued(t *testing.T, dir, envelope string) {
	t.Helper()
	if got := read(t, dir+"/message"); got != "Delivered-To: joe@y\n"+message {
		t.Errorf("queued %q", got)
	}
	if got := read(t, dir+"/envelope"); got != envelope {
		t.Errorf("envelope %q, want %q", got, envelope)
	}
}

func TestForward(t *testing.T) {
	t.Parallel()
	environ, dir := queue(t, 0)
	code, _, said := run(t, Forward, environ, "a@b", "c@d")
	if code != 0 || !regexp.MustCompile(`^forward: qp \d+\n$`).MatchString(said) {
		t.Errorf("%d, %q", code, said)
	}
	checkQueued(t, dir, "Fjoe-owner@y\x00Ta@b\x00Tc@d\x00\x00")
	for queueExit, want := range map[int]int{31: 100, 11: 100, 53: 111, 81: 111} {
		environ, _ := queue(t, queueExit)
		if code, _, said := run(t, Forward, environ, "a@b"); code != want || !strings.Contains(said, "forward: fatal: ") {
			t.Errorf("the queue program exits %d: %d, %q", queueExit, code, said)
		}
	}
	for _, missing := range []string{"NEWSENDER", "DTLINE"} {
		environ, _ := queue(t, 0)
		environ = slices.DeleteFunc(environ, func(e string) bool { return strings.HasPrefix(e, missing+"=") })
		if code, _, said := run(t, Forward, environ, "a@b"); code != 100 || !strings.Contains(said, missing) {
			t.Errorf("without %s: %d, %q", missing, code, said)
		}
	}
	if code, _, _ := run(t, Forward, environ, "bad\naddress@b"); code == 0 {
		t.Error("an address with a line feed was taken")
	}
}

func TestPreline(t *testing.T) {
	t.Parallel()
	const from, path, to = "From s@x Thu\n", "Return-Path: <s@x>\n", "Delivered-To: joe@y\n"
	for _, c := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"cat"}, from + path + to + message, 0},
		{[]string{"-f", "cat"}, path + to + message, 0},
		{[]string{"-fd", "cat"}, path + message, 0},
		{[]string{"-frd", "-R", "cat"}, path + message, 0},
		{[]string{"--", "cat"}, from + path + to + message, 0},
		{[]string{"sh", "-c", "exit 99"}, "", 99},
		{[]string{"true"}, "", 0}, // reads nothing
		{[]string{"sh", "-c", "kill -9 $$"}, "", 111},
		{[]string{"there-is-no-such-program"}, "", 100},
		{[]string{"-x", "cat"}, "", 100},
		{nil, "", 100},
	} {
		code, out, said := run(t, Preline, delivery, c.args...)
		if code != c.code || out != c.want {
			t.Errorf("%q: %d, %q; %s", c.args, code, out, said)
		}
	}
	if code, _, said := run(t, Preline, delivery[:2], "cat"); code != 100 || !strings.Contains(said, "UFLINE") {
		t.Errorf("without its variables: %d, %q", code, said)
	}
}

// TestPrelineUnreadableMessage: the program must not take the end of what could
// be read for the end of the message.
func TestPrelineUnreadableMessage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in, err := os.Open(dir) // reading a directory fails
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(dir + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w := world.World{Args: []string{"preline", "sh", "-c", "cat > /dev/null; echo whole"}, Environ: append([]string{"PATH=/usr/bin:/bin"}, delivery...),
		Stdin: in, Stdout: out, Stderr: out, Home: dir, Clock: clock.Real()}
	if code := Preline(w); code != 111 {
		t.Errorf("exit code %d", code)
	}
	if text := read(t, dir+"/out"); strings.Contains(text, "whole\n") {
		t.Errorf("the program believes that it got all: %q", text)
	}
}

func TestPreDate(t *testing.T) {
	t.Parallel()
	code, out, said := run(t, PreDate, nil, "cat")
	line, rest, _ := strings.Cut(out, "\n")
	when, err := time.Parse("Date: 2 Jan 2006 15:04:05 -0700", line)
	if code != 0 || err != nil || rest != message || time.Since(when) > time.Hour {
		t.Errorf("%d, %q, %v; %s", code, out, err, said)
	}
	if code, _, _ := run(t, DateMail, nil); code != 100 {
		t.Errorf("datemail without a sendmail: %d", code)
	}
}

func TestMaildirMake(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/Maildir"
	for _, c := range []struct {
		args []string
		code int
		made string
	}{
		{[]string{"-f", "Work", dir}, 111, ""}, // not a Maildir yet
		{[]string{dir}, 0, "cur new tmp"},
		{[]string{dir}, 111, "cur new tmp"}, // it is there
		{[]string{"-f", "Lists.Work", dir}, 0, ".Lists.Work cur new tmp"},
		{[]string{"-f", "../x", dir}, 100, ".Lists.Work cur new tmp"},
		{[]string{"-f", "a..b", dir}, 100, ".Lists.Work cur new tmp"},
		{[]string{"-q", "10000000S,1000C", dir}, 0, ".Lists.Work cur maildirsize new tmp"},
		{[]string{"-q", "20S", dir}, 0, ".Lists.Work cur maildirsize new tmp"},
		{[]string{"-q", "10X", dir}, 100, ".Lists.Work cur maildirsize new tmp"},
		{[]string{"-q", "1S,2S", dir}, 100, ".Lists.Work cur maildirsize new tmp"},
		{nil, 100, ".Lists.Work cur maildirsize new tmp"},
	} {
		code, _, said := run(t, MaildirMake, nil, c.args...)
		if code != c.code {
			t.Errorf("%q: %d; %s", c.args, code, said)
		}
		var made []string
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			made = append(made, e.Name())
		}
		if got := strings.Join(made, " "); got != c.made {
			t.Errorf("%q: there is %q, want %q", c.args, got, c.made)
		}
	}
	if text := read(t, dir+"/maildirsize"); text != "20S\n" {
		t.Errorf("quota %q", text)
	}
	if _, err := os.Stat(dir + "/.Lists.Work/maildirfolder"); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(dir + "/new")
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for name, main := range map[string]func(world.World) int{
		"bouncesaying": BounceSaying, "except": Except, "condredirect": CondRedirect, "preline": Preline, "predate": PreDate, "maildirmake": MaildirMake,
		"qreceipt": Receipt, "qmail-autoresponder": AutoResponder,
	} {
		if code, _, said := run(t, main, delivery); code != 100 || !strings.HasPrefix(said, "usage: "+name) {
			t.Errorf("%s without arguments: %d, %q", name, code, said)
		}
	}
}
