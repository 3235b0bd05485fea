package commands

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"postrider/internal/clock"
	"postrider/internal/world"
)

// asQail makes the test binary be qail.
const asQail = "POSTRIDER_TEST_QAIL"

func TestMain(m *testing.M) {
	if os.Getenv(asQail) != "" {
		os.Exit(Qail(world.World{Args: os.Args, Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Clock: clock.Real()}))
	}
	os.Exit(m.Run())
}

// TestQail: the messages are in the mbox when the reader starts, and no reader
// starts if they are not.
func TestQail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(dir+"/Maildir/"+sub, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	old := dir + "/Maildir/new/1.a"
	if err := os.WriteFile(old, []byte("Return-Path: <a@b>\nSubject: x\n\nhi\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	longAgo := clock.Real().Now().AddDate(0, 0, -1)
	if err := os.Chtimes(old, longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/Mail", []byte("#!/bin/sh\necho \"$0 $*\"\ncat \"$MAIL\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	qail := exec.Command(self, "-f", "x")
	qail.Env = []string{asQail + "=1", "PATH=" + dir + ":/usr/bin:/bin", "MAIL=" + dir + "/mbox", "MAILDIR=" + dir + "/Maildir"}
	out, err := qail.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), dir+"/Mail -f x\nFrom a@b ") || !strings.Contains(string(out), "\nhi\n") {
		t.Errorf("%v, %q", err, out)
	}
	if code, out, said := run(t, Qail, []string{"PATH=" + dir}); code != exitLater || out != "" || !strings.Contains(said, "MAILDIR or MAIL is not set") {
		t.Errorf("without variables: exit %d, %q, %q", code, out, said)
	}
	environ := []string{"PATH=/nowhere", "MAIL=" + dir + "/mbox", "MAILDIR=" + dir + "/Maildir"}
	if code, _, said := run(t, Elq, environ); code == exitDone || !strings.Contains(said, "elq: fatal: unable to run elm: ") {
		t.Errorf("without elm: exit %d, %q", code, said)
	}
	if code, _, said := run(t, Pinq, environ); code == exitDone || !strings.Contains(said, "pinq: fatal: unable to run pine: ") {
		t.Errorf("without pine: exit %d, %q", code, said)
	}
}
