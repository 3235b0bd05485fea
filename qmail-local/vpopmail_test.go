package qmaillocal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/cdb"
)

// vpopmailHost is a host whose home is a domain of vpopmail's with the users joe
// and others, and whose .qmail-default has some last word.
func vpopmailHost(t *testing.T, lastWord string, files map[string]string, users ...string) *host {
	t.Helper()
	h := newHost(t, files)
	h.write(h.queue+"/control/vpopmail", "/home/vpopmail qmail-ext\n", 0o644)
	h.write(h.home+"/.qmail-default", "| /home/vpopmail/bin/vdelivermail '' "+strings.ReplaceAll(lastWord, "HOME", h.home)+"\n", 0o600)
	for _, box := range []string{"joe", "0/jim", "Box"} {
		for _, dir := range []string{"tmp", "new", "cur"} {
			if err := os.MkdirAll(filepath.Join(h.home, box, "Maildir", dir), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	users = append([]string{"joe:x:1:0:Joe:HOME/joe:", "jim:x:1:0:Jim:HOME/0/jim:1000S,2C", "closed:x:1:16::HOME/closed:", "bad:x:1:0::HOME/joe:much"}, users...)
	err := cdb.Replace(h.home+"/vpasswd.cdb", h.home+"/vpasswd.tmp", 0o600, func(w *cdb.Writer) error {
		for _, line := range users {
			name, data, _ := strings.Cut(strings.ReplaceAll(line, "HOME", h.home), ":")
			if err := w.Add([]byte(name), []byte(data)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// inBox returns the messages in a Maildir below the home.
func (h *host) inBox(box string) []string {
	h.t.Helper()
	names, err := filepath.Glob(filepath.Join(h.home, box, "Maildir/new/*"))
	if err != nil {
		h.t.Fatal(err)
	}
	var all []string
	for _, name := range names {
		all = append(all, h.read(name))
	}
	return all
}

func TestVpopmail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, lastWord, ext string
		files               map[string]string
		code                int
		stdout, stderr, box string // box: where the message is
		deliveredTo         string
	}{
		{name: "a user", ext: "joe", stdout: "did 1+0+0\n", box: "joe", deliveredTo: "joe"},
		{name: "capital letters", ext: "JoE", stdout: "did 1+0+0\n", box: "joe", deliveredTo: "joe"},
		{name: "a hashed directory", ext: "jim", stdout: "did 1+0+0\n", box: "0/jim", deliveredTo: "jim"},
		{name: "an extension", ext: "joe-a.b", stdout: "did 1+0+0\n", box: "joe", deliveredTo: "joe"},
		{name: "the domain's own file comes first", ext: "joe", files: map[string]string{".qmail-joe": "#\n"}, stdout: "did 0+0+0\n"},
		{name: "nobody", ext: "nobody", code: 100, stderr: "Sorry, no mailbox here by that name. (#5.1.1)\n"},
		{name: "closed", ext: "closed", code: 100, stderr: "Sorry, this mailbox is closed. (#5.2.1)\n"},
		{name: "thrown away", lastWord: "delete", ext: "nobody", stdout: "did 0+0+0\n"},
		{name: "a quota that means nothing", ext: "bad", code: 111, stderr: "Uh-oh: the quota in vpasswd.cdb means nothing. (#4.3.5)\n"},
		{name: "a directory", lastWord: "HOME/Box", ext: "nobody", stdout: "did 1+0+0\n", box: "Box", deliveredTo: "nobody"},
		{name: "a Maildir", lastWord: "HOME/Box/Maildir/", ext: "nobody", stdout: "did 1+0+0\n", box: "Box", deliveredTo: "host.dom-nobody"},
		{name: "a directory that is not there", lastWord: "HOME/None", ext: "nobody", code: 111, stderr: "Unable to switch to HOME/None: no such file or directory. (#4.3.0)\n"},
		{name: "something that the shell does", lastWord: "$x", ext: "joe", code: 111, stdout: "*"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.lastWord == "" {
				c.lastWord = "bounce-no-mailbox"
			}
			h := vpopmailHost(t, c.lastWord, c.files)
			code, stdout, stderr := h.run(call{local: "host.dom-" + c.ext, dash: "-", ext: c.ext, sender: "s@example.org", message: sample})
			if code != c.code || c.stdout != "*" && stdout != c.stdout || c.stdout != "*" && stderr != strings.ReplaceAll(c.stderr, "HOME", h.home) {
				t.Errorf("%d %q %q", code, stdout, stderr)
			}
			for _, box := range []string{"joe", "0/jim", "Box"} {
				got := h.inBox(box)
				if box != c.box {
					if len(got) != 0 {
						t.Errorf("%s has %q", box, got)
					}
					continue
				}
				if want := "Return-Path: <s@example.org>\nDelivered-To: " + c.deliveredTo + "@host.dom\n" + sample; len(got) != 1 || got[0] != want {
					t.Errorf("%s has %q", box, got)
				}
			}
		})
	}
}

// A user's own file says what becomes of his mail, in his directory.
func TestVpopmailUserFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file, text, ext string
		code                  int
		stdout                string
		inBox                 int
	}{
		{"both", ".qmail", "&jim@example.org\n./Maildir/\n", "joe", 0, "did 1+1+0\nqp *", 1},
		{"a program in his directory", ".qmail", "|pwd; echo $EXT $HOST $HOME\n", "joe", 0, "HOME/joe\njoe host.dom HOME\ndid 0+0+1\n", 0},
		{"a program that ends it", ".qmail", "|exit 99\n./Maildir/\n", "joe", 0, "did 0+0+1\n", 0},
		{"a program that fails", ".qmail", "|exit 100\n", "joe", 100, "", 0},
		{"vdelivermail once more", ".qmail", "| /home/vpopmail/bin/vdelivermail '' delete\n", "joe", 111, "*", 0},
		{"only comments", ".qmail", "# delete\n", "joe", 0, "did 0+0+0\n", 0},
		{"empty", ".qmail", "", "joe", 0, "did 1+0+0\n", 1},
		{"of an extension", ".qmail-list", "#\n", "joe-list", 0, "did 0+0+0\n", 0},
		{"of all extensions", ".qmail-default", "#\n", "joe-list", 0, "did 0+0+0\n", 0},
		{"of all extensions, not for himself", ".qmail-default", "#\n", "joe", 0, "did 1+0+0\n", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := vpopmailHost(t, "bounce-no-mailbox", nil)
			h.write(h.home+"/joe/"+c.file, c.text, 0o600)
			code, stdout, stderr := h.run(call{local: "host.dom-" + c.ext, dash: "-", ext: c.ext, sender: "s@example.org", message: sample})
			want, any := strings.CutSuffix(strings.ReplaceAll(c.stdout, "HOME", h.home), "*")
			if code != c.code || stdout != want && !(any && strings.HasPrefix(stdout, want)) || stderr != "" {
				t.Errorf("%d %q %q, want %q", code, stdout, stderr, want)
			}
			if n := len(h.inBox("joe")); n != c.inBox {
				t.Errorf("%d messages, want %d", n, c.inBox)
			}
		})
	}
}

// The quota is the database's, and what is in the mailbox counts.
func TestVpopmailQuota(t *testing.T) {
	t.Parallel()
	h := vpopmailHost(t, "bounce-no-mailbox", nil)
	c := call{local: "host.dom-jim", dash: "-", ext: "jim", sender: "s@example.org", message: sample}
	for i, want := range []string{"did 1+0+0\n", "did 1+0+0\n", ""} {
		c.message += "one more line\n" // the clock stands still, and names have the size
		code, stdout, stderr := h.run(c)
		if stdout != want || (want == "") != (code == 100) {
			t.Errorf("message %d: %d %q %q", i, code, stdout, stderr)
		}
	}
	size := h.home + "/0/jim/Maildir/maildirsize"
	if got := h.read(size); !strings.HasPrefix(got, "1000S,2C\n") {
		t.Errorf("maildirsize: %q", got)
	}
	// Somebody who has none is not held to what the file says of earlier times.
	h = vpopmailHost(t, "bounce-no-mailbox", nil, "kay:x:1:0::HOME/joe:NOQUOTA")
	h.write(h.home+"/joe/Maildir/maildirsize", "1S\n1 1\n", 0o600)
	c.local, c.ext = "host.dom-kay", "kay"
	if code, stdout, stderr := h.run(c); code != 0 {
		t.Errorf("NOQUOTA: %d %q %q", code, stdout, stderr)
	}
	// One whose quota is named nowhere is held to the file.
	c.local, c.ext = "host.dom-joe", "joe"
	h.write(h.home+"/joe/Maildir/maildirsize", "1S\n", 0o600)
	if code, _, stderr := h.run(c); code != 100 {
		t.Errorf("the file's: %d %q", code, stderr)
	}
}

// A loop is found by the address of the domain, which forwards have in front.
func TestVpopmailLoop(t *testing.T) {
	t.Parallel()
	h := vpopmailHost(t, "bounce-no-mailbox", nil)
	h.write(h.home+"/joe/.qmail", "&jim@example.org\n", 0o600)
	c := call{local: "host.dom-joe", dash: "-", ext: "joe", sender: "s@example.org", message: sample}
	if code, stdout, stderr := h.run(c); code != 0 {
		t.Fatalf("%d %q %q", code, stdout, stderr)
	}
	c.message = h.read(h.queue + "/message")
	if !strings.HasPrefix(c.message, "Delivered-To: host.dom-joe@host.dom\n") {
		t.Errorf("forwarded: %q", c.message)
	}
	if code, _, stderr := h.run(c); code != 100 || !strings.Contains(stderr, "looping") {
		t.Errorf("once more: %d %q", code, stderr)
	}
}

// Without the control file, or without a database, the program itself is run, and
// trouble with the database is no answer.
func TestVpopmailOtherwise(t *testing.T) {
	t.Parallel()
	c := call{local: "host.dom-joe", dash: "-", ext: "joe", sender: "s@example.org", message: sample}
	for name, change := range map[string]func(h *host) error{
		"no control file": func(h *host) error { return os.Remove(h.queue + "/control/vpopmail") },
		"no database":     func(h *host) error { return os.Remove(h.home + "/vpasswd.cdb") },
		"another program": func(h *host) error {
			return os.WriteFile(h.queue+"/control/vpopmail", []byte("/opt/vpopmail\n"), 0o644)
		},
	} {
		h := vpopmailHost(t, "bounce-no-mailbox", nil)
		if err := change(h); err != nil {
			t.Fatal(err)
		}
		// There is no vdelivermail here.
		if code, stdout, stderr := h.run(c); code != 111 || !strings.Contains(stdout, "vdelivermail") || len(h.inBox("joe")) != 0 {
			t.Errorf("%s: %d %q %q", name, code, stdout, stderr)
		}
	}
	for name, change := range map[string]func(h *host) error{
		"an unknown word": func(h *host) error {
			return os.WriteFile(h.queue+"/control/vpopmail", []byte("/home/vpopmail x\n"), 0o644)
		},
		"a damaged database": func(h *host) error { return os.WriteFile(h.home+"/vpasswd.cdb", []byte("x"), 0o600) },
		"his home is open":   func(h *host) error { return os.Chmod(h.home+"/joe", 0o777) },
		"he is editing":      func(h *host) error { return os.Chmod(h.home+"/joe", 0o700|os.ModeSticky) },
	} {
		h := vpopmailHost(t, "bounce-no-mailbox", nil)
		if err := change(h); err != nil {
			t.Fatal(err)
		}
		if code, stdout, stderr := h.run(c); code != 111 || !strings.Contains(stderr, "#4.") {
			t.Errorf("%s: %d %q %q", name, code, stdout, stderr)
		}
	}
}
