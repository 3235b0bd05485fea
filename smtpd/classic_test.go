package smtpd

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/clock"
	"postrider/internal/fdpass"
	"postrider/internal/world"
)

// queueScript stands in for a QMAILQUEUE program: it keeps what it is given,
// and what it finds in its environment.
const queueScript = `#!/bin/sh
cat >message
cat <&1 >envelope
echo "$RELAYCLIENT $TCPREMOTEIP" >environment
echo "$TCPREMOTEINFO $SMTPAUTHUSER $SMTP_AUTH_USER $SMTPAUTHMETHOD ${RELAYCLIENT-un}${RELAYCLIENT+set}" >login
exit $(cat code)
`

// classicHost makes a home directory with such a program.
func classicHost(t *testing.T, files map[string]string, code string) string {
	t.Helper()
	home := controlDir(t, files)
	for name, text := range map[string]string{"queue": queueScript, "code": code} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// checkScript stands in for a checkpassword program.
const checkScript = `#!/bin/sh
tr '\0' ' ' <&3 >given
case "$(cat given)" in
"joe secret  ") exec "$@" ;;
"later "*) exit 111 ;;
esac
exit 1
`

// runClassic runs the classic form on the two ends of a connection.
func runClassic(home string, in, out *os.File, environ ...string) int {
	w := world.World{Args: []string{"qmail-smtpd"}, Environ: environ, Stdin: in, Stdout: out, Home: home, Clock: clock.Real()}
	return classic(w, &service{clock: w.Clock, log: &recordedLog{}, lent: &budget{}})
}

// overSocket runs it on a connection and a script on its other end.
func overSocket(t *testing.T, home, script string, environ ...string) (code int) {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	ours.Close()
	ended := make(chan int, 1)
	go func() {
		ended <- runClassic(home, theirs, theirs, environ...)
		theirs.Close()
	}()
	newClient(t, conn).play(script)
	conn.Close()
	select {
	case code = <-ended:
	case <-time.After(patience):
		t.Fatal("qmail-smtpd does not end")
	}
	return code
}

func TestClassic(t *testing.T) {
	home := classicHost(t, nil, "0")
	environ := []string{"TCPREMOTEIP=192.0.2.7", "TCPREMOTEHOST=h.example", "TCPREMOTEINFO=joe", "TCPLOCALIP=192.0.2.25", "TCPLOCALHOST=l.example", "QMAILQUEUE=./queue", "RELAYCLIENT=@gate"}
	script := hello + "C: MAIL FROM:<joe@example.net>\nS: 250 *\nC: RCPT TO:<jim@example.net>\nS: 250 *\nC: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: 250 2.0.0 ok *" + bye
	if code := overSocket(t, home, script, environ...); code != 0 {
		t.Errorf("exit code %d", code)
	}
	want := "Received: from h.example (HELO client.example.net) (joe@192.0.2.7)\n  by l.example with SMTP; "
	if text := read(t, home, "message"); !strings.HasPrefix(text, want) || !strings.HasSuffix(text, "-0000\nx\n") {
		t.Errorf("message %q", text)
	}
	if got := read(t, home, "envelope"); got != "Fjoe@example.net\x00Tjim@example.net@gate\x00\x00" {
		t.Errorf("envelope %q", got)
	}
	if got := read(t, home, "environment"); got != "@gate 192.0.2.7\n" {
		t.Errorf("environment %q", got)
	}
}

func TestClassicQueueRefuses(t *testing.T) {
	for _, c := range []struct{ code, reply string }{
		{"31", "554 5.3.0 mail server permanently rejected message (#5.3.0)"},
		{"53", "451 4.3.0 qq write error or disk full (#4.3.0)"},
		{"111", "451 4.3.0 qq temporary problem (#4.3.0)"},
	} {
		home := classicHost(t, nil, c.code)
		script := transaction + "C: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: " + c.reply + bye
		if code := overSocket(t, home, script, "QMAILQUEUE=./queue"); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
}

func TestClassicExitCodes(t *testing.T) {
	home := classicHost(t, map[string]string{"timeoutsmtpd": "1\n"}, "0")
	environ := "QMAILQUEUE=./queue"
	if code := overSocket(t, home, hello, environ); code != 1 {
		t.Errorf("hung up: exit code %d", code)
	}
	if code := overSocket(t, home, "S: 220 *\nS: 451 4.4.2 timeout (#4.4.2)\nS: <end>", environ); code != 1 {
		t.Errorf("timeout: exit code %d", code)
	}
	if code := overSocket(t, controlDir(t, map[string]string{"me": "-"}), "S: 421 4.3.0 unable to read controls (#4.3.0)\nS: <end>"); code != 1 {
		t.Errorf("no controls: exit code %d", code)
	}
	// A client that vanishes inside a message: the queue program gets an
	// envelope without end, which it must not take.
	home = classicHost(t, nil, "0")
	if code := overSocket(t, home, transaction+"C: DATA\nS: 354 *\nR: x\\r\\n", environ); code != 1 {
		t.Errorf("vanished: exit code %d", code)
	}
	if b, err := os.ReadFile(filepath.Join(home, "envelope")); err == nil && len(b) > 0 {
		t.Errorf("vanished: envelope %q", b)
	}
}

// The command line of qmail-smtpd is a checkpassword program (spec section 6.7).
func TestClassicAuth(t *testing.T) {
	home := classicHost(t, nil, "0")
	check := filepath.Join(home, "check")
	if err := os.WriteFile(check, []byte(strings.ReplaceAll(checkScript, "given", home+"/given")), 0o755); err != nil {
		t.Fatal(err)
	}
	script := "S: 220 *\nC: EHLO client.example.net\nS: 250-mx.example.org|250-PIPELINING|250-SIZE 0|250-8BITMIME|250-CHUNKING|250-BINARYMIME|250-LIMITS RCPTMAX=50000|250-ENHANCEDSTATUSCODES|250 AUTH LOGIN PLAIN\n" +
		"C: " + plainWord("later", "x") + "\nS: 454 *\nC: " + plainWord("joe", "secret") + "\nS: 235 *\n" +
		"C: MAIL FROM:<joe@example.net>\nS: 250 *\nC: RCPT TO:<jim@far.example>\nS: 250 *\nC: DATA\nS: 354 *\nR: x\\r\\n.\\r\\n\nS: 250 2.0.0 ok *" + bye
	environ := []string{"TCPREMOTEIP=192.0.2.7", "QMAILQUEUE=./queue", "FORCETLS=0", "PATH=/usr/bin:/bin"}
	ended := make(chan int, 1)
	conn, serve := classicConn(t, home, environ, check, "/bin/true")
	go func() { ended <- serve() }()
	newClient(t, conn).play(script)
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
	if text := read(t, home, "message"); !strings.Contains(text, " (joe@192.0.2.7)\n") || !strings.Contains(text, " with ESMTPA; ") {
		t.Errorf("message %q", text)
	}
	if got := read(t, home, "login"); got != "joe joe joe PLAIN set\n" {
		t.Errorf("environment %q", got)
	}
	// Without TLS, and without a program, there is no AUTH.
	for _, args := range [][]string{{check, "/bin/true"}, nil, {"check"}} {
		want := "538 *"
		if len(args) < 2 {
			want = "502 *"
		}
		conn, serve := classicConn(t, home, environ[:2], args...)
		go func() { ended <- serve() }()
		newClient(t, conn).play(hello + "C: " + plainWord("joe", "secret") + "\nS: " + want + bye)
		<-ended
	}
}

// classicConn returns a client's connection to the classic form with a command
// line, and what serves it.
func classicConn(t *testing.T, home string, environ []string, args ...string) (net.Conn, func() int) {
	t.Helper()
	ours, theirs, err := fdpass.Pair(unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	ours.Close()
	t.Cleanup(func() { conn.Close() })
	w := world.World{Args: append([]string{"qmail-smtpd"}, args...), Environ: environ, Stdin: theirs, Stdout: theirs, Stderr: os.Stderr, Home: home, Clock: clock.Real()}
	return conn, func() int {
		defer theirs.Close()
		return classic(w, &service{clock: w.Clock, log: &recordedLog{}, lent: &budget{}})
	}
}

// A file of commands on descriptor 0 cannot wait for replies.
func TestClassicFromFile(t *testing.T) {
	home := classicHost(t, nil, "0")
	commands := filepath.Join(home, "commands")
	text := "HELO x\r\nMAIL FROM:<joe@example.net>\r\nRCPT TO:<jim@example.com>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"
	if err := os.WriteFile(commands, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(commands)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(filepath.Join(home, "replies"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if code := runClassic(home, in, out, "QMAILQUEUE=./queue"); code != 0 {
		t.Errorf("exit code %d", code)
	}
	var codes []string
	for line := range strings.Lines(read(t, home, "replies")) {
		codes = append(codes, line[:3])
	}
	if got := strings.Join(codes, " "); got != "220 250 250 250 354 250 221" {
		t.Errorf("replies %s", got)
	}
	if text := read(t, home, "message"); !strings.Contains(text, "Received: from unknown (HELO x) (unknown)\n  by unknown with SMTP; ") {
		t.Errorf("message %q", text)
	}
}
