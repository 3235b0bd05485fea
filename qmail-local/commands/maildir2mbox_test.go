package commands

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestMaildirToMbox(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	box := filepath.Join(dir, "Maildir")
	now := time.Now()
	for _, f := range []struct {
		name, text string
		age        time.Duration
	}{
		{"cur/2:2,S", "Return-Path: <sam smith@x>\nSubject: two\n\nFrom me\nbody", 2 * time.Hour},
		{"new/1", "Return-Path: <>\nSubject: one\n\n>From you\n", 3 * time.Hour},
		{"new/3", "no header\n", time.Hour},
		{"new/4", "just now\n", 0},
		{"new/.5", "hidden\n", time.Hour},
		{"tmp/6", "left\n", 40 * time.Hour},
	} {
		path := filepath.Join(box, f.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(f.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-f.age), now.Add(-f.age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(box+"/tmp", now.Add(-40*time.Hour), now); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(box+"/new/4", now.Add(time.Hour), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/mbox", []byte("From a\n\nold\n\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	environ := []string{"MAILDIR=" + box, "MAIL=" + dir + "/mbox", "MAILTMP=" + dir + "/tmp"}
	date := func(age time.Duration) string { return now.Add(-age).UTC().Format("Mon Jan 02 15:04:05 2006") }
	want := "From a\n\nold\n\n" +
		"From MAILER-DAEMON " + date(3*time.Hour) + "\nReturn-Path: <>\nSubject: one\n\n>>From you\n\n" +
		"From sam-smith@x " + date(2*time.Hour) + "\nReturn-Path: <sam smith@x>\nSubject: two\n\n>From me\nbody\n\n" +
		"From MAILER-DAEMON " + date(time.Hour) + "\nno header\n\n"
	for range 2 { // the second finds nothing
		if code, _, said := run(t, MaildirToMbox, environ); code != 0 {
			t.Errorf("%d, %s", code, said)
		}
		if got := read(t, dir+"/mbox"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	left, err := filepath.Glob(box + "/*/[^.]*")
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "4" {
		t.Errorf("left are %q, %v", left, err)
	}
}

func TestMaildirToMboxTrouble(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct {
		name    string
		environ []string
	}{
		{"no MAIL", []string{"MAILDIR=" + dir}},
		{"no MAILDIR", []string{"MAIL=" + dir + "/mbox"}},
		{"no Maildir", []string{"MAIL=" + dir + "/mbox", "MAILDIR=" + dir + "/none"}},
	} {
		if code, _, said := run(t, MaildirToMbox, c.environ); code != 111 {
			t.Errorf("%s: %d, %s", c.name, code, said)
		}
	}
	for _, name := range []string{"new", "cur", "tmp", "mbox"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(dir+"/new/1", []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(dir+"/new/1", old, old); err != nil {
		t.Fatal(err)
	}
	// A directory is no mbox: the message stays.
	if code, _, said := run(t, MaildirToMbox, []string{"MAIL=" + dir + "/mbox", "MAILDIR=" + dir}); code != 111 {
		t.Errorf("%d, %s", code, said)
	}
	if text := read(t, dir+"/new/1"); text != "x\n" {
		t.Errorf("%q is left", text)
	}
}
