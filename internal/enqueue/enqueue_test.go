package enqueue

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/fate"
	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/wire/submit"
)

// home is a qmail home directory whose queue has a drop/ and no spool.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(queuedir.At(dir).Drop(), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// received is what a spool got in one connection.
type received struct {
	body, env []byte
	nonce     queuedir.Nonce
	commits   int
}

// spool answers on the public socket of a home: answer is what it writes after
// the commit, nothing to close without an answer.
func spool(t *testing.T, dir string, greeting, answer []byte) <-chan received {
	t.Helper()
	l, err := fdpass.Listen(queuedir.At(dir).Socket(), 0o666, 8)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan received, 8)
	go func() {
		for {
			c, err := fdpass.Accept(l)
			if err != nil {
				close(got)
				return
			}
			c.Write(greeting)
			got <- converse(c, answer)
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		for range got {
		}
	})
	return got
}

func converse(c io.ReadWriter, answer []byte) received {
	var r received
	for {
		kind, n, err := submit.ReadHeader(c)
		if err != nil {
			return r
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(c, payload); err != nil {
			return r
		}
		switch kind {
		case submit.Message:
			r.body = append(r.body, payload...)
		case submit.Envelope:
			r.env = append(r.env, payload...)
		case submit.Commit:
			r.nonce = queuedir.Nonce(payload)
			r.commits++
			if answer == nil {
				return r
			}
			c.Write(answer)
		}
	}
}

var ready = submit.AppendFrame(nil, submit.Ready, []byte(submit.Version))

const id = "17950000001234564207"

func accepts() []byte { return submit.AppendAnswer(nil, submit.Answer{Kind: submit.Accepted, ID: id}) }

// put submits a message of one sender and one recipient.
func put(o Options, body string) (string, error) {
	s, err := Begin(o)
	if err != nil {
		return "", err
	}
	defer s.Abort()
	for p := []byte(body); len(p) > 0; {
		n := min(len(p), 5000)
		if _, err := s.Write(p[:n]); err != nil {
			return "", err
		}
		p = p[n:]
	}
	if err := s.Sender("a@example.org"); err != nil {
		return "", err
	}
	if err := s.Recipient("b@example.net"); err != nil {
		return "", err
	}
	return s.Commit()
}

const envelope = "Fa@example.org\x00Tb@example.net\x00\x00"

// drops returns the contents of drop/, which must hold complete files only.
func drops(t *testing.T, dir string) (bodies []string, nonces []queuedir.Nonce) {
	t.Helper()
	found, err := os.ReadDir(queuedir.At(dir).Drop())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		content, err := os.ReadFile(filepath.Join(queuedir.At(dir).Drop(), f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !queuedir.IsDropName(f.Name()) || len(content) < queuedir.DropFooterSize {
			t.Fatalf("%s with %d bytes", f.Name(), len(content))
		}
		end := len(content) - queuedir.DropFooterSize
		footer, err := queuedir.ParseDropFooter(content[end:])
		if err != nil || !footer.Fits(int64(len(content))) || !footer.Checks(queuedir.Checksum(0, content[:end]), content[end:]) {
			t.Fatalf("%s: footer %+v, %v", f.Name(), footer, err)
		}
		if env := string(content[footer.BodySize:end]); env != envelope {
			t.Errorf("envelope %q", env)
		}
		if info, err := f.Info(); err != nil || info.Mode().Perm() != dropMode {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		bodies = append(bodies, string(content[:footer.BodySize]))
		nonces = append(nonces, footer.Nonce)
	}
	return bodies, nonces
}

var bodies = map[string]string{
	"empty": "", "small": "Subject: x\n\nbody\n",
	"large": strings.Repeat("0123456789abcde\n", 20000),
}

func TestToTheSpool(t *testing.T) {
	t.Parallel()
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := home(t)
			got := spool(t, dir, ready, accepts())
			qp, err := put(Options{Home: dir}, body)
			if err != nil || qp != id {
				t.Fatalf("%q, %v", qp, err)
			}
			r := <-got
			if string(r.body) != body || string(r.env) != envelope || r.commits != 1 || r.nonce == (queuedir.Nonce{}) {
				t.Errorf("%d bytes, envelope %q, %d commits, nonce %v", len(r.body), r.env, r.commits, r.nonce)
			}
			if left, _ := drops(t, dir); len(left) != 0 {
				t.Error("it was dropped as well")
			}
		})
	}
}

