package filter

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/control"
	"postrider/internal/enqueue"
	"postrider/internal/fate"
	"postrider/internal/fdpass"
	"postrider/internal/scratch"
	"postrider/internal/wire/filter"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/submit"
)

// patience bounds every wait of a test: it is reached only when one fails.
const patience = 30 * time.Second

// drain is short: programs of tests hang on purpose.
const drain = 100 * time.Millisecond

// host is a running daemon with a link to it.
type host struct {
	t       *testing.T
	home    string
	d       *daemon
	log     *lines
	channel *parent.Channel
	link    *fdpass.Packets
	ended   chan error
}

// lines is a log.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Line(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, s)
}

func (l *lines) Status(s string) { l.Line(s) }

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

// startHost runs a daemon whose rule for everybody names a script.
func startHost(t *testing.T, script string, change func(*settings)) *host {
	t.Helper()
	h := &host{t: t, home: t.TempDir(), log: &lines{}, ended: make(chan error, 1)}
	for _, dir := range []string{"control", "filter"} {
		if err := os.Mkdir(filepath.Join(h.home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h.script("program", script)
	h.rules(`:allow,QMAILQUEUE="program",FROMRULE="yes"` + "\n")
	s := settings{concurrency: defaultConcurrency, limit: patience}
	if change != nil {
		change(&s)
	}
	h.d = newDaemon(h.home, s, h.log)
	h.d.drain = drain
	up, down := h.pair()
	var err error
	if h.channel, err = parent.NewChannel(up); err != nil {
		t.Fatal(err)
	}
	child, err := parent.NewChannel(down)
	if err != nil {
		t.Fatal(err)
	}
	go func() { h.ended <- h.d.run(child) }()
	environ := parent.EncodeEnvironment([]string{"PATH=" + os.Getenv("PATH"), "TCPREMOTEHOST=stale", "OUT=" + h.home})
	h.give(parent.Frame{Kind: parent.Environment, Data: environ})
	ours, theirs := h.pair()
	if h.link, err = fdpass.NewPackets(ours); err != nil {
		t.Fatal(err)
	}
	h.give(parent.Frame{Kind: parent.Link, Name: parent.FilterSMTPD, File: theirs})
	theirs.Close()
	t.Cleanup(func() {
		h.stop()
		h.link.Close()
		if used := h.d.scratch.Used(); used != 0 {
			t.Errorf("%d bytes are still kept", used)
		}
		if t.Failed() {
			t.Logf("log:\n%s", h.log)
		}
	})
	return h
}

func (h *host) pair() (a, b *os.File) {
	h.t.Helper()
	a, b, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		h.t.Fatal(err)
	}
	return a, b
}

func (h *host) give(f parent.Frame) {
	h.t.Helper()
	if sent, err := h.channel.Send(f); !sent || err != nil {
		h.t.Fatalf("control channel: %v, %v", sent, err)
	}
}

// stop ends the daemon; it may be called again.
func (h *host) stop() {
	h.t.Helper()
	_ = h.channel.Close()
	select {
	case err := <-h.ended:
		if err != nil {
			h.t.Errorf("daemon: %v", err)
		}
		h.ended <- nil
	case <-time.After(patience):
		h.t.Error("the daemon does not end")
	}
}

func (h *host) script(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.home, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) rules(text string) {
	h.t.Helper()
	h.control("tcp.smtp", text)
}

// control replaces a control file and waits until the change counts, which
// nobody announces.
func (h *host) control(name, text string) {
	h.t.Helper()
	next := filepath.Join(h.home, "control/next")
	if err := os.WriteFile(next, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(h.home, "control", name)); err != nil {
		h.t.Fatal(err)
	}
	time.Sleep(2 * control.Recheck)
}

func (h *host) read(name string) string {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.home, name))
	if err != nil {
		h.t.Error(err)
	}
	return string(text)
}

func (h *host) connect() *os.File {
	h.t.Helper()
	conn, err := submit.Connect(h.link)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		h.t.Fatal(err)
	}
	return conn
}

var client = []string{"TCPREMOTEIP=192.0.2.7", "SMTPHELOHOST=client.example", "RELAYCLIENT="}

const envelope = "Fjoe@example.net\x00Tjim@example.com\x00Tann@example.com\x00\x00"

