package queuectl

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"postrider/internal/address"
	"postrider/internal/clock"
	"postrider/internal/queuedir"
	"postrider/internal/world"
)

// newHome makes an installation of the tests' user, with an empty queue.
func newHome(t testing.TB) (string, queuedir.Layout) {
	t.Helper()
	home := t.TempDir()
	if os.Geteuid() == 0 { // a private installation has another owner
		if err := os.Chown(home, 12345, 12345); err != nil {
			t.Fatal(err)
		}
	}
	l := queuedir.At(home)
	dirs := []string{home + "/control", l.Root + "/lock"}
	for i := range queuedir.Buckets {
		dirs = append(dirs, l.NewDir(queuedir.BucketName(i)), l.InfoDir(queuedir.BucketName(i)))
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	put(t, l.SendLock(), "")
	put(t, home+"/control/me", "me.example.org\n")
	put(t, home+"/control/locals", "me.example.org\n")
	put(t, home+"/control/virtualdomains", "virt.example.org:joe-v\nuser@v2.example.org:jim\n")
	return home, l
}

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// born is when the messages of tests arrived, but for some microseconds.
func born() time.Time { return time.Now().Add(-3 * time.Hour).Truncate(time.Second) }

// entry puts a message into the queue.
func entry(t testing.TB, l queuedir.Layout, id queuedir.ID, uid uint32, body, sender string, recipients ...string) {
	t.Helper()
	from, err := address.New(sender)
	if err != nil {
		t.Fatal(err)
	}
	envelope := queuedir.AppendHead(nil, queuedir.Head{Sender: from, UID: uid, Arrived: id.Time()})
	for _, r := range recipients {
		to, err := address.New(r)
		if err != nil {
			t.Fatal(err)
		}
		envelope = queuedir.AppendRecipient(envelope, to)
	}
	footer := queuedir.Footer{
		Inline: len(body) <= queuedir.MaxInlineBody, BodySize: int64(len(body)), EnvelopeSize: int64(len(envelope)),
		BodyCRC: queuedir.Checksum(0, []byte(body)),
	}
	tail := queuedir.AppendFooter(envelope, footer, queuedir.Checksum(0, envelope))
	if footer.Inline {
		put(t, l.Entry(id), body+string(tail))
		return
	}
	put(t, l.Body(id), body)
	put(t, l.Entry(id), string(tail))
}

// call runs the program and returns its exit code and both outputs.
func call(t testing.TB, home string, args ...string) (code int, stdout, stderr string) {
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
	code = Main(world.World{
		Args: append([]string{"qmail-queuectl"}, args...), Home: home, Stdout: create("out"), Stderr: create("err"), Clock: clock.Real(),
	})
	read := func(name string) string {
		b, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	return code, read("out"), read("err")
}

// must is call for what must succeed; it returns the standard output.
func must(t testing.TB, home string, args ...string) string {
	t.Helper()
	code, stdout, stderr := call(t, home, args...)
	if code != 0 {
		t.Fatalf("%v: exit %d, %s", args, code, stderr)
	}
	return stdout
}

// bodyOf returns the body of a message.
func bodyOf(t testing.TB, l queuedir.Layout, id queuedir.ID) string {
	t.Helper()
	e, err := queuedir.OpenEntry(l, id)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.CheckBody(); err != nil {
		t.Fatal(err)
	}
	f, err := e.Body()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
