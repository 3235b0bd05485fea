package tcpenv

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"postrider/internal/resolver"
	"postrider/internal/world"
)

// connected returns the two ends of a TCP connection over loopback: the server's
// descriptor and the client's.
func connected(t *testing.T) (server *os.File, client *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	if server, err = accepted.(*net.TCPConn).File(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server, conn.(*net.TCPConn)
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	server, client := connected(t)
	local, remote := client.RemoteAddr().(*net.TCPAddr).Port, client.LocalAddr().(*net.TCPAddr).Port
	for _, c := range []struct {
		name  string
		names []string
		err   error
		ident string
		hosts string // of both, the same here
	}{
		{"a name", []string{"Mail.Example.ORG.", "other.example."}, nil, "joe", "mail.example.org"},
		{"no name", nil, resolver.ErrNoName, "", ""},
		{"no such record", nil, resolver.ErrNoRecord, "", ""},
		{"no answer", nil, errors.New("timeout"), "", "softdnserror"},
		{"a name that is none", []string{"a\nRELAYCLIENT=."}, nil, "", ""},
		{"a name with a blank", []string{"a b."}, nil, "", ""},
	} {
		a := asker{
			names: func(context.Context, netip.Addr) ([]string, error) { return c.names, c.err },
			ident: func(_ context.Context, l, r netip.AddrPort) string {
				if int(l.Port()) != local || int(r.Port()) != remote {
					t.Errorf("%s: asks for %v and %v", c.name, l, r)
				}
				return c.ident
			},
		}
		old := []string{"PATH=/bin", "TCPREMOTEINFO=liar", "TCPREMOTEHOST=liar", "PROTO=UDP"}
		got, err := a.environment(old, int(server.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"PATH=/bin", "PROTO=TCP", "TCPLOCALIP=127.0.0.1", "TCPREMOTEIP=127.0.0.1",
			fmt.Sprintf("TCPLOCALPORT=%d", local), fmt.Sprintf("TCPREMOTEPORT=%d", remote)}
		if c.hosts != "" {
			want = append(want, "TCPLOCALHOST="+c.hosts, "TCPREMOTEHOST="+c.hosts)
		}
		if c.ident != "" {
			want = append(want, "TCPREMOTEINFO="+c.ident)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, want)
		}
	}
}

// TestIdent asks a server that is ours.
func TestIdent(t *testing.T) {
	t.Parallel()
	local, remote := netip.MustParseAddrPort("127.0.0.1:25"), netip.MustParseAddrPort("127.0.0.1:6191")
	for _, c := range []struct{ answer, want string }{
		{"6191, 25 : USERID : UNIX : joe\r\n", "joe"},
		{"6191,25:USERID:UNIX,UTF-8: joe smith\r\n", "joe smith"},
		{"6191 , 25 : USERID : OTHER : a:b\n", "a:b"},
		{"6191, 25 : ERROR : NO-USER\r\n", ""},
		{"6191, 26 : USERID : UNIX : joe\r\n", ""}, // another connection
		{"6191, 25 : USERID : UNIX : j\x01oe\r\n", ""},
		{"6191, 25 : USERID : UNIX : j\xf6\r\n", ""},
		{"6191, 25 : USERID : UNIX : joe", ""}, // without its end
		{"6191, 25 : USERID : UNIX : " + strings.Repeat("x", 513) + "\r\n", ""},
		{"6191, 25 : USERID : UNIX : " + strings.Repeat("x", 5000) + "\r\n", ""},
		{"", ""},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		asked := make(chan string, 1)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				asked <- err.Error()
				return
			}
			defer conn.Close()
			line, _ := bufio.NewReader(conn).ReadString('\n')
			asked <- line
			_, _ = conn.Write([]byte(c.answer))
		}()
		got := askIdent(t.Context(), local, remote, uint16(l.Addr().(*net.TCPAddr).Port))
		l.Close()
		if question := <-asked; question != "6191 , 25\r\n" {
			t.Errorf("asks %q", question)
		}
		if got != c.want {
			t.Errorf("%.60q: %q, want %q", c.answer, got, c.want)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if got := askIdent(canceled, local, remote, identPort); got != "" {
		t.Errorf("out of time: %q", got)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, args := range []string{"tcp-env", "tcp-env -x true", "tcp-env -t x true", "tcp-env -R", "tcp-env no-such-program"} {
		path := t.TempDir() + "/err"
		said, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w := world.World{Args: strings.Fields(args), Environ: []string{"PROTO=TCP"}, Stdin: null, Stderr: said}
		code := Main(w)
		said.Close()
		text, err := os.ReadFile(path)
		if err != nil || code != exitFailed || !strings.HasPrefix(string(text), "tcp-env: fatal: ") {
			t.Errorf("%s: exit %d, %q, %v", args, code, text, err)
		}
	}
	if _, err := (asker{}).environment(nil, int(null.Fd())); err == nil {
		t.Error("a file is taken for a connection")
	}
}
