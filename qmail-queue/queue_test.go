package qmailqueue

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postrider/internal/clock"
	"postrider/internal/fdpass"
	"postrider/internal/queuedir"
	"postrider/internal/wire/submit"
	"postrider/internal/world"
)

// asQueue makes the test binary be qmail-queue, for this home directory.
const asQueue = "POSTRIDER_TEST_QUEUE_HOME"

func TestMain(m *testing.M) {
	if home := os.Getenv(asQueue); home != "" {
		os.Exit(Main(world.World{Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Home: home, Clock: clock.Real()}))
	}
	os.Exit(m.Run())
}

// home is a qmail home directory without a spool.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(queuedir.At(dir).Drop(), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// call is how a caller starts qmail-queue.
type call struct {
	home         string
	message, env string
	environ      []string
	closed       string   // sh redirections, such as "0<&-"
	limits       string   // sh commands before
	text         *os.File // descriptor 6
}

// run starts qmail-queue through a shell and returns its exit code.
func (c call) run(t *testing.T) int {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"message": c.message, "env": c.env} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	fd6 := ""
	cmd := exec.Command("/bin/sh", "-c", "")
	if c.text != nil {
		cmd.ExtraFiles = []*os.File{c.text}
		fd6 = " 6>&3 3>&-"
	}
	cmd.Args[2] = c.limits + "\nexec " + self + " < " + dir + "/message 1< " + dir + "/env" + fd6 + " " + c.closed
	cmd.Env = append([]string{asQueue + "=" + c.home}, c.environ...)
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

// drops returns how many complete messages are in drop/; nothing else may be.
func drops(t *testing.T, home, message, env string) int {
	t.Helper()
	dir := queuedir.At(home).Drop()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !queuedir.IsDropName(f.Name()) || !bytes.HasPrefix(content, []byte(message+env)) {
			t.Errorf("%s: %q", f.Name(), content)
		}
	}
	return len(found)
}

const (
	message  = "Subject: x\n\nbody\n"
	envelope = "Fa@example.org\x00Tb@example.net\x00\x00"
)

// Spec appendix A.4, and the grammar of section 1.1.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1002)
	for _, tc := range []struct {
		name, env, stored string
		code              int
	}{
		{"whole", envelope, envelope, 0},
		{"no recipients", "Fa\x00\x00", "Fa\x00\x00", 0},
		{"null sender and empty recipient", "F\x00T\x00\x00", "F\x00T\x00\x00", 0},
		{"double bounce", "F#@[]\x00Tb\x00\x00", "F#@[]\x00Tb\x00\x00", 0},
		{"bytes after the end", envelope + "Tx\x00\x00", envelope, 0},
		{"longest address", "F" + long + "\x00T" + long + "\x00\x00", "F" + long + "\x00T" + long + "\x00\x00", 0},
		{"end before the last NUL", "Fa\x00Tb\x00", "", 54},
		{"end in an address", "Fa\x00Tb", "", 54},
		{"empty", "", "", 54},
		{"no F", "Xa\x00", "", 91},
		{"unknown record", "Fa\x00Xb\x00\x00", "", 91},
		{"sender too long", "F" + long + "x\x00\x00", "", 11},
		{"recipient too long", "Fa\x00T" + long + "x\x00\x00", "", 11},
		{"much too long and cut", "F" + strings.Repeat("x", 5000), "", 11},
		{"line end in an address", "Fa\nb\x00\x00", "", 31},
		{"empty domain", "Fa\x00Tb@\x00\x00", "", 31},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := home(t)
			if code := (call{home: dir, message: message, env: tc.env}).run(t); code != tc.code {
				t.Errorf("exit %d, want %d", code, tc.code)
			}
			want := 0
			if tc.code == 0 {
				want = 1
			}
			if n := drops(t, dir, message, tc.stored); n != want {
				t.Errorf("%d messages left", n)
			}
		})
	}
}

func TestTroubleInTheQueue(t *testing.T) {
	t.Parallel()
	dir := home(t)
	if err := os.Remove(queuedir.At(dir).Drop()); err != nil {
		t.Fatal(err)
	}
	if code := (call{home: dir, message: message, env: envelope}).run(t); code != 62 {
		t.Errorf("without drop/: exit %d", code)
	}
	if code := (call{home: dir + "/none", message: message, env: envelope}).run(t); code != 61 {
		t.Errorf("without home: exit %d", code)
	}
}

