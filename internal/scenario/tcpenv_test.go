package scenario

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"

	"postrider/internal/testhost"
)

// TestTcpEnv: tcp-env sets what tcpserver would, from the socket, the DNS and
// the client's ident server. Here tcpserver only listens, as inetd does.
func TestTcpEnv(t *testing.T) {
	t.Parallel()
	network := testhost.NewNetwork(t)
	h := mailHost(t, network, "mx1.example")
	client := network.Host("client.example")
	ident := client.Listen("tcp", ":113")
	go func() { // ends when the host does
		for {
			conn, err := ident.Accept()
			if err != nil {
				return
			}
			question := make([]byte, 100)
			n, _ := conn.Read(question)
			fmt.Fprintf(conn, "%s : USERID : UNIX : joe\r\n", strings.TrimSpace(string(question[:n])))
			conn.Close()
		}
	}()
	server, err := h.Start(testhost.Command{
		Argv: []string{"tcpserver", "-HRl0", "0", "7777", "sh", "-c",
			"unset PROTO; TCPREMOTEIP=192.0.2.1 TCPREMOTEINFO=liar exec /var/qmail/bin/tcp-env -t 30 env"},
		Files: nullFiles(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := testhost.Within(t, soon)
	var conn net.Conn
	for {
		if conn, err = client.Dial(ctx, "tcp", h.IP.String()+":7777"); err == nil || ctx.Err() != nil {
			break
		}
		pause(ctx) // tcpserver does not say when it listens
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	said, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(string(said), "\n")
	remote := conn.LocalAddr().(*net.TCPAddr)
	for _, want := range []string{
		"PROTO=TCP", "TCPLOCALIP=" + h.IP.String(), "TCPLOCALPORT=7777", "TCPREMOTEIP=" + client.IP.String(),
		fmt.Sprintf("TCPREMOTEPORT=%d", remote.Port), "TCPREMOTEINFO=joe",
		"TCPLOCALHOST=mx1.example", "TCPREMOTEHOST=client.example",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if err := server.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}