// frames are a whole message as qmail-smtpd sends it.
func frames(variables []string, body, envelope string) []byte {
	b := submit.AppendFrame(nil, filter.Variables, filter.AppendVariables(nil, variables))
	for len(body) > 0 {
		n := min(len(body), 60000)
		b = submit.AppendFrame(b, submit.Message, []byte(body[:n]))
		body = body[n:]
	}
	b = submit.AppendFrame(b, submit.Envelope, []byte(envelope))
	return submit.AppendFrame(b, submit.Commit, make([]byte, 16))
}

// pass sends a message and returns what a client of SMTP would be told.
func (h *host) pass(variables []string, body, envelope string) (qp string, err error) {
	h.t.Helper()
	conn := h.connect()
	defer conn.Close()
	if _, err := conn.Write(frames(variables, body, envelope)); err != nil {
		h.t.Fatal(err)
	}
	answer, err := submit.ReadAnswer(conn)
	if err != nil {
		h.t.Fatal(err)
	}
	return enqueue.Verdict(answer)
}

const takeAll = `cat > "$OUT/body" && cat <&1 > "$OUT/envelope"`

func TestMessagePasses(t *testing.T) {
	t.Parallel()
	h := startHost(t, takeAll+` && env > "$OUT/env" && pwd > "$OUT/pwd" && echo $$ > "$OUT/pid"`, nil)
	for name, body := range map[string]string{"small": "Subject: x\n\nbody\n", "empty": "", "25 MB": strings.Repeat("0123456789abcde\n", 25<<16)} {
		qp, err := h.pass(client, body, envelope)
		if err != nil || qp+"\n" != h.read("pid") {
			t.Errorf("%s: %q, %v", name, qp, err)
		}
		if h.read("body") != body || h.read("envelope") != envelope || h.read("pwd") != h.home+"\n" {
			t.Errorf("%s: envelope %q in %q", name, h.read("envelope"), h.read("pwd"))
		}
	}
	env := "\n" + h.read("env")
	for _, entry := range append([]string{"FROMRULE=yes", "QMAILQUEUE=program"}, client...) {
		if !strings.Contains(env, "\n"+entry+"\n") {
			t.Errorf("the program misses %s in %s", entry, env)
		}
	}
	if strings.Contains(env, "stale") {
		t.Errorf("the program has a variable of another client: %s", env)
	}
}

func TestProgramRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script, rule string
		want               string
	}{
		{"for good", "cat >/dev/null; exit 31", "", "554 mail server permanently rejected message (#5.3.0)"},
		{"for now", "exit 71", "", "451 mail server temporarily rejected message (#4.3.0)"},
		{"unknown exit", "exit 111", "", "451 qq temporary problem (#4.3.0)"},
		{"text on 6", "cat >/dev/null; echo 'Dspam (#5.7.1)' >&6; exit 82", "", "554 spam (#5.7.1)"},
		{"text on 4", "cat >/dev/null; echo 'Zvirus scanner is down' >&4; exit 88", "", "451 virus scanner is down"},
		{"text on 2", "echo 'Dlisted' >&2; exit 88", "", "554 listed"},
		{"text on ERROR_FD", "echo 'Dno' >&5; exit 88", `,ERROR_FD="5"`, "554 no"},
		{"no text", "exit 82", "", "451 qq temporary problem (#4.3.0)"},
		{"killed", "kill -SEGV $$", "", "451 qq crashed (#4.3.0)"},
		{"closes its input early", "exec <&-; cat <&1 >/dev/null; exit 0", "", "451 qq read error (#4.3.0)"},
		{"floods of text", "cat >/dev/null; printf D >&6; head -c 3000000 /dev/zero | tr '\\0' n | tee /dev/fd/2 >&6; exit 82", "", "554 " + strings.Repeat("n", 254)},
		{"not there", "rm -f program; exec /nowhere", "", "451 qq temporary problem (#4.3.0)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := startHost(t, c.script, nil)
			if c.rule != "" {
				h.rules(`:allow,QMAILQUEUE="program"` + c.rule + "\n")
			}
			if got := refusal(h.pass(client, strings.Repeat("x\n", 200000), envelope)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if n := len(h.log.String()); n > 10000 {
				t.Errorf("%d bytes of log", n)
			}
		})
	}
}

