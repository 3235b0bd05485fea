package metrics

import (
	"bytes"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/sys/unix"

	"postrider/internal/figures"
	"postrider/internal/wire/parent"
)

// serving is a server with a client's side of its socket.
type serving struct {
	*server
	address string
	lines   chan string
	smtpd   *os.File // the area of a daemon
}

func newServing(t *testing.T) *serving {
	t.Helper()
	s := &serving{lines: make(chan string, 100)}
	s.server = newServer(func(line string) { s.lines <- line })
	t.Cleanup(func() { s.http.Close() })
	for number, program := range []string{"qmail-start", "qmail-smtpd"} {
		f, err := figures.NewArea(program)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		read, err := figures.ReadOnly(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.frame(parent.Frame{Kind: parent.Area, Name: parent.AreaName(figures.Layout(), number, program), File: read}); err != nil {
			t.Fatal(err)
		}
		s.smtpd = f
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s.address = l.Addr().String()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.frame(parent.Frame{Kind: parent.Listener, Name: parent.ListenMetrics, File: f}); err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends a request as it stands and returns the answer.
func (s *serving) ask(t *testing.T, request string) (status int, body string) {
	t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil && len(answer) == 0 { // it may be cut off behind the answer
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	words := strings.Fields(head)
	if len(words) < 2 {
		t.Fatalf("answer %q", answer)
	}
	status, err = strconv.Atoi(words[1])
	if err != nil {
		t.Fatalf("answer %q", answer)
	}
	return status, body
}

func TestRequests(t *testing.T) {
	t.Parallel()
	s := newServing(t)
	for _, c := range []struct {
		name, request string
		want          int
	}{
		{"as it is meant", "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200},
		{"head only", "HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200},
		{"a query", "GET /metrics?name[]=x HTTP/1.0\r\n\r\n", 200},
		{"elsewhere", "GET / HTTP/1.0\r\n\r\n", 404},
		{"a way to elsewhere", "GET /metrics/../../etc/passwd HTTP/1.0\r\n\r\n", 404},
		{"another method", "POST /metrics HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", 405},
		{"options", "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404},
		{"no HTTP", "EHLO client.example\r\n\r\n", 400},
		{"too much", "GET /metrics HTTP/1.0\r\nX: " + strings.Repeat("x", 16<<10) + "\r\n\r\n", 431},
	} {
		got, body := s.ask(t, c.request)
		if got != c.want {
			t.Errorf("%s: %d %q, want %d", c.name, got, body, c.want)
		}
		if c.name == "head only" && body != "" {
			t.Errorf("HEAD: %q", body)
		}
	}
	if len(s.lines) > 0 {
		t.Errorf("clients write into the log: %s", <-s.lines)
	}
}

// TestWhateverADaemonWrites: its area is full of anything, while it is read.
func TestWhateverADaemonWrites(t *testing.T) {
	t.Parallel()
	s := newServing(t)
	size, err := s.smtpd.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 300 {
			pattern := byte(i * 7)
			_, _ = s.smtpd.WriteAt(bytes.Repeat([]byte{pattern, 0xff, 0x7f}, int(size)/3), int64(i%3))
		}
	}()
	for range 20 {
		code, body := s.ask(t, "GET /metrics HTTP/1.0\r\n\r\n")
		if code != 200 {
			t.Fatalf("%d %s", code, body)
		}
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(body))
		if err != nil {
			t.Fatalf("%v in\n%s", err, body)
		}
		if n := families["postrider_messages_accepted_total"].Metric[0].Counter.GetValue(); n != 0 {
			t.Errorf("qmail-smtpd has told of qmail-spool: %v", n)
		}
	}
	<-done
}

// TestClientsAreBounded: beyond so many, who connects waits until another one has
// gone, and those who say nothing go.
func TestClientsAreBounded(t *testing.T) {
	t.Parallel()
	s := newServing(t)
	var silent []net.Conn
	for range maxClients + 5 {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	answered := make(chan int, 1)
	go func() {
		code, _ := s.ask(t, "GET /metrics HTTP/1.0\r\n\r\n")
		answered <- code
	}()
	select {
	case code := <-answered:
		t.Errorf("one more was answered: %d", code)
	case <-time.After(readTime / 5):
	}
	for _, c := range silent {
		c.Close()
	}
	if code := <-answered; code != 200 {
		t.Errorf("behind them: %d", code)
	}
}

// TestFramesThatAreNoAreas: what is of another release is left out, and what is no
// area ends the program, so that a new one begins.
func TestFramesThatAreNoAreas(t *testing.T) {
	t.Parallel()
	s := newServing(t)
	file := func() *os.File {
		fd, err := unix.MemfdCreate("x", unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		return os.NewFile(uintptr(fd), "x")
	}
	if err := s.frame(parent.Frame{Kind: parent.Area, Name: parent.AreaName("other", 2, "qmail-send"), File: file()}); err != nil {
		t.Errorf("of another release: %v", err)
	}
	if line := <-s.lines; !strings.Contains(line, "figures of qmail-send are left out") {
		t.Errorf("log: %s", line)
	}
	for _, name := range []string{"", "x", parent.AreaName(figures.Layout(), 2, "qmail-send"), figures.Layout() + " x qmail-send"} {
		if err := s.frame(parent.Frame{Kind: parent.Area, Name: name, File: file()}); err == nil {
			t.Errorf("taken: %q", name)
		}
	}
	if len(s.areas) != 1 {
		t.Errorf("%d areas", len(s.areas))
	}
}
