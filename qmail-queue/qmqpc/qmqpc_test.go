package qmqpc

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/clock"
	"postrider/internal/netstring"
	"postrider/internal/world"
)

// patience bounds every wait of a test: it is reached only when one fails.
const patience = 20 * time.Second

// server is one that answers every request in the same way.
type server struct {
	addr string
	got  chan string // requests
}

// listen starts a server; it reads a whole request before it answers, unless
// its answer is "-": then it hangs up in the middle.
func listen(t *testing.T, answer string) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &server{l.Addr().String(), make(chan string, 10)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.serve(c, answer)
		}
	}()
	return s
}

func (s *server) serve(c net.Conn, answer string) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if answer == "-" {
		return
	}
	request, err := netstring.Open(bufio.NewReader(c), 1<<30)
	if err != nil {
		s.got <- err.Error()
		return
	}
	b, err := io.ReadAll(request)
	if err == nil {
		err = request.Close()
	}
	if err != nil {
		s.got <- err.Error()
		return
	}
	s.got <- string(b)
	_, _ = io.WriteString(c, answer)
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// input is a descriptor that holds text.
func input(t *testing.T, text string) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	go func() {
		_, _ = io.WriteString(w, text)
		w.Close()
	}()
	return r
}

// runWith runs the program with these servers; "-" is no file.
func runWith(t *testing.T, servers, message, envelope string) int {
	t.Helper()
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "control"), 0o755); err != nil {
		t.Fatal(err)
	}
	if servers != "-" {
		if err := os.WriteFile(filepath.Join(home, "control", "qmqpservers"), []byte(servers), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Main(world.World{Args: []string{"qmail-qmqpc"}, Home: home, Clock: clock.Real(),
		Stdin: input(t, message), Stdout: input(t, envelope), Stderr: os.Stderr})
}

const testEnvelope = "Fs@x\x00Ta@b.c.defg\x00\x00"

func TestRequest(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789\n", 100000)
	for _, c := range []struct{ message, envelope, want string }{
		{"hi\n", testEnvelope, "3:hi\n,3:s@x,10:a@b.c.defg,"},
		{"", "F\x00Ta\x00Tb\x00\x00", "0:,0:,1:a,1:b,"},
		{"hi\n", "F\x00\x00ignored", "3:hi\n,0:,"},
		{"\x00\r\n", "F\x00T\x00\x00", "3:\x00\r\n,0:,0:,"},
		{long, testEnvelope, "1100000:" + long + ",3:s@x,10:a@b.c.defg,"},
	} {
		s := listen(t, "5:Kokay,")
		if code := runWith(t, s.addr+"\n", c.message, c.envelope); code != exitOK {
			t.Errorf("%.20q: exit code %d", c.message, code)
			continue
		}
		if got := <-s.got; got != c.want {
			t.Errorf("%.20q: sent %.60q, want %.60q", c.message, got, c.want)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]int{
		"38:Kok 1234567890 qp 12345678901234567890,": exitOK,
		"1:K,":                     exitOK,
		"3:Zno,":                   exitNotNow,
		"3:Dno,":                   exitRefused,
		"3:D":                      exitRefused,
		"3:Xno,":                   exitBroken,
		"":                         exitBroken,
		"-":                        exitBroken,
		"3":                        exitBroken,
		"3:":                       exitBroken,
		":K":                       exitBroken,
		"K":                        exitBroken,
		"00000000000000001:K,":     exitBroken,
		"HTTP/1.1 200 OK\r\n\r\n":  exitBroken,
		"220 mx ESMTP Z\r\n":       exitBroken,
		"\x00":                     exitBroken,
		strings.Repeat("9", 10000): exitBroken,
	} {
		s := listen(t, answer)
		if code := runWith(t, s.addr+"\n", "hi\n", testEnvelope); code != want {
			t.Errorf("%.20q: exit code %d, want %d", answer, code, want)
		}
	}
}

// Servers are tried in order until one is reached, and no further.
func TestServers(t *testing.T) {
	t.Parallel()
	good, bad := listen(t, "1:K,"), listen(t, "-")
	closed := closedPort(t)
	for _, c := range []struct {
		name, servers string
		want          int
	}{
		{"no file", "-", exitConfig},
		{"an empty file", "", exitConfig},
		{"no address", "localhost\nmx.example.org\n192.0.2\n192.0.2.1:0\n:628\nfe80::1%eth0\n", exitConfig},
		{"a zero byte", "127.0.0.1\x00\n", exitConfig},
		{"the first", good.addr + "\n" + bad.addr + "\n", exitOK},
		{"behind what is no address", "# servers\nlocalhost\n" + good.addr + "\n", exitOK},
		{"behind one that is down", closed + "\n" + good.addr + "\n", exitOK},
		{"not behind one that hangs up", bad.addr + "\n" + good.addr + "\n", exitBroken},
		{"none is up", closed + "\n" + closed + "\n", exitUnreachable},
	} {
		if code := runWith(t, c.servers, "hi\n", testEnvelope); code != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, code, c.want)
		}
	}
	if n := len(good.got); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

func TestParseServer(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"192.0.2.1": "192.0.2.1:628", "192.0.2.1:1628": "192.0.2.1:1628", "2001:db8::1": "[2001:db8::1]:628",
		"[2001:db8::1]:1628": "[2001:db8::1]:1628", "::ffff:192.0.2.1": "192.0.2.1:628",
	} {
		if got, ok := parseServer(line); !ok || got.String() != want {
			t.Errorf("%s: %v, %v", line, got, ok)
		}
	}
}