func TestProgramCannotBeStarted(t *testing.T) {
	t.Parallel()
	h := startHost(t, "exit 0", nil)
	h.rules(`:allow,QMAILQUEUE="none"` + "\n")
	if got := refusal(h.pass(client, "x\n", envelope)); got != "451 unable to exec qq (#4.3.0)" {
		t.Errorf("got %q", got)
	}
}

// A program that hangs is killed with all that it has started.
func TestProgramHangs(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"reads nothing":   `sleep 1000 & echo $! > "$OUT/child"; wait`,
		"reads the text":  `cat >/dev/null; sleep 1000 & echo $! > "$OUT/child"; wait`,
		"left behind":     `(setsid sh -c 'echo $$ > "$OUT/child"; exec sleep 1000' &); sleep 1000`,
		"ignores signals": `trap '' TERM HUP INT; cat >/dev/null; sleep 1000 & echo $! > "$OUT/child"; wait; wait`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := startHost(t, script, func(s *settings) { s.limit = time.Second })
			if got := refusal(h.pass(client, strings.Repeat("x\n", 200000), envelope)); got != "451 qq timeout (#4.3.0)" {
				t.Errorf("got %q", got)
			}
			checkGone(t, h)
		})
	}
}

// checkGone waits for the end of the child that a script has noted.
func checkGone(t *testing.T, h *host) {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(h.read("child")))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); !ended(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still there", pid)
		}
	}
}

// ended takes a zombie, whose new parent may not look after it, as ended.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(stat, []byte(") Z "))
}

// A slow message holds no program; one that does not come to its end starts
// none.
func TestProgramStartsWithTheWholeMessage(t *testing.T) {
	t.Parallel()
	h := startHost(t, takeAll+`; echo x >> "$OUT/ran"`, func(s *settings) { s.concurrency = 1 })
	all := frames(client, strings.Repeat("x\n", 100000), envelope)
	var slow []*os.File
	for range 3 {
		conn := h.connect()
		defer conn.Close()
		if _, err := conn.Write(all[:len(all)-1]); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, conn)
	}
	if _, err := h.pass(client, "x\n", envelope); err != nil {
		t.Errorf("behind slow ones: %v", err)
	}
	slow[0].Close()
	for _, conn := range slow[1:] {
		if _, err := conn.Write(all[len(all)-1:]); err != nil {
			t.Fatal(err)
		}
		if answer, err := submit.ReadAnswer(conn); err != nil || answer.Kind != submit.Accepted {
			t.Errorf("%+v, %v", answer, err)
		}
	}
	if ran := h.read("ran"); ran != "x\nx\nx\n" {
		t.Errorf("the program ran for %q", ran)
	}
}

// No more programs run at a time than the administrator wants.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	h := startHost(t, `cat >/dev/null; cat <&1 >/dev/null; mkdir "$OUT/lock" || exit 31; sleep 0.05; rmdir "$OUT/lock"`,
		func(s *settings) { s.concurrency = 1 })
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := h.pass(client, "x\n", envelope); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// Only rules name programs: whatever a qmail-smtpd that was taken over says,
// nothing else runs, and no variable of its own reaches the program.
func TestOnlyRulesNamePrograms(t *testing.T) {
	t.Parallel()
	h := startHost(t, takeAll, nil)
	h.script("other", `touch "$OUT/ran"`)
	for _, variables := range [][]string{
		{"TCPREMOTEIP=192.0.2.7", "QMAILQUEUE=other"},
		{"TCPREMOTEIP=192.0.2.7", "LD_PRELOAD=/tmp/x"},
		{"TCPREMOTEIP=192.0.2.7", "SMTPHELOHOST=x\nQMAILQUEUE=other"},
		{"QMAILQUEUE=" + h.home + "/other"},
		{},
	} {
		conn := h.connect()
		_, _ = conn.Write(frames(variables, "x\n", envelope)) // it may hang up meanwhile
		if answer, err := submit.ReadAnswer(conn); err == nil {
			t.Errorf("%q: answered %+v", variables, answer)
		}
		conn.Close()
	}
	h.rules(`192.0.2.:allow` + "\n" + `:allow,QMAILQUEUE="program"` + "\n")
	if got := refusal(h.pass(client, "x\n", envelope)); got != "451 "+textNoFilter {
		t.Errorf("a client without a filter: %q", got)
	}
	if _, err := h.pass([]string{"TCPREMOTEIP=198.51.100.1"}, "x\n", envelope); err != nil {
		t.Errorf("a client with one: %v", err)
	}
	h.rules("this is no rule\n")
	if got := refusal(h.pass(client, "x\n", envelope)); got != "451 "+textNoFilter {
		t.Errorf("rules that cannot be read: %q", got)
	}
	if _, err := os.Stat(filepath.Join(h.home, "ran")); err == nil {
		t.Error("a program ran that no rule names")
	}
}

