package splogger

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/internal/clock"
	"postrider/internal/world"
)

// stillClock stands still.
type stillClock struct{ clock.Clock }

func (stillClock) Now() time.Time { return time.Date(2026, 11, 2, 0, 30, 28, 42000, time.UTC) }

// stamp is its time as splogger writes it.
const stamp = "1793579428.000042"

// listen is a syslog.
func listen(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// receive begins to read n messages of a syslog. What it returns waits for them,
// without the time.
func receive(t *testing.T, conn *net.UnixConn, n int) func() []string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	messages := make(chan string, n)
	go func() {
		defer close(messages)
		buf := make([]byte, 4096)
		for range n {
			size, err := conn.Read(buf)
			if err != nil {
				messages <- err.Error()
				return
			}
			messages <- strings.Replace(string(buf[:size]), "Nov  2 00:30:28 ", "", 1)
		}
	}()
	return func() []string {
		var all []string
		for m := range messages {
			all = append(all, m)
		}
		return all
	}
}

func give(t *testing.T, s *syslog, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := copyLines(world.World{Stdin: in, Clock: stillClock{}}, s); err != nil {
		t.Fatal(err)
	}
}

func newSyslog(path string) *syslog {
	return &syslog{path: path, tag: "qmail", facility: facilityMail, now: stillClock{}.Now}
}

func TestLines(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/log"
	conn := listen(t, path)
	s := newSyslog(path)
	defer s.close()
	long := strings.Repeat("x", maxPiece)
	got := receive(t, conn, 11)
	give(t, s, "status: local 0/10\n\nwarning: a\nalert: b\nnot warning: c\n"+
		"a\tb\x00\xff\x1b\n"+long+"\n"+long+"y\n"+"warning:"+strings.Repeat("z", maxPiece)+"\n"+"the end")
	want := []string{
		"<22>qmail: " + stamp + " status: local 0/10",
		"<20>qmail: " + stamp + " warning: a",
		"<17>qmail: " + stamp + " alert: b",
		"<22>qmail: " + stamp + " not warning: c",
		"<22>qmail: " + stamp + " a?b???",
		"<22>qmail: " + stamp + " " + long,
		"<22>qmail: " + stamp + " " + long,
		"<22>qmail: " + stamp + "+y",
		"<20>qmail: " + stamp + " warning:" + strings.Repeat("z", maxPiece-8),
		"<20>qmail: " + stamp + "+" + strings.Repeat("z", 8),
		"<22>qmail: " + stamp + " the end",
	}
	if got := got(); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestRestart: the syslog may come late, go and come again; what is lost
// meanwhile is counted.
func TestRestart(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/log"
	s := newSyslog(path)
	defer s.close()
	give(t, s, "lost\nlost\n")
	conn := listen(t, path)
	give(t, s, "a\n")
	want := []string{"<20>qmail: warning: splogger: 2 lines were lost: the syslog did not take them", "<22>qmail: " + stamp + " a"}
	if got := receive(t, conn, 2)(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	conn.Close()
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	conn = listen(t, path)
	give(t, s, "b\n")
	if got := receive(t, conn, 1)(); got[0] != "<22>qmail: "+stamp+" b" {
		t.Errorf("after a restart: %q", got)
	}
}

// TestStuck: a syslog that does not read holds nobody up for long.
func TestStuck(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/log"
	conn := listen(t, path)
	s := newSyslog(path)
	defer s.close()
	const lines = 5000
	give(t, s, strings.Repeat("x\n", lines)) // waits once, not for each line
	if s.lost == 0 || !s.stuck {
		t.Fatalf("%d lines lost", s.lost)
	}
	taken := lines - s.lost
	receive(t, conn, taken)()
	give(t, s, "y\n")
	if got := receive(t, conn, 2)(); !strings.Contains(got[0], "lines were lost") || !strings.HasSuffix(got[1], " y") || s.lost != 0 {
		t.Errorf("got %q, %d lost", got, s.lost)
	}
}

// movedClock goes on when it is told.
type movedClock struct {
	clock.Clock
	by *time.Duration
}

func (c movedClock) Now() time.Time { return stillClock{}.Now().Add(*c.by) }

// TestStuckStream: a syslog that listens for streams and does not read, or does not
// take connections, is waited for once in a while and not with each line.
func TestStuckStream(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/log"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var by time.Duration
	s := newSyslog(path)
	s.now = movedClock{by: &by}.Now
	defer s.close()
	const lines = 5000
	began := time.Now()
	give(t, s, strings.Repeat(strings.Repeat("x", 700)+"\n", lines))
	if s.lost == 0 || s.lost > lines-10 {
		t.Fatalf("%d lines lost", s.lost)
	}
	if took := time.Since(began); took > 20*patience {
		t.Errorf("%v for lines that are lost", took)
	}
	lost := s.lost
	give(t, s, "during the rest\n")
	if s.lost != lost+1 {
		t.Errorf("%d lines lost, want %d", s.lost, lost+1)
	}
	by = rest + time.Second
	give(t, s, "y\n")
	if s.lost != 0 {
		t.Fatalf("%d lines lost over a new connection", s.lost)
	}
	for range 2 { // the stuck one, and the new one
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		s.close()
		text, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(text); strings.Contains(got, "during") || strings.HasSuffix(got, " y\x00") && !strings.Contains(got, fmt.Sprintf("%d lines were lost", lost+1)) {
			t.Errorf("got %.300q", got)
		}
	}
}

// TestStream: some syslogs listen for streams; NUL ends a message.
func TestStream(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/log"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := newSyslog(path)
	give(t, s, "a\nb\n")
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s.close()
	var got strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			break
		}
	}
	if n := strings.Count(got.String(), "\x00"); n != 2 || !strings.HasSuffix(got.String(), stamp+" b\x00") {
		t.Errorf("got %q", got.String())
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, c := range []struct {
		args string
		code int
	}{
		{"splogger", exitDone}, {"splogger tag", exitDone}, {"splogger tag 0", exitDone}, {"splogger tag 23", exitDone},
		{"splogger tag 24", exitUsage}, {"splogger tag -1", exitUsage}, {"splogger tag mail", exitUsage},
	} {
		if code := Main(world.World{Args: strings.Fields(c.args), Stdin: null, Stderr: null, Clock: stillClock{}}); code != c.code {
			t.Errorf("%s: exit %d, want %d", c.args, code, c.code)
		}
	}
}
