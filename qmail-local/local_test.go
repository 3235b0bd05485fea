package qmaillocal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/clock"
	"postrider/internal/world"
)

// fixedClock stands at one time; nothing waits for it.
type fixedClock struct{ clock.Clock }

func (fixedClock) Now() time.Time { return time.Date(2026, 11, 22, 0, 30, 28, 0, time.UTC) }

// host is a home directory and a queue program that keeps what it gets.
type host struct {
	t     *testing.T
	home  string
	queue string // directory of the queue program
}

func newHost(t *testing.T, files map[string]string) *host {
	t.Helper()
	h := &host{t: t, home: filepath.Join(t.TempDir(), "home"), queue: t.TempDir()}
	for _, dir := range []string{"", "Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"} {
		if err := os.Mkdir(filepath.Join(h.home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		h.write(filepath.Join(h.home, name), content, 0o644)
	}
	if err := os.Mkdir(h.queue+"/control", 0o755); err != nil {
		t.Fatal(err)
	}
	h.write(h.queue+"/run", "#!/bin/sh\ncd "+h.queue+"\ncat >message\ncat <&1 >envelope\n", 0o755)
	return h
}

func (h *host) write(path, content string, mode os.FileMode) {
	h.t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) read(path string) string {
	h.t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(content)
}

// maildir returns the contents of the messages in new.
func (h *host) maildir() []string {
	h.t.Helper()
	names, err := filepath.Glob(h.home + "/Maildir/new/*")
	if err != nil {
		h.t.Fatal(err)
	}
	var contents []string
	for _, name := range names {
		contents = append(contents, h.read(name))
	}
	return contents
}

// call is one run of the command line.
type call struct {
	options []string
	local   string
	dash    string
	ext     string
	domain  string
	sender  string
	deflt   string
	message string
	environ []string
}

// run returns exit code, stdout and stderr.
func (h *host) run(c call) (code int, stdout, stderr string) {
	h.t.Helper()
	dir := h.t.TempDir()
	h.write(dir+"/0", c.message, 0o600)
	in, err := os.Open(dir + "/0")
	if err != nil {
		h.t.Fatal(err)
	}
	defer in.Close()
	// Opened for appending, as a pipe behaves for several writers.
	out, err := os.OpenFile(dir+"/1", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	defer out.Close()
	errs, err := os.OpenFile(dir+"/2", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	defer errs.Close()
	if c.local == "" {
		c.local = "joe"
	}
	if c.domain == "" {
		c.domain = "host.dom"
	}
	args := append([]string{"qmail-local"}, c.options...)
	args = append(args, "--", "joe", h.home, c.local, c.dash, c.ext, c.domain, c.sender, c.deflt)
	code = commandLine(world.World{
		Args: args, Stdin: in, Stdout: out, Stderr: errs, Home: h.queue, Clock: fixedClock{clock.Real()},
		Environ: append([]string{"PATH=/usr/bin:/bin", "QMAILQUEUE=" + h.queue + "/run"}, c.environ...),
	})
	return code, h.read(dir + "/1"), h.read(dir + "/2")
}

const sample = "Subject: x\n\nhello\n"

func TestInstructionKinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, qmail, deflt string
		code               int
		stdout, stderr     string
		maildirs           int
	}{
		{"Maildir", "./Maildir/\n", "", 0, "did 1+0+0\n", "", 1},
		{"default delivery", "", "./Maildir/\n", 0, "did 1+0+0\n", "", 1},
		{"only comments discard", "# nothing\n", "./Maildir/\n", 0, "did 0+0+0\n", "", 0},
		{"program", "|cat; echo said >&2\n", "", 0, sample + "said\ndid 0+0+1\n", "", 0},
		{"program sees the message each time", "|cat\n|cat\n", "", 0, sample + sample + "did 0+0+2\n", "", 0},
		{"vector A.6: exit 99", "|exit 99\nfoo@bar\n", "", 0, "did 0+0+1\n", "", 0},
		{"program exit 100", "|echo no; exit 100\n./Maildir/\n", "", 100, "no\n", "", 0},
		{"program exit 65", "|exit 65\n", "", 100, "", "", 0},
		{"program exit 111", "|exit 111\n", "", 111, "", "", 0},
		{"program exit 1", "./Maildir/\n|exit 1\n./Maildir/\n", "", 111, "", "", 1},
		{"program killed", "|kill -9 $$\n", "", 111, "", "Aack, child crashed. (#4.3.0)\n", 0},
		{"SIGPIPE is default", "|kill -PIPE $$; echo lives\n", "", 111, "", "Aack, child crashed. (#4.3.0)\n", 0},
		{"first line blank", "\n./Maildir/\n", "", 111, "", "Uh-oh: first line of .qmail file is blank. (#4.2.1)\n", 0},
		{"+list", "./Maildir/\n+list\n|true\n", "", 111, "", "Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)\n", 1},
		{"no such Maildir", "./None/\n", "", 111, "", "Unable to chdir to maildir. (#4.2.1)\n", 0},
		{"broken Maildir", "./Half/\n", "", 111, "", "Temporary error on maildir delivery. (#4.3.0)\n", 0},
		{"mbox is a directory", "./Maildir\n", "", 111, "", "Unable to open ./Maildir: is a directory. (#4.2.1)\n", 0},
		{"mbox thrown away", "/dev/null\n", "", 0, "did 1+0+0\n", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{}
			if c.qmail != "" {
				files[".qmail"] = c.qmail
			}
			h := newHost(t, files)
			if err := os.Mkdir(h.home+"/Half", 0o755); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := h.run(call{deflt: c.deflt, message: sample, sender: "s@example.org"})
			if code != c.code || stdout != c.stdout || stderr != c.stderr {
				t.Errorf("got %d %q %q", code, stdout, stderr)
			}
			for _, got := range h.maildir() {
				if got != "Return-Path: <s@example.org>\nDelivered-To: joe@host.dom\n"+sample {
					t.Errorf("in Maildir: %q", got)
				}
			}
			if n := len(h.maildir()); n != c.maildirs {
				t.Errorf("%d messages in the Maildir, want %d", n, c.maildirs)
			}
			if _, err := os.Stat(h.queue + "/message"); err == nil {
				t.Error("something was forwarded")
			}
		})
	}
}

// Vector A.5 of the specification.
func TestMbox(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{".qmail": "./Mailbox\n"})
	code, stdout, _ := h.run(call{sender: "se nder@x y", message: "Subject: x\n\nFrom me\n>From you\nbody"})
	want := "From se-nder@x-y Sun Nov 22 00:30:28 2026\nReturn-Path: <\"se nder\"@x y>\nDelivered-To: joe@host.dom\nSubject: x\n\n>From me\n>>From you\nbody\n\n"
	if got := h.read(h.home + "/Mailbox"); code != 0 || stdout != "did 1+0+0\n" || got != want {
		t.Errorf("%d %q: %q", code, stdout, got)
	}
}