func TestWithoutSpool(t *testing.T) {
	t.Parallel()
	busy := submit.AppendFrame(nil, submit.Busy, nil)
	for state, start := range map[string]func(t *testing.T, dir string){
		"no socket": func(*testing.T, string) {},
		"busy":      func(t *testing.T, dir string) { spool(t, dir, busy, nil) },
		"nobody listens": func(t *testing.T, dir string) {
			l, err := fdpass.Listen(queuedir.At(dir).Socket(), 0o666, 1)
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
		},
	} {
		for name, body := range bodies {
			t.Run(state+"/"+name, func(t *testing.T) {
				t.Parallel()
				dir := home(t)
				start(t, dir)
				if qp, err := put(Options{Home: dir}, body); err != nil || qp == "" {
					t.Fatalf("%q, %v", qp, err)
				}
				if got, _ := drops(t, dir); len(got) != 1 || got[0] != body {
					t.Errorf("%d drops", len(got))
				}
			})
		}
	}
}

// The answer to a commit is lost: a small message is dropped with the nonce of
// the commit, a large one is refused, since nobody has it any more.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	dir := home(t)
	got := spool(t, dir, ready, nil)
	if _, err := put(Options{Home: dir}, bodies["small"]); err != nil {
		t.Fatal(err)
	}
	r := <-got
	left, nonces := drops(t, dir)
	if len(left) != 1 || r.commits != 1 || nonces[0] != r.nonce {
		t.Errorf("%d drops, nonces %v, sent %v", len(left), nonces, r.nonce)
	}
	_, err := put(Options{Home: dir}, bodies["large"])
	if ExitCode(err) != ExitWrite || fate.ClassOf(err) != fate.Temporary {
		t.Errorf("large: %v", err)
	}
	if left, _ := drops(t, dir); len(left) != 1 {
		t.Errorf("%d drops", len(left))
	}
}

func TestSpoolRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		answer  submit.Answer
		class   fate.Class
		text    string
		explain string
	}{
		{submit.Answer{Kind: submit.Temporary, ExitCode: ExitWrite}, fate.Temporary, "qq write error or disk full (#4.3.0)", ""},
		{submit.Answer{Kind: submit.Permanent, ExitCode: ExitTooLong}, fate.Permanent, "envelope address too long for qq (#5.1.3)", ""},
		{submit.Answer{Kind: submit.Permanent, ExitCode: ExitRefused, Text: "no (#5.7.1)"}, fate.Permanent, "no (#5.7.1)", "Dno (#5.7.1)"},
		{submit.Answer{Kind: submit.Temporary, ExitCode: 71, Text: "later"}, fate.Temporary, "later", "Zlater"},
	} {
		dir := home(t)
		got := spool(t, dir, ready, submit.AppendAnswer(nil, tc.answer))
		_, err := put(Options{Home: dir}, "x")
		var e *fate.Error
		if !errors.As(err, &e) || e.Class != tc.class || e.Text != tc.text || ExitCode(err) != tc.answer.ExitCode || Explanation(err) != tc.explain {
			t.Errorf("%+v: %#v, exit %d, explained %q", tc.answer, e, ExitCode(err), Explanation(err))
		}
		<-got
		if left, _ := drops(t, dir); len(left) != 0 {
			t.Errorf("%+v: dropped all the same", tc.answer)
		}
	}
}