func TestBrokenProtocol(t *testing.T) {
	t.Parallel()
	h := startHost(t, takeAll, nil)
	begin := submit.AppendFrame(nil, filter.Variables, filter.AppendVariables(nil, client))
	for name, sent := range map[string][]byte{
		"no variables":         submit.AppendFrame(nil, submit.Message, []byte("x\n")),
		"too many variables":   submit.AppendHeader(nil, filter.Variables, filter.MaxVariables+1),
		"twice":                append(begin, begin...),
		"text behind envelope": submit.AppendFrame(submit.AppendFrame(begin, submit.Envelope, []byte("F\x00")), submit.Message, []byte("x")),
		"unknown":              submit.AppendFrame(begin, 'X', nil),
		"too long":             append(begin, submit.Message, 0xff, 0xff, 0xff, 0xff),
		"endless envelope":     append(begin, bytes.Repeat(submit.AppendFrame(nil, submit.Envelope, make([]byte, submit.MaxFrame)), maxEnvelope/submit.MaxFrame+1)...),
	} {
		conn := h.connect()
		_, _ = conn.Write(bytes.Clone(sent)) // it may hang up meanwhile
		if answer, err := submit.ReadAnswer(conn); err == nil {
			t.Errorf("%s: answered %+v", name, answer)
		}
		conn.Close()
	}
	for name, env := range map[string]string{
		"empty": "", "no sender": "\x00", "recipient first": "Tx@y\x00\x00", "not ended": "Fx@y\x00Tx@y\x00", "two senders": "Fx@y\x00Fx@y\x00\x00",
		"fact": "Fx@y\x00U1\x00Tx@y\x00\x00", "too long": "F" + strings.Repeat("x", 5000) + "\x00\x00", "line end": "Fx@y\nz\x00\x00",
	} {
		if qp, err := h.pass(client, "x\n", env); err == nil {
			t.Errorf("envelope %s: passed as %s", name, qp)
		}
	}
}

// A daemon that is told to stop leaves no program behind.
func TestStopKillsPrograms(t *testing.T) {
	t.Parallel()
	h := startHost(t, `sleep 1000 & echo $! > "$OUT/child"; echo > "$OUT/up"; wait`, nil)
	if err := syscall.Mkfifo(filepath.Join(h.home, "up"), 0o600); err != nil {
		t.Fatal(err)
	}
	conn := h.connect()
	defer conn.Close()
	if _, err := conn.Write(frames(client, "x\n", envelope)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(filepath.Join(h.home, "up")); err != nil { // waits for the program
		t.Fatal(err)
	}
	h.stop()
	if answer, err := submit.ReadAnswer(conn); err != nil || answer.Kind != submit.Temporary {
		t.Errorf("answered %+v, %v", answer, err)
	}
	checkGone(t, h)
}

// Without room a message is read to its end and refused for now.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	h := startHost(t, takeAll, nil)
	h.d.scratch = scratch.At(filepath.Join(h.home, "filter"), 100000)
	if got := refusal(h.pass(client, strings.Repeat("x\n", 100000), envelope)); got != "451 "+textNoRoom {
		t.Errorf("over the bound: %q", got)
	}
	if _, err := h.pass(client, "x\n", envelope); err != nil {
		t.Errorf("after that: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(h.home, "filter")); err != nil {
		t.Fatal(err)
	}
	if got := refusal(h.pass(client, "x\n", envelope)); got != "451 "+textNoFilter {
		t.Errorf("without a directory: %q", got)
	}
}

// refusal is what a client of SMTP is told.
func refusal(qp string, err error) string {
	var e *fate.Error
	switch {
	case err == nil:
		return "250 " + qp
	case !errors.As(err, &e):
		return err.Error()
	case e.Class == fate.Permanent:
		return "554 " + e.Text
	}
	return "451 " + e.Text
}