func TestForward(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{".qmail": "&jim@example.org\n./Maildir/\nbob\n|true\n"})
	code, stdout, stderr := h.run(call{sender: "s@example.org", message: sample})
	if code != 0 || !strings.HasPrefix(stdout, "did 1+2+1\nqp ") || stderr != "" {
		t.Errorf("%d %q %q", code, stdout, stderr)
	}
	if got := h.read(h.queue + "/message"); got != "Delivered-To: joe@host.dom\n"+sample {
		t.Errorf("forwarded %q", got)
	}
	if got := h.read(h.queue + "/envelope"); got != "Fs@example.org\x00Tjim@example.org\x00Tbob\x00\x00" {
		t.Errorf("envelope %q", got)
	}
}

func TestForwardRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, address, exit string
		code                int
		stderr              string
	}{
		{"for good", "jim", "31", 100, "Unable to forward message: mail server permanently rejected message (#5.3.0).\n"},
		{"for now", "jim", "53", 111, "Unable to forward message: qq write error or disk full (#4.3.0).\n"},
		{"bad address", "jim@", "0", 100, "Unable to forward message: "},
	} {
		h := newHost(t, map[string]string{".qmail": "&" + c.address})
		h.write(h.queue+"/run", "#!/bin/sh\ncat >/dev/null\ncat <&1 >/dev/null\nexit "+c.exit+"\n", 0o755)
		code, stdout, stderr := h.run(call{sender: "s", message: sample})
		if code != c.code || stdout != "" || !strings.HasPrefix(stderr, c.stderr) {
			t.Errorf("%s: %d %q %q", c.name, code, stdout, stderr)
		}
	}
}