func TestBadAddresses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		a    string
		code int
	}{
		"too long": {strings.Repeat("x", 1003), ExitTooLong}, "line end": {"a\nb", ExitRefused}, "empty domain": {"a@", ExitRefused},
	} {
		dir := home(t)
		s, err := Begin(Options{Home: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Sender(""); err != nil {
			t.Fatal(err)
		}
		if err := s.Recipient(tc.a); ExitCode(err) != tc.code || fate.ClassOf(err) != fate.Permanent {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Commit(); ExitCode(err) != tc.code {
			t.Errorf("%s: commit: %v", name, err)
		}
		if left, _ := drops(t, dir); len(left) != 0 {
			t.Errorf("%s: dropped", name)
		}
	}
}

// Nothing is left after any failure or abort.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	dir := home(t)
	s, err := Begin(Options{Home: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(bytes.Repeat([]byte("x"), 200000)); err != nil { // in drop/ by now
		t.Fatal(err)
	}
	s.Abort()
	if found, err := os.ReadDir(queuedir.At(dir).Drop()); err != nil || len(found) != 0 {
		t.Errorf("after abort: %v, %v", found, err)
	}
	if err := os.Remove(queuedir.At(dir).Drop()); err != nil {
		t.Fatal(err)
	}
	if _, err := put(Options{Home: dir}, "x"); ExitCode(err) != ExitQueue {
		t.Errorf("without drop/: %v", err)
	}
	if _, err := put(Options{Home: dir + "/none"}, "x"); ExitCode(err) != ExitHome {
		t.Errorf("without home: %v", err)
	}
}

// script makes a queue program.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "queue")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestQueueProgram(t *testing.T) {
	t.Parallel()
	dir := home(t)
	for name, body := range bodies {
		// It reads its message, then its envelope, in the home directory.
		program := script(t, `cat > "$OUT.body" && cat <&1 > "$OUT.env" && pwd > "$OUT.cwd" && echo $$ > "$OUT.pid"`)
		out := filepath.Join(t.TempDir(), "out")
		qp, err := put(Options{Home: dir, QueueProgram: program, Environ: []string{"OUT=" + out, "PATH=/usr/bin:/bin"}}, body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for suffix, want := range map[string]string{".body": body, ".env": envelope, ".cwd": dir + "\n", ".pid": qp + "\n"} {
			if got, err := os.ReadFile(out + suffix); err != nil || string(got) != want {
				t.Errorf("%s: %s has %d bytes, %v", name, suffix, len(got), err)
			}
		}
	}
}

func TestQueueProgramExits(t *testing.T) {
	t.Parallel()
	dir := home(t)
	for _, tc := range []struct {
		name, script string
		code         int
		class        fate.Class
		text         string
	}{
		{"too long", "exit 11", 11, fate.Permanent, "envelope address too long for qq (#5.1.3)"},
		{"legacy too long", "exit 115", 115, fate.Permanent, "envelope address too long for qq (#5.1.3)"},
		{"refused", "exit 31", 31, fate.Permanent, "mail server permanently rejected message (#5.3.0)"},
		{"other permanent", "exit 40", 40, fate.Permanent, "qq permanent problem (#5.3.0)"},
		{"success without the message", "exit 0", ExitRead, fate.Temporary, "qq read error (#4.3.0)"},
		{"success without the envelope", "exec 1<&-; cat >/dev/null; exit 0", ExitRead, fate.Temporary, "qq read error (#4.3.0)"},
		{"not permanent", "exit 41", 41, fate.Temporary, "qq temporary problem (#4.3.0)"},
		{"memory", "exit 51", 51, fate.Temporary, "qq out of memory (#4.3.0)"},
		{"disk", "exit 53", 53, fate.Temporary, "qq write error or disk full (#4.3.0)"},
		{"connect", "exit 72", 72, fate.Temporary, "connection to mail server timed out (#4.4.1)"},
		{"broke", "exit 74", 74, fate.Temporary, "communication with mail server failed (#4.4.2)"},
		{"hundred is temporary here", "exit 100", 100, fate.Temporary, "qq temporary problem (#4.3.0)"},
		{"killed", "kill -9 $$", ExitBug, fate.Temporary, "qq crashed (#4.3.0)"},
		{"text, permanent", "cat >/dev/null; printf 'Dspam (#5.7.1)' >&6; exit 82", 82, fate.Permanent, "spam (#5.7.1)"},
		{"text, temporary", "printf 'Zgreylisted' >&6; exit 82", 82, fate.Temporary, "greylisted"},
		{"text of another lineage", "printf 'Dvirus' >&4; exit 88", 88, fate.Permanent, "virus"},
		{"a flood of text", "cat >/dev/null; printf Dno >&6; head -c 300000 /dev/zero | tr '\\0' o >&6; exit 82", 82, fate.Permanent, "n" + strings.Repeat("o", 253)},
		{"text too short", "printf D >&6; exit 82", 82, fate.Temporary, "qq temporary problem (#4.3.0)"},
		{"text without class", "printf nonsense >&6; exit 82", 82, fate.Temporary, "qq temporary problem (#4.3.0)"},
		{"text of a success", "cat >/dev/null; cat <&1 >/dev/null; printf Dno >&6; exit 31", 31, fate.Permanent, "mail server permanently rejected message (#5.3.0)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := Options{Home: dir, QueueProgram: script(t, tc.script), Environ: []string{"PATH=/usr/bin:/bin"}}
			_, err := put(o, bodies["large"])
			var e *fate.Error
			if !errors.As(err, &e) || e.Class != tc.class || e.Text != tc.text || ExitCode(err) != tc.code {
				t.Errorf("%#v, exit %d", e, ExitCode(err))
			}
		})
	}
	if _, err := put(Options{Home: dir, QueueProgram: "/nowhere"}, "x"); ExitCode(err) != exitExec {
		t.Errorf("no program: %v", err)
	}
	if _, err := put(Options{Home: "/nowhere", QueueProgram: "/bin/true"}, "x"); ExitCode(err) != ExitHome {
		t.Errorf("no home: %v", err)
	}
}

// A background process that holds the text's descriptor does not stall us.
func TestQueueProgramLeavesAChild(t *testing.T) {
	t.Parallel()
	o := Options{Home: home(t), QueueProgram: script(t, "sleep 30 </dev/null >/dev/null 2>&1 & printf 'Dno' >&6; exit 82"), Environ: []string{"PATH=/usr/bin:/bin"}}
	begun := time.Now()
	_, err := put(o, "x")
	if ExitCode(err) != 82 || fate.ClassOf(err) != fate.Permanent {
		t.Errorf("%v", err)
	}
	if waited := time.Since(begun); waited > 15*time.Second {
		t.Errorf("waited %v", waited)
	}
}

// TestTimeOfAQueueProgram: what a program under a time limit leaves behind has that
// time, too, and no more. One that is killed leaves nothing.
//
// Not parallel: a program without a limit would be taken for what is left behind.
func TestTimeOfAQueueProgram(t *testing.T) {
	const limit = 2 * time.Second
	for _, c := range []struct {
		script string
		code   int
	}{
		{"cat >/dev/null; cat <&1 >/dev/null", ExitOK},
		{"exec sleep 1000", ExitTimeout},
	} {
		out := filepath.Join(t.TempDir(), "pid")
		o := Options{Home: home(t), QueueProgram: script(t, "setsid sleep 200 </dev/null >/dev/null 2>&1 4>&1 6>&1 & echo $! >"+out+"; "+c.script),
			Environ: []string{"PATH=/usr/bin:/bin"}, Limit: limit}
		begun := time.Now()
		if _, err := put(o, "x"); ExitCode(err) != c.code {
			t.Errorf("%s: %v", c.script, err)
		}
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		early := time.Since(begun) < limit/2
		if lives := isThere(t, string(text)); early && !lives {
			t.Errorf("%s: what is left behind has no time", c.script)
		}
		for isThere(t, string(text)) {
			if time.Since(begun) > time.Minute {
				t.Fatalf("%s: it is there for ever", c.script)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(begun); took < limit {
			t.Errorf("%s: it ended after %v", c.script, took)
		}
	}
}

// isThere tells whether a process has not ended.
func isThere(t *testing.T, pid string) bool {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + strings.TrimSpace(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// An abort ends the envelope too early: the program sees no closing NUL.
func TestQueueProgramAbort(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "env")
	s, err := Begin(Options{Home: home(t), QueueProgram: script(t, "cat >/dev/null; cat <&1 > "+out), Environ: []string{"PATH=/usr/bin:/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Sender("a@example.org"); err != nil {
		t.Fatal(err)
	}
	s.Abort()
	if got, err := os.ReadFile(out); err != nil || string(got) != "Fa@example.org\x00" {
		t.Errorf("%q, %v", got, err)
	}
}

// The program gets no descriptor of ours.
func TestQueueProgramDescriptors(t *testing.T) {
	t.Parallel()
	extra, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer extra.Close()
	out := filepath.Join(t.TempDir(), "fds")
	o := Options{Home: home(t), QueueProgram: script(t, "ls /proc/$$/fd > "+out+"; cat >/dev/null; cat <&1 >/dev/null"), Environ: []string{"PATH=/usr/bin:/bin"}}
	if _, err := put(o, "x"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range strings.Fields(string(got)) {
		var n int
		if _, err := fmt.Sscan(fd, &n); err != nil || n > programText && n < 10 {
			t.Errorf("descriptor %s is open: %q", fd, got)
		}
	}
}

// On a host without a queue bin/qmail-queue is qmail-qmqpc, and everything goes
// through it. No other link counts.
func TestStandIn(t *testing.T) {
	t.Parallel()
	dir := home(t)
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "bin", "qmail-queue")
	program := filepath.Join(dir, "bin", "qmail-qmqpc")
	if err := os.Rename(script(t, "cat >/dev/null && cat <&1 >/dev/null; exit 73"), program); err != nil {
		t.Fatal(err)
	}
	for target, code := range map[string]int{"qmail-qmqpc": 73, program: 73, "/else/not-qmail-qmqpc": ExitOK, "/else/qmail-queue": ExitOK} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if _, err := put(Options{Home: dir}, "x"); ExitCode(err) != code {
			t.Errorf("%s: %v", target, err)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
}
