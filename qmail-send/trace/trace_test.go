package trace

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/world"
)

// run runs the program and returns what it says.
func run(t *testing.T, stdin string, args ...string) (code int, out, errs string) {
	t.Helper()
	dir := t.TempDir()
	w := world.World{Args: append([]string{"qmail-trace"}, args...), Clock: clock.Real()}
	files := []**os.File{&w.Stdin, &w.Stdout, &w.Stderr}
	for i, name := range []string{"in", "out", "err"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(stdin), 0o600); err != nil {
			t.Fatal(err)
		}
		flags := os.O_RDWR
		if i > 0 {
			flags |= os.O_TRUNC
		}
		f, err := os.OpenFile(path, flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		*files[i] = f
	}
	code = Main(w)
	text := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	return code, text("out"), text("err")
}

// events are the words behind the times.
func events(out string) []string {
	var list []string
	for _, line := range strings.Split(strings.TrimSuffix(out, "\n"), "\n") {
		if _, text, found := strings.Cut(line, "  "); found && line[0] != ' ' {
			line = text
		}
		list = append(list, strings.TrimSpace(line))
	}
	return list
}

const log = "testdata/story.log"

func TestMessage(t *testing.T) {
	t.Parallel()
	want := []string{
		"qmail-smtpd: connect session=3 ip=192.0.2.7 port=4444 to=192.0.2.1:25",
		"qmail-smtpd: refused session=3 ip=192.0.2.7 helo=x from=a@b.example code=550 text=sorry,_no_such_user command=RCPT_TO:<joe@ours.example>",
		"qmail-smtpd: accepted session=3 ip=192.0.2.7 helo=x from=a@b.example rcpts=2 bytes=1234 id=17641515001234560001",
		"17641515001234560001: queued: 1300 bytes from <a@b.example>, by uid 401",
		"17641515001234560001: delivery 7 begins: local ann@ours.example",
		"17641515001234560001: delivery 8 begins: remote z@far.example",
		"17641515001234560001: delivered to ann@ours.example: did 0+1+0/qp 17641515001234560002",
		"17641515001234560002: queued: 1400 bytes from <a@b.example>, by uid 1001",
		`17641515001234560001: failed for z@far.example: 192.0.2.9 does not like recipient. Remote host said: 550 no "such"/Giving up on 192.0.2.9.`,
		"17641515001234560001: the sender is told of the failure, by message 17641515001234560003",
		"17641515001234560001: out of the queue",
		"17641515001234560003: delivery 9 begins: remote a@b.example",
		"17641515001234560003: put off for a@b.example: Sorry, I couldn't find any host. (#4.1.2)",
		"qmail-smtpd: end session=3 ip=192.0.2.7 messages=1 refused=1 ms=12",
		"=> 17641515001234560001 to ann@ours.example: delivered",
		`=> 17641515001234560001 to z@far.example: failed: 192.0.2.9 does not like recipient. Remote host said: 550 no "such"/Giving up on 192.0.2.9.`,
		"=> 17641515001234560003 to a@b.example: waits: Sorry, I couldn't find any host. (#4.1.2)",
	}
	for _, id := range []string{"17641515001234560001", "#17641515001234560001"} {
		code, out, errs := run(t, "", id, log)
		if got := events(out); code != exitFound || errs != "" || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: exit %d, %s\n%s\nwant\n%s", id, code, errs, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// What an address has to do with: a refusal, a delivery by a virtual domain, and
// a login that failed.
func TestAddress(t *testing.T) {
	t.Parallel()
	code, out, errs := run(t, "", "<Joe@Ours.Example>", log)
	if code != exitFound || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	stories := strings.Split(out, "\n\n")
	if len(stories) != 3 || !strings.Contains(stories[0], "refused session=3") || !strings.Contains(stories[1], "session=4") ||
		!strings.Contains(stories[1], "delivered to ours-joe@ours.example") || !strings.Contains(stories[2], "auth failed") {
		t.Errorf("%d stories:\n%s", len(stories), out)
	}
	if strings.Contains(stories[1], "ann@") {
		t.Errorf("delivery 7 of another message:\n%s", stories[1])
	}
}

// The lines of programs that log into files of their own, packed and from a
// pipe, come in the order of their times.
func TestManyFiles(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var send, clients strings.Builder
	for _, line := range strings.SplitAfter(string(text), "\n") {
		if strings.Contains(line, "qmail-smtpd") {
			clients.WriteString(line)
		} else {
			send.WriteString(line)
		}
	}
	f, err := os.Create(filepath.Join(dir, "smtpd.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if _, err := z.Write([]byte(clients.String())); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	_, want, _ := run(t, "", "17641515001234560001", log)
	code, got, errs := run(t, send.String(), "17641515001234560001", "-", dir)
	if code != exitFound || got != want {
		t.Errorf("exit %d, %s\n%s\nwant\n%s", code, errs, got, want)
	}
}

// TestPackedLogIsCut: what is there counts, and the rest is missed aloud.
func TestPackedLogIsCut(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	_, want, _ := run(t, "", "17641515001234560001", log)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Flush(); err != nil { // and no end
		t.Fatal(err)
	}
	for name, packed := range map[string]string{"cut": b.String(), "empty": "", "none": "no such format"} {
		path := filepath.Join(t.TempDir(), "log.gz")
		if err := os.WriteFile(path, []byte(packed), 0o644); err != nil {
			t.Fatal(err)
		}
		logs := []string{"17641515001234560001", path}
		if name != "cut" {
			logs = append(logs, log)
		}
		code, got, errs := run(t, "", logs...)
		if code != exitFound || got != want || !strings.Contains(errs, "qmail-trace: warning: "+path+" is read up to where it is damaged: ") {
			t.Errorf("%s: exit %d, %s\n%s\nwant\n%s", name, code, errs, got, want)
		}
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	_, raw, _ := run(t, "", "--raw", "17641515001234560009", log)
	for _, line := range strings.Split(strings.TrimSuffix(raw, "\n"), "\n") {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("%q is no line of the log", line)
		}
	}
	if _, out, _ := run(t, "", "--json", "17641515001234560009", log); strings.Count(out, "\n") != strings.Count(raw, "\n") || !strings.HasPrefix(out, `{"time":"`) {
		t.Errorf("JSON:\n%s", out)
	}
	if _, out, _ := run(t, "new msg 17641515001234560001\n\x1b[2Jinfo msg\n", "--raw", "17641515001234560001", "-"); strings.Contains(out, "\x1b") {
		t.Errorf("%q", out)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		code int
		says string
	}{
		{nil, exitMisused, "usage"},
		{[]string{"joe"}, exitMisused, "usage"},
		{[]string{"--raw", "--json", "a@b"}, exitMisused, "usage"},
		{[]string{"--nonsense", "a@b"}, exitMisused, "nonsense"},
		{[]string{"nobody@b.example", log}, exitNotFound, "nobody@b.example is not in the log"},
		{[]string{"a@b", "testdata/none"}, exitTemporary, "testdata/none: no such file"},
	} {
		code, out, errs := run(t, "", tc.args...)
		if code != tc.code || out != "" || !strings.Contains(errs, tc.says) {
			t.Errorf("%v: exit %d, %q, %q", tc.args, code, out, errs)
		}
	}
}

// A pipe that is named, as a shell makes it for <(zcat log.gz), is read to its end.
func TestNamedPipe(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() {
		text, err := os.ReadFile(log)
		if err == nil {
			err = os.WriteFile(fifo, text, 0o600)
		}
		wrote <- err
	}()
	_, want, _ := run(t, "", "17641515001234560001", log)
	code, out, errs := run(t, "", "17641515001234560001", fifo)
	if err := <-wrote; err != nil || code != exitFound || errs != "" || out != want {
		t.Errorf("%v, exit %d, %s\n%s\nwant\n%s", err, code, errs, out, want)
	}
}

// An address that sends to lists has more messages than are kept in mind, and what
// is kept of one is not its line.
func TestBounded(t *testing.T) {
	t.Parallel()
	f := newFinder("news@ours.example", time.Now())
	f.begin()
	for i := range maxMessages + 1000 {
		f.visit(fmt.Sprintf("info msg 17%018d: bytes 1 from <news@ours.example> qp 1 uid 1", i))
		f.visit(fmt.Sprintf("qmail-smtpd: accepted session=%d from=news@ours.example id=17%018d", i, i))
		f.visit(fmt.Sprintf("qmail-smtpd: end session=%d", i))
	}
	if len(f.messages) > maxMessages || len(f.sessions) > maxMessages || !f.left {
		t.Errorf("%d messages and %d sessions are kept, and that there were more: %v", len(f.messages), len(f.sessions), f.left)
	}
}