func TestForwardingSender(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, sender string
		files        []string
		want         string
	}{
		{"no owner", "s@x", nil, "s@x"},
		{"owner", "s@x", []string{".qmail-my:list-owner"}, "joe-My.List-owner@host.dom"},
		{"owner and default", "s@x", []string{".qmail-my:list-owner", ".qmail-my:list-owner-default"}, "joe-My.List-owner-@host.dom-@[]"},
		{"default alone is nothing", "s@x", []string{".qmail-my:list-owner-default"}, "s@x"},
		{"empty sender", "", []string{".qmail-my:list-owner"}, ""},
		{"double bounce", "#@[]", []string{".qmail-my:list-owner"}, "#@[]"},
	} {
		files := map[string]string{".qmail-my:list": "jim\n"}
		for _, name := range c.files {
			files[name] = "#"
		}
		h := newHost(t, files)
		code, _, stderr := h.run(call{local: "joe-My.List", dash: "-", ext: "My.List", sender: c.sender, message: sample})
		if got := h.read(h.queue + "/envelope"); code != 0 || got != "F"+c.want+"\x00Tjim\x00\x00" {
			t.Errorf("%s: %d %q: envelope %q", c.name, code, stderr, got)
		}
	}
}

func TestFindingTheFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		files     []string
		dash, ext string
		code      int
		out       string // which file, and DEFAULT
	}{
		{"exact", []string{".qmail-a-b", ".qmail-a-default"}, "-", "a-b", 0, ".qmail-a-b unset"},
		{"vector A.7", []string{".qmail-a-default", ".qmail-default"}, "-", "A-b.C-d", 0, ".qmail-a-default b.C-d"},
		{"last resort", []string{".qmail-default"}, "-", "x-y", 0, ".qmail-default x-y"},
		{"exact default file", []string{".qmail-a-default"}, "-", "a-Default", 0, ".qmail-a-default Default"},
		{"none", []string{".qmail"}, "-", "x", 100, ""},
		{"no dash, no file", nil, "", "", 0, ""},
		{"no extension", []string{".qmail"}, "", "", 0, ".qmail unset"},
		{"odd default", []string{".qmaildefault"}, "", "", 0, ".qmaildefault "},
		{"very long", []string{".qmail-default"}, "-", strings.Repeat("x", 900), 0, ".qmail-default " + strings.Repeat("x", 900)},
		{"up and away", []string{".qmail"}, "-", "../../home/.qmail", 100, ""},
	} {
		files := map[string]string{}
		for _, name := range c.files {
			files[name] = "|echo '" + name + "' ${DEFAULT-unset}\n"
		}
		h := newHost(t, files)
		code, stdout, stderr := h.run(call{dash: c.dash, ext: c.ext, message: sample, deflt: "#\n"})
		want := "did 0+0+0\n"
		switch {
		case c.code != 0:
			want = ""
		case c.out != "":
			want = strings.TrimRight(c.out, " ") + "\ndid 0+0+1\n"
		}
		if code != c.code || stdout != want {
			t.Errorf("%s: %d %q %q", c.name, code, stdout, stderr)
		}
		if c.code == 100 && stderr != "Sorry, no mailbox here by that name. (#5.1.1)\n" {
			t.Errorf("%s: %q", c.name, stderr)
		}
	}
}

