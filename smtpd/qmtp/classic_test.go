package qmtp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/internal/clock"
	"postrider/internal/world"
)

// queueScript stands in for a QMAILQUEUE program.
const queueScript = `#!/bin/sh
cat >message
cat <&1 >envelope
echo "$TCPREMOTEIP $RELAYCLIENT" >environment
exit $(cat code)
`

// runClassic runs the classic form on files and returns what it answered.
func runClassic(t *testing.T, p protocol, home, input string, environ ...string) (code int, answers string) {
	t.Helper()
	in, out := filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(in, []byte(input), 0o600); err != nil {
		t.Fatal(err)
	}
	stdin, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	environ = append(environ, "PATH=/usr/bin:/bin", "TCPREMOTEIP=192.0.2.7")
	w := world.World{Args: []string{p.program}, Environ: environ, Stdin: stdin, Stdout: stdout, Home: home, Clock: clock.Real()}
	code = classic(w, &service{protocol: p, clock: w.Clock, log: &recordedLog{}, lent: &budget{}})
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return code, string(b)
}

func classicHome(t *testing.T, files map[string]string, code string) string {
	t.Helper()
	home := controlDir(t, files)
	for name, text := range map[string]string{"queue": queueScript, "code": code} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

// Messages go through the program that QMAILQUEUE names.
func TestClassic(t *testing.T) {
	t.Parallel()
	home := classicHome(t, nil, "0")
	queue := "QMAILQUEUE=" + home + "/queue"
	code, answers := runClassic(t, qmtpProtocol, home, mail("\nhi\n", "s@x", "a@foo.org"), queue, "RELAYCLIENT=.gate")
	if code != exitOK || !strings.Contains(answers, ":Kok ") {
		t.Errorf("exit code %d, answers %q", code, answers)
	}
	for name, want := range map[string]string{
		"envelope":    "Fs@x\x00Ta@foo.org.gate\x00\x00",
		"environment": "192.0.2.7 .gate\n",
		"message":     "hi\n",
	} {
		got, err := os.ReadFile(filepath.Join(home, name))
		if err != nil || !strings.HasSuffix(string(got), want) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	home = classicHome(t, nil, "31")
	code, answers = runClassic(t, qmqpProtocol, home, qmqpVector, "QMAILQUEUE="+home+"/queue")
	if want := encoded("Dmail server permanently rejected message (#5.3.0)"); code != exitOK || answers != want {
		t.Errorf("exit code %d, answers %q, want %q", code, answers, want)
	}
}

func TestClassicExitCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, input string
		files       map[string]string
		code        int
	}{
		{"nothing", "", nil, exitOK},
		{"a cut message", vector[:20], nil, exitOK},
		{"SMTP", "EHLO x\r\n", nil, exitProtocol},
		{"a huge length", "99999999999:", nil, exitTemp},
		{"controls that cannot be read", vector, map[string]string{"rcpthosts": "\x00\n"}, exitTemp},
	} {
		if code, answers := runClassic(t, qmtpProtocol, controlDir(t, c.files), c.input); code != c.code || answers != "" {
			t.Errorf("%s: exit code %d, answers %q", c.name, code, answers)
		}
	}
}

// A client that hangs up inside a message leaves a queue program that was given
// no whole envelope.
func TestClassicCut(t *testing.T) {
	t.Parallel()
	home := classicHome(t, nil, "0")
	if code, answers := runClassic(t, qmtpProtocol, home, vector[:len(vector)-1], "QMAILQUEUE="+home+"/queue"); code != exitOK || answers != "" {
		t.Errorf("exit code %d, answers %q", code, answers)
	}
	envelope, err := os.ReadFile(filepath.Join(home, "envelope"))
	if err != nil || strings.HasSuffix(string(envelope), "\x00\x00") {
		t.Errorf("envelope %q, %v", envelope, err)
	}
}

// Every control file that is read is looked at for changes.
func TestControlFilesAreKnown(t *testing.T) {
	t.Parallel()
	for _, p := range []protocol{qmtpProtocol, qmqpProtocol} {
		home := controlDir(t, map[string]string{"me": "-", "rcpthosts": "-"})
		if _, err := p.load(home); err != nil {
			t.Errorf("%s without any: %v", p.name, err)
		}
	}
	broken := 0
	for _, name := range controlFiles {
		for _, p := range []protocol{qmtpProtocol, qmqpProtocol} {
			home := controlDir(t, nil)
			if name == "locals" { // counts without rcpthosts
				home = controlDir(t, map[string]string{"rcpthosts": "-"})
			}
			if err := os.WriteFile(filepath.Join(home, "control", name), []byte("1\x00\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := p.load(home); err != nil {
				broken++
				break
			}
		}
	}
	if broken != len(controlFiles) {
		t.Errorf("%d of %d files are read", broken, len(controlFiles))
	}
}
