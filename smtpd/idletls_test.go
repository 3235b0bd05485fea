package smtpd

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// The clients of TestIdleTLS are another process: their memory is not the
// server's.
const idleTLSVariable = "IDLE_TLS_CLIENTS"

// An idle TLS session that has sent a message costs less than 60 kB.
func TestIdleTLSMemory(t *testing.T) {
	if settings, is := os.LookupEnv(idleTLSVariable); is {
		beIdleTLSClients(t, settings)
		return
	}
	for size, sessions := range map[int]int{1 << 10: 1000, 100 << 10: 200} {
		each := idleTLS(t, sessions, size)
		t.Logf("%d octets for each idle TLS session that has sent a message of %d octets", each, size)
		if each > 60<<10 {
			t.Errorf("an idle TLS session costs %d octets", each)
		}
	}
}

// BenchmarkIdleTLS: what an idle TLS session costs.
func BenchmarkIdleTLS(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(float64(idleTLS(b, 1000, 1<<10)), "octets/session")
	}
}

func idleTLS(t testing.TB, sessions, size int) uint64 {
	t.Helper()
	h := tlsHost(t, map[string]string{"concurrencysmtpip": "2000\n", "concurrencysmtp": "2000\n"})
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
	clients := exec.Command(os.Args[0], "-test.run=^TestIdleTLSMemory$")
	clients.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", idleTLSVariable, h.addr, sessions, size))
	in, err := clients.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := clients.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	clients.Stderr = os.Stderr
	if err := clients.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "idle\n" {
		t.Fatalf("clients: %q, %v", line, err)
	}
	h.spool.mu.Lock()
	h.spool.taken = nil // they are not the sessions'
	h.spool.mu.Unlock()
	after := memory()
	in.Close()
	if err := clients.Wait(); err != nil {
		t.Error(err)
	}
	h.stop()
	return (after - before) / uint64(sessions)
}

// beIdleTLSClients makes the connections and holds them until standard input
// ends.
func beIdleTLSClients(t *testing.T, settings string) {
	fields := strings.Fields(settings)
	count, _ := strconv.Atoi(fields[1])
	size, _ := strconv.Atoi(fields[2])
	text := strings.Repeat(strings.Repeat("x", 62)+"\r\n", size/64) + ".\r\n"
	for range count {
		raw, err := net.Dial("tcp", fields[0])
		if err != nil {
			t.Fatal(err)
		}
		plainly(t, raw, "EHLO client.example.net\r\nSTARTTLS\r\n", 3)
		c := tls.Client(raw, clientConfig())
		plainly(t, c, "EHLO client.example.net\r\nMAIL FROM:<>\r\nRCPT TO:<jim@example.com>\r\n", 3)
		plainly(t, c, "DATA\r\n", 1)
		plainly(t, c, text, 1)
		defer c.Close()
	}
	fmt.Println("idle")
	_, _ = io.ReadAll(os.Stdin) // its end is all that counts
}
