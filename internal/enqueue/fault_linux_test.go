package enqueue

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/fate"
	"postrider/internal/faulttest"
	"postrider/internal/fdpass"
	"postrider/internal/offspring"
	"postrider/internal/queuedir"
	"postrider/internal/wire/submit"
)

// A message that cannot be made durable is told of as a trouble that may pass,
// with the code for what failed, and nothing of it is in drop/ or open.
func TestDropThatFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		call uint32
		code int
		size int
	}{
		{unix.SYS_OPENAT, ExitQueue, 1},
		{unix.SYS_FCHMOD, ExitQueue, 1},
		{unix.SYS_WRITE, ExitWrite, 1},
		{unix.SYS_WRITE, ExitWrite, dropBuffer},
		{unix.SYS_WRITE, ExitWrite, 3 * inMemory},
		{unix.SYS_RENAMEAT, ExitWrite, 1},
		{unix.SYS_FSYNC, ExitWrite, 1},
		{unix.SYS_FSTATFS, ExitWrite, 1},
	} {
		dir := home(t)
		faulttest.Run(t, c.call, unix.EIO, func() {
			_, err := put(Options{Home: dir}, strings.Repeat("x", c.size))
			if ExitCode(err) != c.code || fate.ClassOf(err) != fate.Temporary || !errors.Is(err, unix.EIO) {
				t.Errorf("call %d, %d bytes: %v", c.call, c.size, err)
			}
		})
		if left, err := os.ReadDir(queuedir.At(dir).Drop()); err != nil || len(left) != 0 {
			t.Errorf("call %d, %d bytes: left are %v, %v", c.call, c.size, left, err)
		}
		if open := faulttest.Open(t, dir); len(open) != 0 {
			t.Errorf("call %d, %d bytes: open are %q", c.call, c.size, open)
		}
	}
	dir := home(t)
	if err := os.Remove(queuedir.At(dir).Drop()); err != nil {
		t.Fatal(err)
	}
	if _, err := put(Options{Home: dir}, bodies["large"]); ExitCode(err) != ExitQueue {
		t.Errorf("a large message without drop/: %v", err)
	}
}