func TestWhatIsNoInstructionFile(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{".qmail-default": "|echo default\n"})
	if err := os.Mkdir(h.home+"/.qmail-dir", 0o755); err != nil {
		t.Fatal(err)
	}
	mkfifo(t, h.home+"/.qmail-fifo")
	if err := os.Symlink(".qmail-loop", h.home+"/.qmail-loop"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(".qmail-default", h.home+"/.qmail-linked"); err != nil {
		t.Fatal(err)
	}
	for _, ext := range []string{"dir", "fifo", "loop", "linked"} {
		code, stdout, stderr := h.run(call{dash: "-", ext: ext, message: sample})
		if code != 0 || stdout != "default\ndid 0+0+1\n" {
			t.Errorf("%s: %d %q %q", ext, code, stdout, stderr)
		}
	}
	h.write(h.home+"/.qmail-open", "|true\n", 0o646)
	if code, _, stderr := h.run(call{dash: "-", ext: "open", message: sample}); code != 111 || stderr != "Uh-oh: .qmail file is writable. (#4.7.0)\n" {
		t.Errorf("writable: %d %q", code, stderr)
	}
	h.write(h.home+"/.qmail-x", "./Maildir/\n", 0o744)
	if code, _, stderr := h.run(call{dash: "-", ext: "x", message: sample}); code != 111 || stderr != "Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)\n" {
		t.Errorf("x bit: %d %q", code, stderr)
	}
	h.write(h.home+"/.qmail-xempty", "", 0o744)
	if code, stdout, _ := h.run(call{dash: "-", ext: "xempty", message: sample, deflt: "./Maildir/\n"}); code != 0 || stdout != "did 1+0+0\n" {
		t.Errorf("x bit of an empty file counts: %d %q", code, stdout)
	}
	h.write(h.home+"/.qmail-huge", strings.Repeat("#\n", maxInstructions), 0o644)
	if code, _, stderr := h.run(call{dash: "-", ext: "huge", message: sample}); code != 111 || !strings.HasPrefix(stderr, "Unable to open .qmail-huge: ") {
		t.Errorf("huge: %d %q", code, stderr)
	}
}

func TestHomeChecks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		mode    os.FileMode
		options []string
		code    int
		stdout  string
		stderr  string
	}{
		{"writable by others", 0o757, nil, 111, "", "Uh-oh: home directory is writable. (#4.7.0)\n"},
		{"writable by the group", 0o775, nil, 0, "did 1+0+0\n", ""},
		{"sticky", 0o755 | os.ModeSticky, nil, 111, "", "Home directory is sticky: user is editing his .qmail file. (#4.2.1)\n"},
		{"sticky, dry run", 0o755 | os.ModeSticky, []string{"-n"}, 0, "Warning: home directory is sticky.\nmaildir ./Maildir/\ndid 1+0+0\n", "qmail-local: .qmail is the file for the address\n"},
	} {
		h := newHost(t, map[string]string{".qmail": "./Maildir/\n"})
		if err := os.Chmod(h.home, c.mode); err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := h.run(call{options: c.options, message: sample})
		if code != c.code || stdout != c.stdout || stderr != c.stderr {
			t.Errorf("%s: %d %q %q", c.name, code, stdout, stderr)
		}
	}
	h := newHost(t, nil)
	h.home += "/none"
	if code, _, stderr := h.run(call{message: sample}); code != 111 || !strings.HasPrefix(stderr, "Unable to switch to "+h.home) {
		t.Errorf("no home: %d %q", code, stderr)
	}
}

