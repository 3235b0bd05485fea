package smtpd

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// plainClient is a client that costs the test as little as possible.
type plainClient struct {
	fd  int
	buf [512]byte
}

func dialPlain(tb testing.TB, addr string) *plainClient {
	tb.Helper()
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	to := &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Connect(fd, to); err != nil {
		tb.Fatal(err)
	}
	return &plainClient{fd: fd}
}

// ask sends text and waits until n lines have come.
func (c *plainClient) ask(tb testing.TB, text string, n int) {
	if text != "" {
		if _, err := unix.Write(c.fd, []byte(text)); err != nil {
			tb.Fatal(err)
		}
	}
	for n > 0 {
		got, err := unix.Read(c.fd, c.buf[:])
		if err != nil || got <= 0 {
			tb.Fatalf("read: %d, %v", got, err)
		}
		if c.buf[0] == '4' || c.buf[0] == '5' {
			tb.Fatalf("server says %q", c.buf[:got])
		}
		n -= strings.Count(string(c.buf[:got]), "\n")
	}
}

func (c *plainClient) close() { unix.Close(c.fd) }

// An idle session costs less than 16 kB.
func TestIdleSessionMemory(t *testing.T) {
	const sessions = 1000
	h := startHost(t, map[string]string{"concurrencysmtpip": "2000\n", "concurrencysmtp": "2000\n"})
	warm := dialPlain(t, h.addr)
	warm.ask(t, "", 1)
	h.log.mu.Lock()
	h.log.full = true
	h.log.mu.Unlock()
	memory := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before := memory()
	var clients []*plainClient
	for range sessions {
		c := dialPlain(t, h.addr)
		c.ask(t, "", 1)
		c.ask(t, "EHLO client.example.net\r\n", 10)
		c.ask(t, "MAIL FROM:<>\r\nRCPT TO:<jim@example.com>\r\nDATA\r\n", 3)
		c.ask(t, "x\r\n.\r\n", 1)
		clients = append(clients, c)
	}
	each := (memory() - before) / sessions
	t.Logf("%d octets for each idle session that has sent a message", each)
	if each > 16<<10 {
		t.Errorf("an idle session costs %d octets", each)
	}
	warm.close()
	for _, c := range clients {
		c.close()
	}
}

// BenchmarkSessions: connect, one message of 4 KiB, QUIT, with a fake spool.
func BenchmarkSessions(b *testing.B) {
	h := startHost(b, map[string]string{"concurrencysmtpip": "2000\n"})
	text := strings.Repeat(strings.Repeat("x", 70)+"\r\n", 57) + ".\r\n"
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c := dialPlain(b, h.addr)
			c.ask(b, "", 1)
			c.ask(b, "EHLO client.example.net\r\n", 10)
			c.ask(b, "MAIL FROM:<joe@example.net>\r\nRCPT TO:<jim@example.com>\r\nDATA\r\n", 3)
			c.ask(b, text, 1)
			c.ask(b, "QUIT\r\n", 1)
			c.close()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sessions/s")
}

// BenchmarkMessages: one connection, messages of several sizes.
func BenchmarkMessages(b *testing.B) {
	for _, size := range []int{1 << 10, 4 << 10, 60 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			h := startHost(b, map[string]string{"concurrencysmtpip": "2000\n"})
			text := strings.Repeat(strings.Repeat("x", 62)+"\r\n", size/64) + ".\r\n"
			b.SetBytes(int64(size))
			b.RunParallel(func(pb *testing.PB) {
				c := dialPlain(b, h.addr)
				c.ask(b, "", 1)
				for pb.Next() {
					c.ask(b, "MAIL FROM:<joe@example.net>\r\nRCPT TO:<jim@example.com>\r\nDATA\r\n", 3)
					c.ask(b, text, 1)
				}
				c.close()
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
