package checkpassword

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// program makes a checkpassword program of a script, which finds its input in
// the file "given".
func program(t *testing.T, script string) (p Program, given func() string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "check")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncat <&3 >"+dir+"/given\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return Program{Argv: []string{path, "/bin/true"}, Environ: []string{"HOME=/"}, Limit: Limit, Log: os.Stderr}, func() string {
		b, err := os.ReadFile(dir + "/given")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
}

func TestInput(t *testing.T) {
	t.Parallel()
	p, given := program(t, `exec "$@"`)
	for _, c := range []struct{ user, password, challenge string }{
		{"joe", "secret", ""}, {"joe@example.org", "$(rm -rf /) ; \"'\n", ""}, {"joe", "b913a602c7eda7a495b4e6e7334d3890", "<1.2@x>"},
		{"j", strings.Repeat("x", 508), ""},
	} {
		ok, err := p.Check(c.user, []byte(c.password), []byte(c.challenge))
		if want := c.user + "\x00" + c.password + "\x00" + c.challenge + "\x00"; !ok || err != nil || given() != want {
			t.Errorf("%q: %v, %v, given %q", c, ok, err, given())
		}
	}
	for _, password := range []string{strings.Repeat("x", 509), strings.Repeat("x", 100000), "a\x00b"} {
		if ok, err := p.Check("j", []byte(password), nil); ok || err != nil {
			t.Errorf("%d octets: %v, %v", len(password), ok, err)
		}
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"exit 0": "yes", "exit 1": "no", "exit 3": "no", "exit 24": "no", "exit 100": "no",
		"exit 2": "unsure", "exit 111": "unsure", "kill -9 $$": "unsure", "kill -11 $$": "unsure",
	} {
		p, _ := program(t, script)
		ok, err := p.Check("joe", []byte("x"), nil)
		got := map[bool]string{true: "yes", false: "no"}[ok]
		if err != nil {
			got = "unsure"
		}
		if got != want || ok && err != nil {
			t.Errorf("%s: %s (%v)", script, got, err)
		}
	}
	for _, path := range []string{"/nonexistent", "/", "/etc/passwd"} {
		if ok, err := (Program{Argv: []string{path}, Limit: Limit, Log: os.Stderr}).Check("joe", []byte("x"), nil); ok || err == nil {
			t.Errorf("%s: %v, %v", path, ok, err)
		}
	}
}

// A program has nothing on descriptor 0 and the environment that it is given,
// and leads its group.
func TestSurroundings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, _ := program(t, fmt.Sprintf(`null=$(readlink /proc/$$/fd/0); { env | sort | tr '\n' ' '; echo $null; [ "$(cut -d' ' -f5 /proc/$$/stat)" = $$ ] && pwd; } > %s/seen; exit 1`, dir))
	if ok, err := p.Check("joe", []byte("x"), nil); ok || err != nil {
		t.Fatal(ok, err)
	}
	b, err := os.ReadFile(dir + "/seen")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(strings.Fields(string(b)), " ")
	if !strings.HasPrefix(got, "HOME=/ PATH=/usr/local/sbin:") || !strings.HasSuffix(got, " PWD=/ /dev/null /") {
		t.Errorf("seen: %s", got)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"/bin/checkpassword /bin/true": "/bin/checkpassword|/bin/true", " /x\ty ": "/x|y", "": "!", "checkpassword": "!", "./x": "!",
	} {
		argv, err := Parse(line)
		got := strings.Join(argv, "|")
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%q: %s, %v", line, got, err)
		}
	}
}

// A program that does not end is killed, with all that it has started.
func TestSlowProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mkfifo(dir+"/alive", 0o600); err != nil {
		t.Fatal(err)
	}
	p, _ := program(t, "cat <"+dir+"/alive & exec 9>"+dir+"/alive; wait")
	p.Limit = 300 * time.Millisecond
	watch, err := os.OpenFile(dir+"/alive", os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	if ok, err := p.Check("joe", []byte("x"), nil); ok || !errors.Is(err, errSlow) {
		t.Errorf("%v, %v", ok, err)
	}
	// The last writer is gone: so is its group.
	if n, err := watch.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("somebody is left: %d, %v", n, err)
	}
}

// TestLeftBehind: what a program leaves behind has the program's time.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	p, _ := program(t, `setsid sleep 200 & echo $! >"$(dirname "$0")/pid"; exec "$@"`)
	p.Limit = time.Second
	begun := time.Now()
	if ok, err := p.Check("joe", []byte("x"), nil); time.Since(begun) < p.Limit && (!ok || err != nil) {
		t.Fatalf("%v, %v", ok, err)
	}
	pid, err := os.ReadFile(filepath.Dir(p.Argv[0]) + "/pid")
	if err != nil {
		t.Fatal(err)
	}
	for {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			break
		}
		if time.Since(begun) > time.Minute {
			t.Fatalf("it is there for ever: %s", stat)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if took := time.Since(begun); took < p.Limit {
		t.Errorf("it ended after %v", took)
	}
}
