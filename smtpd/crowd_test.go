package smtpd

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestCrowd: while 2,000 connections are idle and 500 write a message an octet
// at a time, others are served as if they were alone.
func TestCrowd(t *testing.T) {
	const idle, slow = 2000, 500
	h := startHost(t, map[string]string{"concurrencysmtpip": "4000\n", "concurrencysmtp": "4000\n", "minratesmtp": "0\n"})
	needFiles(t, 2*(idle+slow)+100)
	var clients []*plainClient
	defer func() {
		for _, c := range clients {
			c.close()
		}
	}()
	for range idle {
		c := dialPlain(t, h.addr)
		clients = append(clients, c)
		c.ask(t, "", 1)
		c.ask(t, "EHLO client.example.net\r\n", 10)
	}
	var writers []*plainClient
	for range slow {
		c := dialPlain(t, h.addr)
		clients, writers = append(clients, c), append(writers, c)
		c.ask(t, "", 1)
		c.ask(t, "MAIL FROM:<>\r\nRCPT TO:<jim@example.com>\r\nDATA\r\n", 3)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			for _, c := range writers {
				select {
				case <-stop:
					return
				default:
				}
				_, _ = unix.Write(c.fd, []byte("x")) // the others are what is tested
			}
		}
	}()
	var took []time.Duration
	for range 20 {
		begun := time.Now()
		c := dialPlain(t, h.addr)
		c.ask(t, "", 1)
		c.ask(t, "EHLO client.example.net\r\n", 10)
		c.ask(t, "MAIL FROM:<joe@example.net>\r\nRCPT TO:<jim@example.com>\r\nDATA\r\n", 3)
		c.ask(t, strings.Repeat(strings.Repeat("x", 70)+"\r\n", 57)+".\r\n", 1)
		c.ask(t, "QUIT\r\n", 1)
		c.close()
		took = append(took, time.Since(begun))
	}
	close(stop)
	<-stopped
	t.Logf("a message of an honest client takes %v", took)
	for _, c := range writers {
		c.ask(t, "\r\n.\r\n", 1) // theirs are taken, too
	}
}

// needFiles raises the limit of open files as far as it takes.
func needFiles(t *testing.T, n uint64) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= n {
		return
	}
	limit.Cur, limit.Max = n, max(n, limit.Max)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatalf("%d open files are needed: %v", n, err)
	}
}