// An envelope that is wrong, or ends too early, sends nothing.
func TestEnvelope(t *testing.T) {
	t.Parallel()
	s := listen(t, "1:K,")
	for envelope, want := range map[string]int{
		"": exitRead, "F": exitRead, "Fa": exitRead, "Fa\x00": exitRead, "Fa\x00Tb": exitRead, "Fa\x00Tb\x00": exitRead,
		"Xa\x00": exitGrammar, "Ta\x00\x00": exitGrammar, "\x00": exitGrammar, "Fa\x00Fb\x00\x00": exitGrammar, "Fa\x00Tb\x00X": exitGrammar,
	} {
		if code := runWith(t, s.addr+"\n", "hi\n", envelope); code != want {
			t.Errorf("%q: exit code %d, want %d", envelope, code, want)
		}
	}
	if len(s.got) != 0 {
		t.Errorf("sent %q", <-s.got)
	}
}

// A message that cannot be read is not sent, and not sent as an empty one.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, err := readRequest(dir, strings.NewReader(testEnvelope)); err != failure(exitRead) {
		t.Errorf("a directory: %v", err)
	}
	if code := Main(world.World{Home: "/nowhere", Stdin: dir, Stdout: dir}); code != exitHome {
		t.Errorf("no home: %d", code)
	}
}

// An address that no server takes is not one that it takes by accident.
func TestLongAddress(t *testing.T) {
	t.Parallel()
	r, err := readRequest(strings.NewReader(""), strings.NewReader("F\x00T"+strings.Repeat("x", 1<<20)+"\x00\x00"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(bytes.Join(r, nil)); n < maxAddress || n > maxAddress+100 {
		t.Errorf("%d octets", n)
	}
}

// FuzzEnvelope: what is sent are netstrings, as many as there are addresses.
func FuzzEnvelope(f *testing.F) {
	f.Add("hi\n", testEnvelope)
	f.Add("", "F\x00\x00")
	f.Fuzz(func(t *testing.T, message, envelope string) {
		r, err := readRequest(strings.NewReader(message), strings.NewReader(envelope))
		if err != nil {
			return
		}
		in := bufio.NewReader(bytes.NewReader(bytes.Join(r, nil)))
		outer, err := netstring.Open(in, maxRequest)
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for ; outer.Left() > 0; count++ {
			inner, err := netstring.Open(outer, maxRequest)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(inner)
			if err != nil || inner.Close() != nil || count == 0 && string(b) != message || strings.Contains(string(b), "\x00") && count > 0 {
				t.Fatalf("%q, %v", b, err)
			}
		}
		if err := outer.Close(); err != nil || count < 2 {
			t.Fatalf("%d netstrings, %v", count, err)
		}
	})
}
