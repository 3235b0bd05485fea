package smtpd

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// delayed runs a session with the given settings; talk is the client. It
// returns what the server said, and when the first and the last of it came.
func delayed(t *testing.T, set func(*session), talk func(c net.Conn)) (said string, first, last time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s, _ := newTestSession(pipeConn{theirs})
		set(s)
		start := time.Now()
		go func() {
			_ = s.run() // what the client heard tells
			theirs.Close()
		}()
		done := make(chan struct{})
		go func() {
			defer close(done)
			buf := make([]byte, 4096)
			heard := false
			for {
				n, err := ours.Read(buf)
				if n > 0 {
					said += string(buf[:n])
					last = time.Since(start)
					if !heard {
						heard, first = true, last
					}
				}
				if err != nil {
					return
				}
			}
		}()
		talk(ours)
		<-done
		synctest.Wait()
		ours.Close()
	})
	return said, first, last
}

func TestGreetDelay(t *testing.T) {
	t.Parallel()
	say := func(c net.Conn, text string) { _, _ = io.WriteString(c, text) } // a server that hung up tells
	wait := func(s *session) { s.settings.greetDelay = 10 * time.Second }
	for _, c := range []struct {
		name  string
		set   func(*session)
		talk  func(net.Conn)
		said  string
		first time.Duration
	}{
		{"a patient client", wait, func(c net.Conn) { time.Sleep(11 * time.Second); say(c, "QUIT\r\n") }, "220 mx.example.org ESMTP\r\n221 *", 10 * time.Second},
		{"an early talker", wait, func(c net.Conn) { time.Sleep(9 * time.Second); say(c, "EHLO x\r\n") }, "554 5.5.0 you talked before I greeted you (#5.5.0)\r\n", 9 * time.Second},
		{"one octet", wait, func(c net.Conn) { time.Sleep(time.Second); say(c, "\n") }, "554 5.5.0 *", time.Second},
		{"a client that may relay does not wait", func(s *session) { wait(s); s.peer.relay = true }, func(c net.Conn) { time.Sleep(time.Second); say(c, "QUIT\r\n") }, "220 mx.example.org ESMTP\r\n221 *", 0},
		{"off", func(*session) {}, func(c net.Conn) { time.Sleep(time.Second); say(c, "QUIT\r\n") }, "220 mx.example.org ESMTP\r\n221 *", 0},
		{"hanging up", wait, func(c net.Conn) { time.Sleep(time.Second); c.Close() }, "", 0},
		{"shutdown", wait, func(net.Conn) {}, "421 4.3.2 *", 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := c.set
			if c.name == "shutdown" {
				set = func(s *session) { wait(s); time.AfterFunc(3*time.Second, func() { s.Stopping.Store(true) }) }
			}
			said, first, _ := delayed(t, set, c.talk)
			prefix, open := strings.CutSuffix(c.said, "*")
			if said != c.said && !(open && strings.HasPrefix(said, prefix)) || first != c.first {
				t.Errorf("said %q after %v, want %q after %v", said, first, c.said, c.first)
			}
		})
	}
}

// Each refusal after the first tarpiterrors waits; what is in order does not.
func TestTarpit(t *testing.T) {
	t.Parallel()
	commands := "MAIL FROM:<a@example.net>\r\n" + strings.Repeat("RCPT TO:<x@example.net>\r\n", 5) + "NOOP\r\nQUIT\r\n"
	talk := func(c net.Conn) { _, _ = io.WriteString(c, commands) } // all of it is read in the end
	for _, c := range []struct {
		name string
		set  func(*session)
		took time.Duration
	}{
		{"off", func(*session) {}, 0},
		{"two free", func(s *session) { s.settings.tarpitDelay, s.settings.tarpitErrors = 7*time.Second, 2 }, 21 * time.Second},
		{"none free", func(s *session) { s.settings.tarpitDelay, s.settings.tarpitErrors = time.Second, 0 }, 5 * time.Second},
		{"not longer than a minute", func(s *session) { s.settings.tarpitDelay, s.settings.tarpitErrors = time.Hour, 4 }, maxTarpit},
		{"the service ends", func(s *session) {
			s.settings.tarpitDelay, s.settings.tarpitErrors = 7*time.Second, 0
			s.Ending = make(chan struct{})
			time.AfterFunc(8*time.Second, func() { close(s.Ending) })
		}, 8 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			said, _, last := delayed(t, c.set, talk)
			if strings.Count(said, "553 ") != 5 || !strings.Contains(said, "221 ") || last != c.took {
				t.Errorf("%v, want %v:\n%s", last, c.took, said)
			}
		})
	}
}