func TestLoop(t *testing.T) {
	t.Parallel()
	const own = "Delivered-To: joe@host.dom\n"
	const text = "This message is looping: it already has my Delivered-To line. (#5.4.6)\n"
	for _, c := range []struct {
		name, message string
		code          int
	}{
		{"own line", "Subject: x\n" + own + "\nbody\n", 100},
		{"in the body", "Subject: x\n\n" + own, 0},
		{"other case", "delivered-to: joe@host.dom\n\n", 0},
		{"longer", "Delivered-To: joe@host.dom \n\n", 0},
		{"last line without its end", strings.TrimSuffix(own, "\n"), 0},
		{"behind a very long line", strings.Repeat("x", 3*loopBuffer) + "\n" + own + "\n", 100},
		{"end of a very long line", strings.Repeat("x", loopBuffer) + own + "\n", 0},
		{"empty message", "", 0},
	} {
		h := newHost(t, map[string]string{".qmail": "#\n"})
		code, _, stderr := h.run(call{message: c.message})
		if code != c.code || code == 100 && stderr != text {
			t.Errorf("%s: %d %q", c.name, code, stderr)
		}
	}
	h := newHost(t, map[string]string{".qmail": "#\n"})
	if code, stdout, _ := h.run(call{options: []string{"-n"}, message: own + "\n"}); code != 0 || stdout != "did 0+0+0\n" {
		t.Errorf("a dry run does not look: %d %q", code, stdout)
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{".qmail-default": "|env\n"})
	code, stdout, _ := h.run(call{
		local: "joe-A-b.C-d", dash: "-", ext: "A-b.C-d", domain: "mail.host.dom.org", sender: "() { :; }; echo pwned@x y",
		message: sample, environ: []string{"KEPT=1", "SENDER=old", "DEFAULT=old"},
	})
	if code != 0 {
		t.Fatalf("%d %q", code, stdout)
	}
	for _, want := range []string{
		"USER=joe", "HOME=" + h.home, "LOCAL=joe-A-b.C-d", "HOST=mail.host.dom.org",
		"HOST2=mail.host.dom", "HOST3=mail.host", "HOST4=mail",
		"EXT=A-b.C-d", "EXT2=b.C-d", "EXT3=d", "EXT4=", "DEFAULT=A-b.C-d",
		"SENDER=() { :; }; echo pwned@x y", "NEWSENDER=() { :; }; echo pwned@x y", "RECIPIENT=joe-A-b.C-d@mail.host.dom.org",
		"DTLINE=Delivered-To: joe-A-b.C-d@mail.host.dom.org", "UFLINE=From ()-{-:;-};-echo-pwned@x-y Sun Nov 22 00:30:28 2026",
		`RPLINE=Return-Path: <"() { :; }; echo pwned"@x y>`, "KEPT=1",
	} {
		if !strings.Contains("\n"+stdout, "\n"+want+"\n") {
			t.Errorf("no %q in %q", want, stdout)
		}
	}
	if strings.Contains(stdout, "=old") || strings.Count(stdout, "\nSENDER=") != 1 {
		t.Errorf("inherited values survive: %q", stdout)
	}
	if strings.HasPrefix(stdout, "pwned") || strings.Contains(stdout, "\npwned") {
		t.Error("the sender was executed")
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{".qmail": "./Maildir/\n./Mailbox\n|exit 1\n&jim\nbob\n#\n"})
	code, stdout, stderr := h.run(call{options: []string{"-N", "-n"}, message: sample})
	if want := "maildir ./Maildir/\nmbox ./Mailbox\nprogram exit 1\nforward jim\nforward bob\ndid 2+2+1\n"; code != 0 || stdout != want || stderr != "qmail-local: .qmail is the file for the address\n" {
		t.Errorf("%d %q %q", code, stdout, stderr)
	}
	if _, err := os.Stat(h.home + "/Mailbox"); err == nil || len(h.maildir()) != 0 {
		t.Error("something was delivered")
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		nil,
		{"joe", "/home/joe", "joe", "", "", "host", "sender"},
		{"joe", "home", "joe", "", "", "host", "sender", ""},
		{"-x", "joe", "/home/joe", "joe", "", "", "host", "sender", ""},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		code := commandLine(world.World{Args: append([]string{"qmail-local"}, args...), Stderr: w})
		w.Close()
		buf := make([]byte, 4096)
		n, _ := r.Read(buf)
		r.Close()
		if code != 100 || !strings.HasSuffix(string(buf[:n]), usage) {
			t.Errorf("%q: %d %q", args, code, buf[:n])
		}
	}
}