// The same result whatever the caller's surroundings are (R70).
func TestHostileSurroundings(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		call call
		code int
	}{
		{"no message", call{closed: "0<&-"}, 54},
		{"no envelope", call{closed: "1<&-"}, 54},
		{"no standard error", call{closed: "2>&-"}, 0},
		{"nothing", call{closed: "0<&- 1<&- 2>&-"}, 54},
		{"message cannot be read", call{closed: "0>/dev/null"}, 54},
		{"envelope cannot be read", call{closed: "1>/dev/null"}, 54},
		{"message is a directory", call{closed: "0</"}, 54},
		{"collector off", call{environ: []string{"GOGC=off", "GOMEMLIMIT=1", "GOTRACEBACK=crash", "GOMAXPROCS=999"}}, 0},
		{"debug settings", call{environ: []string{"GODEBUG=gctrace=1,inittrace=1", "TZ=/etc/shadow", "LD_PRELOAD=/x"}}, 0},
		{"umask 0", call{limits: "umask 0"}, 0},
		{"umask 777", call{limits: "umask 777"}, 0},
		{"no core, no CPU to speak of", call{limits: "ulimit -c 0"}, 0},
		{"file size 0", call{limits: "ulimit -f 0"}, 53},
		{"few descriptors", call{limits: "ulimit -n 20"}, 0},
		{"ignored signals", call{limits: "trap '' CHLD PIPE XFSZ TERM"}, 0},
		{"ignored signals, file size 0", call{limits: "trap '' XFSZ; ulimit -f 0"}, 53},
		{"directory that is gone", call{limits: "d=$(mktemp -d) && cd $d && rmdir $d"}, 0},
		{"many descriptors", call{limits: "i=10; while [ $i -lt 60 ]; do i=$((i+1)); done; exec 7</dev/null 8</dev/null 9</dev/null"}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.call.home, tc.call.message, tc.call.env = home(t), message, envelope
			if code := tc.call.run(t); code != tc.code {
				t.Errorf("exit %d, want %d", code, tc.code)
			}
			want := 0
			if tc.code == 0 {
				want = 1
			}
			if n := drops(t, tc.call.home, message, envelope); n != want {
				t.Errorf("%d messages left", n)
			}
		})
	}
}

// A signal that means "the terminal is gone" does not stop it.
func TestSignalsAreIgnored(t *testing.T) {
	t.Parallel()
	dir := home(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{asQueue + "=" + dir}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	env, envIn, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = env // an input
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	env.Close()
	// More than a pipe holds: once it is written, the program is reading.
	body := strings.Repeat("0123456789abcde\n", 20000)
	if _, err := io.WriteString(in, body); err != nil {
		t.Fatal(err)
	}
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGXCPU, syscall.SIGXFSZ, syscall.SIGVTALRM, syscall.SIGPROF} {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	in.Close()
	if _, err := io.WriteString(envIn, envelope); err != nil {
		t.Fatal(err)
	}
	envIn.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if n := drops(t, dir, body, envelope); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// What qmail-spool says reaches the caller: as an exit code, and in words
// where it gave a pipe for them.
func TestWordsOfTheSpool(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		answer submit.Answer
		pipe   bool
		code   int
		text   string
	}{
		{"accepted", submit.Answer{Kind: submit.Accepted, ID: "17950000001234564207"}, true, 0, ""},
		{"disk full", submit.Answer{Kind: submit.Temporary, ExitCode: 53}, true, 53, ""},
		{"refused in words", submit.Answer{Kind: submit.Permanent, ExitCode: 31, Text: "no (#5.7.1)"}, true, 82, "Dno (#5.7.1)"},
		{"refused in words, no pipe", submit.Answer{Kind: submit.Permanent, ExitCode: 31, Text: "no (#5.7.1)"}, false, 31, ""},
		{"long words", submit.Answer{Kind: submit.Temporary, ExitCode: 71, Text: strings.Repeat("x", 500)}, true, 82, "Z" + strings.Repeat("x", 254)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := home(t)
			spool(t, dir, submit.AppendAnswer(nil, tc.answer))
			c := call{home: dir, message: message, env: envelope}
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if tc.pipe {
				c.text = w
			}
			code := c.run(t)
			w.Close()
			text, err := io.ReadAll(r)
			if err != nil || code != tc.code || string(text) != tc.text {
				t.Errorf("exit %d, text %q, %v", code, text, err)
			}
			if n := drops(t, dir, message, envelope); n != 0 {
				t.Errorf("%d messages were dropped as well", n)
			}
		})
	}
}

// spool answers one message on the public socket of a home.
func spool(t *testing.T, dir string, answer []byte) {
	t.Helper()
	l, err := fdpass.Listen(queuedir.At(dir).Socket(), 0o666, 8)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c, err := fdpass.Accept(l)
		if err != nil {
			return
		}
		defer c.Close()
		c.Write(submit.AppendFrame(nil, submit.Ready, []byte(submit.Version)))
		for {
			kind, n, err := submit.ReadHeader(c)
			if err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, c, int64(n)); err != nil {
				return
			}
			if kind == submit.Commit {
				c.Write(answer)
			}
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
}
