package show

import (
	"os"
	"strings"
	"testing"
	"time"

	"postrider/internal/address"
	"postrider/internal/queuedir"
	"postrider/internal/world"
)

var born = time.Date(2026, 11, 2, 3, 4, 5, 678000, time.UTC)

func testID(bucket int) queuedir.ID { return queuedir.NewID(born, 0, bucket) }

// queue makes a home directory with an empty queue.
func queue(t *testing.T) (string, queuedir.Layout) {
	t.Helper()
	home := t.TempDir()
	l := queuedir.At(home)
	dirs := []string{home + "/control", l.Drop()}
	for i := range queuedir.Buckets {
		dirs = append(dirs, l.NewDir(queuedir.BucketName(i)), l.InfoDir(queuedir.BucketName(i)))
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, home+"/control/me", "me.example.org\n")
	write(t, home+"/control/virtualdomains", "virt.example.org:joe-v\nuser@v2.example.org:jim\n.sub.example.org:sub\nx.sub.example.org:\n")
	write(t, home+"/control/percenthack", "pct.example.org\n")
	return home, l
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// entry puts a message into the queue.
func entry(t *testing.T, l queuedir.Layout, id queuedir.ID, body, sender string, recipients ...string) {
	t.Helper()
	from, err := address.New(sender)
	if err != nil {
		t.Fatal(err)
	}
	envelope := queuedir.AppendHead(nil, queuedir.Head{Sender: from, UID: 1, Arrived: born})
	for _, r := range recipients {
		to, err := address.New(r)
		if err != nil {
			t.Fatal(err)
		}
		envelope = queuedir.AppendRecipient(envelope, to)
	}
	footer := queuedir.Footer{
		Inline: true, BodySize: int64(len(body)), EnvelopeSize: int64(len(envelope)),
		BodyCRC: queuedir.Checksum(0, []byte(body)),
	}
	whole := queuedir.AppendFooter(append([]byte(body), envelope...), footer, queuedir.Checksum(0, envelope))
	write(t, l.Entry(id), string(whole))
}

// run runs a program and returns its exit code and both outputs.
func run(t *testing.T, program func(world.World) int, home string) (code int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	create := func(name string) *os.File {
		f, err := os.Create(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	code = program(world.World{Args: []string{"x"}, Home: home, Stdout: create("out"), Stderr: create("err")})
	read := func(name string) string {
		b, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	return code, read("out"), read("err")
}

func TestRead(t *testing.T) {
	t.Parallel()
	home, l := queue(t)
	entry(t, l, testID(3), "hello\n", "a@b.org", "joe@ME.example.org", "jim@else.where")
	entry(t, l, testID(7), "", "", "x@y.z", "u\x7f\xe9 v@y.z", "w@y.z")
	var p []byte
	p = queuedir.AppendDelivered(p, []int{0})
	p = queuedir.AppendFailed(p, 2, born, "no such user\n")
	write(t, l.Info(testID(7)), string(p))
	entry(t, l, testID(99), "x\n", "list-@h.org-@[]", "x@y.z")
	write(t, l.Body(testID(99)), "ignored")

	code, stdout, stderr := run(t, Read, home)
	want := "2 Nov 2026 03:04:05 GMT  #" + testID(3).String() + "  6  <a@b.org> \n" +
		"\tlocal\tjoe@ME.example.org\n" +
		"\tremote\tjim@else.where\n" +
		"2 Nov 2026 03:04:05 GMT  #" + testID(7).String() + "  0  <>  bouncing\n" +
		"  done\tremote\tx@y.z\n" +
		"\tremote\tu__ v@y.z\n" +
		"  done\tremote\tw@y.z\n" +
		"2 Nov 2026 03:04:05 GMT  #" + testID(99).String() + "  2  <list-@h.org-@[]> \n" +
		"\tremote\tx@y.z\n"
	if code != 0 || stdout != want || stderr != "" {
		t.Errorf("exit %d, stderr %q\n got %q\nwant %q", code, stderr, stdout, want)
	}
}

// TestRoute is spec appendix A.1.
func TestRoute(t *testing.T) {
	t.Parallel()
	home, l := queue(t)
	write(t, home+"/control/locals", "loc.example.org\n")
	entry(t, l, testID(0), "x", "", "a@loc.example.org", "info@virt.example.org", "USER@V2.example.org",
		"o@v2.example.org", "q@x.sub.example.org", "q@y.sub.example.org", "a%rem.org@pct.example.org", "noat", "b@rem.org")
	_, stdout, _ := run(t, Read, home)
	_, got, _ := strings.Cut(stdout, "\n")
	want := "\tlocal\ta@loc.example.org\n\tlocal\tjoe-v-info@virt.example.org\n\tlocal\tjim-USER@V2.example.org\n" +
		"\tremote\to@v2.example.org\n\tremote\tq@x.sub.example.org\n\tlocal\tsub-q@y.sub.example.org\n" +
		"\tremote\ta@rem.org\n\tremote\tnoat@me.example.org\n\tremote\tb@rem.org\n"
	if got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	write(t, home+"/control/virtualdomains", ":all\n")
	_, stdout, _ = run(t, Read, home)
	if !strings.Contains(stdout, "\tlocal\tall-b@rem.org\n") {
		t.Errorf("a catch-all line: got %q", stdout)
	}
}

func TestReadTrouble(t *testing.T) {
	t.Parallel()
	home, l := queue(t)
	write(t, l.Entry(testID(1)), "torn")
	entry(t, l, testID(2), "x", "a@b", "c@d")
	write(t, l.Info(testID(2)), "bad\n"+string(queuedir.AppendDelivered(nil, []int{0})))
	entry(t, l, testID(3), "x", "a@b", "c@d")
	code, stdout, _ := run(t, Read, home)
	lines := strings.Split(stdout, "\n")
	if code != 0 || len(lines) != 5 || !strings.HasPrefix(lines[0], "warning: trouble with #"+testID(1).String()+": ") ||
		!strings.HasPrefix(lines[1], "warning: trouble with #"+testID(2).String()+": ") || lines[3] != "\tremote\tc@d" {
		t.Errorf("exit %d, %q", code, stdout)
	}
	if err := os.RemoveAll(l.NewDir("05")); err != nil {
		t.Fatal(err)
	}
	code, stdout, _ = run(t, Read, home)
	if code != 111 || !strings.Contains(stdout, "fatal: unable to read "+l.NewDir("05")+": no such file") {
		t.Errorf("without a directory: exit %d, %q", code, stdout)
	}
}

func TestStat(t *testing.T) {
	t.Parallel()
	home, l := queue(t)
	for i := range 5 {
		entry(t, l, testID(i*20), "x", "", "a@b")
	}
	write(t, l.Body(testID(0)), "a body is no message")
	hidden, visible := queuedir.DropName([16]byte{1})
	write(t, l.Drop()+"/"+hidden, "being written")
	write(t, l.Drop()+"/"+visible, "left")
	code, stdout, stderr := run(t, Stat, home)
	if want := "messages in queue: 6\nmessages in queue but not yet preprocessed: 1\n"; code != 0 || stdout != want || stderr != "" {
		t.Errorf("exit %d, %q, %q, want %q", code, stdout, stderr, want)
	}
	if err := os.RemoveAll(l.Drop()); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr = run(t, Stat, home)
	if code != 0 || !strings.HasPrefix(stdout, "messages in queue: 5\n") || !strings.Contains(stderr, "qmail-qstat: warning: ") {
		t.Errorf("without drop/: exit %d, %q, %q", code, stdout, stderr)
	}
	if err := os.RemoveAll(l.NewDir("00")); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr = run(t, Stat, home); code != 111 || stdout != "" || !strings.Contains(stderr, "qmail-qstat: fatal: unable to read ") {
		t.Errorf("without new/00: exit %d, %q, %q", code, stdout, stderr)
	}
}

// TestNotPermitted: a user learns who may look.
func TestNotPermitted(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may read everything; the test hosts try this as a user")
	}
	home, l := queue(t)
	if err := os.Chmod(l.NewDir("00"), 0); err != nil {
		t.Fatal(err)
	}
	const want = "permission denied; only root and qmails may see the queue\n"
	if code, stdout, _ := run(t, Read, home); code != 111 || !strings.HasPrefix(stdout, "fatal: ") || !strings.HasSuffix(stdout, want) {
		t.Errorf("qmail-qread: exit %d, %q", code, stdout)
	}
	if code, _, stderr := run(t, Stat, home); code != 111 || !strings.HasSuffix(stderr, want) {
		t.Errorf("qmail-qstat: exit %d, %q", code, stderr)
	}
}