// Where a file system's sync is not known to tell of its errors, all are synced.
func TestSyncElsewhere(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/dev/shm", "enqueue")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(dir)
	f, err := os.Create(dir + "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := &dropSink{fd: int(f.Fd())}
	// The sync of everything has no result; here it does nothing.
	faulttest.Run(t, unix.SYS_SYNC, unix.EPERM, func() {
		if !faulttest.Fail(t, unix.SYS_SYNCFS, unix.EIO) {
			return
		}
		if err := d.sync(); err != nil {
			t.Errorf("got %v", err)
		}
	})
}

// The largest file that qmail-spool takes is written, and none that is a byte
// larger.
func TestLargestDrop(t *testing.T) {
	t.Parallel()
	const most = queuedir.MaxDrop - int64(queuedir.DropFooterSize)
	for _, c := range []struct {
		body, env int64
		kind      byte
		want      error
	}{
		{most - 3, 0, submit.Message, nil}, {most - 2, 0, submit.Message, unix.EFBIG},
		{most - 5, 2, submit.Envelope, nil}, {most - 4, 2, submit.Envelope, unix.EFBIG}, {most - 4, 2, submit.Message, unix.EFBIG},
	} {
		d := &dropSink{fd: -1, footer: queuedir.DropFooter{BodySize: c.body, EnvelopeSize: c.env}}
		if err := d.write(c.kind, []byte("abc")); !errors.Is(err, c.want) || ExitCode(err) != ExitWrite && err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// deaf is a spool that greets and takes nothing.
func deaf(t *testing.T, dir string) (connections func() int) {
	t.Helper()
	l, err := fdpass.Listen(queuedir.At(dir).Socket(), 0o666, 8)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	n := 0
	go func() {
		defer close(ended)
		for {
			c, err := fdpass.Accept(l)
			if err != nil {
				return
			}
			n++
			if fd, err := fdpass.Descriptor(c); err == nil {
				unix.Shutdown(fd, unix.SHUT_RD)
			}
			c.Write(ready)
			defer c.Close()
		}
	}()
	stop := func() int {
		l.Close()
		<-ended
		return n
	}
	t.Cleanup(func() { stop() })
	return stop
}

// A spool that ends the connection before it has a large message is tried again,
// and then the message goes into drop/, whole.
func TestSpoolThatTakesNothing(t *testing.T) {
	t.Parallel()
	dir := home(t)
	connections := deaf(t, dir)
	if qp, err := put(Options{Home: dir}, bodies["large"]); err != nil || qp == "" {
		t.Errorf("%q, %v", qp, err)
	}
	if got, _ := drops(t, dir); len(got) != 1 || got[0] != bodies["large"] {
		t.Errorf("%d drops", len(got))
	}
	if n := connections(); n != attempts {
		t.Errorf("tried %d times", n)
	}
	if open := faulttest.Open(t, dir); len(open) != 0 {
		t.Errorf("open are %q", open)
	}
}

// A connection that was lost once the large message is on its way is an error of
// that message: nobody has all of it.
func TestLostConnection(t *testing.T) {
	t.Parallel()
	one, other, err := fdpass.Pair(unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s := &spoolSink{f: one}
	one.Close()
	_, commitErr := s.commit()
	for name, err := range map[string]error{"write": s.write(submit.Message, []byte("x")), "commit": commitErr} {
		if ExitCode(err) != ExitWrite || fate.ClassOf(err) != fate.Temporary || !strings.HasPrefix(Trouble(err), "send to qmail-spool: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	one, other, err = fdpass.Pair(unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	s = &spoolSink{f: one}
	if err := s.write(submit.Message, []byte("x")); ExitCode(err) != ExitWrite || !errors.Is(err, unix.EPIPE) {
		t.Errorf("to nobody: %v", err)
	}
	s.abort()
	if err := one.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("an abort leaves it open: %v", err)
	}
}

// A large message is cut into frames that the protocol allows.
func TestFrames(t *testing.T) {
	t.Parallel()
	one, other, err := fdpass.Pair(unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	text := bytes.Repeat([]byte("0123456789"), submit.MaxFrame/10+3)
	go func() {
		s := &spoolSink{f: one}
		if err := s.write(submit.Message, text); err != nil {
			t.Errorf("write: %v", err)
		}
		s.abort()
	}()
	if r := converse(other, nil); !bytes.Equal(r.body, text) {
		t.Errorf("%d bytes of %d", len(r.body), len(text))
	}
}

// What a spool answers means to one that speaks the protocol itself what it means
// here; that the queue is full is said as such.
func TestVerdict(t *testing.T) {
	t.Parallel()
	if got, err := Verdict(submit.Answer{Kind: submit.Accepted, ID: id}); got != id || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for text, status := range map[string]string{"full (#4.3.1)": "4.3.1", "later (#4.3.0)": "4.3.0", "(#4.3.1) not": "4.3.0"} {
		var e *fate.Error
		if _, err := Verdict(submit.Answer{Kind: submit.Temporary, ExitCode: 71, Text: text}); !errors.As(err, &e) || e.Status() != status || e.Text != text {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Each code of the specification has its text, and the class of its number.
func TestCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]string{
		10: "qq temporary problem (#4.3.0)", 11: "envelope address too long for qq (#5.1.3)", 12: "qq permanent problem (#5.3.0)",
		31: "mail server permanently rejected message (#5.3.0)", 40: "qq permanent problem (#5.3.0)", 41: "qq temporary problem (#4.3.0)",
		51: "qq out of memory (#4.3.0)", 52: "qq timeout (#4.3.0)", 53: "qq write error or disk full (#4.3.0)", 54: "qq read error (#4.3.0)",
		55: "qq unable to read configuration (#4.3.0)", 56: "qq trouble making network connection (#4.3.0)", 61: "qq trouble in home directory (#4.3.0)",
		62: "qq trouble creating files in queue (#4.3.0)", 63: "qq trouble creating files in queue (#4.3.0)", 66: "qq trouble creating files in queue (#4.3.0)",
		71: "mail server temporarily rejected message (#4.3.0)", 72: "connection to mail server timed out (#4.4.1)", 73: "connection to mail server rejected (#4.4.1)",
		74: "communication with mail server failed (#4.4.2)", 81: "qq internal bug (#4.3.0)", 91: "qq internal bug (#4.3.0)", 115: "envelope address too long for qq (#5.1.3)",
		120: "unable to exec qq (#4.3.0)",
	} {
		err := failure(code, "try", nil)
		if err.Text != want || ExitCode(err) != code || (err.Class == fate.Permanent) != strings.Contains(want, "(#5.") {
			t.Errorf("%d: %q, class %v", code, err.Text, err.Class)
		}
	}
}

// Whatever an error is, it has a code, and says who has to mend what.
func TestErrorsOfOthers(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	silent, custom := failure(71, "try", nil), explained(ExitCustom, true, "7.1", "spam", "try")
	broken := failure(ExitWrite, "write it", cause)
	for _, c := range []struct {
		err                  error
		code                 int
		explanation, trouble string
	}{
		{nil, ExitOK, "", ""},
		{cause, ExitWrite, "", ""},
		{fate.Temp("3.0", "later", "try", cause), ExitWrite, "", ""},
		{fate.Perm("7.1", "never", "try", cause), ExitRefused, "", ""},
		{silent, 71, "", ""},
		{custom, ExitCustom, "Dspam", ""},
		{explained(ExitCustom, false, "7.1", "greylisted", "try"), ExitCustom, "Zgreylisted", ""},
		{broken, ExitWrite, "", broken.Error()},
		{fmt.Errorf("around it: %w", broken), ExitWrite, "", broken.Error()},
		{&exitStatus{code: 5, custom: true, err: cause}, 5, "", ""},
	} {
		if got := ExitCode(c.err); got != c.code {
			t.Errorf("%v: code %d", c.err, got)
		}
		if got := Explanation(c.err); got != c.explanation {
			t.Errorf("%v: explained %q", c.err, got)
		}
		if got := Trouble(c.err); got != c.trouble {
			t.Errorf("%v: trouble %q", c.err, got)
		}
	}
	if !errors.Is(broken, cause) || !strings.Contains(broken.Error(), "write it") || !strings.Contains(broken.Error(), "cause") {
		t.Errorf("%v", broken)
	}
	if !strings.Contains(silent.Error(), "71") {
		t.Errorf("%v does not tell its code", silent)
	}
}

// Facts go to the queue in their place, and to no queue program.
func TestFacts(t *testing.T) {
	t.Parallel()
	dir := home(t)
	got := spool(t, dir, ready, accepts())
	out := filepath.Join(t.TempDir(), "env")
	program := script(t, "cat >/dev/null; cat <&1 > "+out)
	for _, o := range []Options{{Home: dir}, {Home: dir, QueueProgram: program, Environ: []string{"PATH=/usr/bin:/bin"}}} {
		s, err := Begin(o)
		if err != nil {
			t.Fatal(err)
		}
		if s.TakesFacts() != (o.QueueProgram == "") {
			t.Errorf("%+v takes facts: %v", o, s.TakesFacts())
		}
		if err := errors.Join(s.Sender("a@example.org"), s.Fact('X', "fact"), s.Recipient("b@example.net")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if r := <-got; string(r.env) != "Fa@example.org\x00Xfact\x00Tb@example.net\x00\x00" {
		t.Errorf("to the queue: %q", r.env)
	}
	if env, err := os.ReadFile(out); err != nil || string(env) != envelope {
		t.Errorf("to the program: %q, %v", env, err)
	}
}

// The first error of a submission stays, and nothing is sent after it.
func TestFirstErrorStays(t *testing.T) {
	t.Parallel()
	dir := home(t)
	s, err := Begin(Options{Home: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(queuedir.At(dir).Drop()); err != nil {
		t.Fatal(err)
	}
	n, first := s.Write(make([]byte, inMemory+1))
	if n != 0 || ExitCode(first) != ExitQueue {
		t.Fatalf("%d, %v", n, first)
	}
	n, again := s.Write([]byte("x"))
	_, commit := s.Commit()
	for name, err := range map[string]error{"write": again, "sender": s.Sender("a"), "recipient": s.Recipient("b"), "fact": s.Fact('X', "x"), "commit": commit} {
		if err != first {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n != 0 {
		t.Errorf("%d bytes are taken", n)
	}
	s.Abort()
}

// As much as fits into memory goes there, and nobody is asked before the commit; a
// byte more is sent on its way.
func TestMemory(t *testing.T) {
	t.Parallel()
	for size, way := range map[int]bool{inMemory: false, inMemory + 1: true} {
		dir := home(t)
		d, err := newDirect(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.message(make([]byte, 10)), d.envelope(make([]byte, 20)), d.message(make([]byte, size-30))); err != nil {
			t.Fatal(err)
		}
		if (d.out != nil) != way {
			t.Errorf("%d bytes are on their way: %v", size, d.out != nil)
		}
		d.abort()
	}
}

// A program that cannot be started has nothing of ours open, and its error says
// which one that was. Not parallel: pipes are counted.
func TestProgramThatIsNone(t *testing.T) {
	dir := home(t)
	before := faulttest.Open(t, "pipe:")
	for _, limit := range []time.Duration{0, time.Minute} {
		if _, err := Begin(Options{Home: dir, QueueProgram: "/nowhere", Limit: limit}); ExitCode(err) != exitExec || !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "/nowhere") {
			t.Errorf("limit %v: %v", limit, err)
		}
	}
	faulttest.Run(t, unix.SYS_PIPE2, unix.EMFILE, func() {
		if _, err := Begin(Options{Home: dir, QueueProgram: "/bin/true"}); ExitCode(err) != ExitRead || !errors.Is(err, unix.EMFILE) {
			t.Errorf("no pipes: %v", err)
		}
	})
	for range 3 {
		if _, err := put(Options{Home: dir, QueueProgram: script(t, "exit 31"), Environ: []string{"PATH=/usr/bin:/bin"}}, "x"); ExitCode(err) != 31 {
			t.Errorf("a program: %v", err)
		}
	}
	if after := faulttest.Open(t, "pipe:"); len(after) != len(before) {
		t.Errorf("open were %q, and are %q", before, after)
	}
}

// A program gets our environment if it is given none, its own descriptor 2, and
// its text is read from the descriptor that it is told of.
func TestProgramsWorld(t *testing.T) {
	t.Parallel()
	dir := home(t)
	said, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	program := script(t, `cat >/dev/null; cat <&1 >/dev/null; echo "$PATH" >&2; exit 31`)
	if _, err := put(Options{Home: dir, QueueProgram: program, Stderr: said}, "x"); ExitCode(err) != 31 {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(said.Name()); err != nil || string(text) != os.Getenv("PATH")+"\n" {
		t.Errorf("it said %q, %v", text, err)
	}
	for value, want := range map[string]string{"3": "text", "5": "text", "6": "text", "1": "", "7": "", "x": ""} {
		o := Options{Home: dir, QueueProgram: script(t, "printf Dtext 2>/dev/null >&"+strings.Replace(value, "x", "9", 1)+"; exit 82"), Environ: []string{"PATH=/usr/bin:/bin", "ERROR_FD=" + value}}
		_, err := put(o, "x")
		if got := strings.TrimPrefix(Explanation(err), "D"); got != want {
			t.Errorf("ERROR_FD=%s: %q, %v", value, got, err)
		}
	}
	for _, c := range []struct {
		environ []string
		fd      int
		named   bool
	}{
		{nil, 0, false}, {[]string{"ERROR_FD=2"}, 2, true}, {[]string{"ERROR_FD=6"}, 6, true}, {[]string{"ERROR_FD=7"}, 7, false}, {[]string{"ERROR_FD=1"}, 1, false},
		{[]string{"ERROR_FD="}, 0, false}, {[]string{"ERROR_FDX=3"}, 0, false},
	} {
		if fd, named := textDescriptor(c.environ); named != c.named || named && fd != c.fd {
			t.Errorf("%q: %d, %v", c.environ, fd, named)
		}
	}
}

// Who starts programs in a way of his own does so with a limit; a program that he
// could not bound is ended.
func TestStartBy(t *testing.T) {
	dir := home(t)
	var started int
	o := Options{Home: dir, QueueProgram: script(t, "exec sleep 1000"), Environ: []string{"PATH=/usr/bin:/bin"}, Limit: time.Hour}
	fault := errors.New("not bounded")
	o.StartBy = func(fork func() (int, error)) (int, error) {
		var err error
		if started, err = fork(); err != nil {
			t.Errorf("fork: %v", err)
		}
		return started, fault
	}
	if _, err := Begin(o); ExitCode(err) != exitExec || !errors.Is(err, fault) {
		t.Errorf("got %v", err)
	}
	if err := unix.Kill(started, 0); started <= 0 || err != unix.ESRCH {
		t.Errorf("process %d: %v", started, err)
	}
}

// Who is given up is killed, and not waited for until his limit.
func TestGiveUp(t *testing.T) {
	giveUp := make(chan struct{})
	close(giveUp)
	o := Options{Home: home(t), QueueProgram: script(t, "exec sleep 1000"), Environ: []string{"PATH=/usr/bin:/bin"}, Limit: time.Hour, GiveUp: giveUp}
	if _, err := put(o, "x"); ExitCode(err) != ExitTimeout {
		t.Errorf("got %v", err)
	}
}

// What cannot be written to a program, and what cannot be waited for, has its own
// code.
func TestPipesThatFail(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := &program{}
	if err := w.SetWriteDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := p.write(w, []byte("x")); ExitCode(err) != ExitTimeout || !errors.Is(err, os.ErrDeadlineExceeded) || p.unread {
		t.Errorf("too late: %v", err)
	}
	w.Close()
	if err := p.write(w, []byte("x")); ExitCode(err) != ExitWrite || !errors.Is(err, os.ErrClosed) || p.unread {
		t.Errorf("closed: %v", err)
	}
	p.watch = watchProgram(1<<30, offspring.Family{}, 0, nil) // nobody
	if _, err := p.wait(); ExitCode(err) != ExitBug || !errors.Is(err, unix.ECHILD) || fate.ClassOf(err) != fate.Temporary {
		t.Errorf("nobody: %v", err)
	}
}
