package smtpd

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type pipeConn struct{ net.Conn }

func (pipeConn) pending() bool { return false }

// inBubble runs a session whose time is the bubble's. talk is the client; it
// returns everything that the server said, when it has hung up. The error is
// why the session ended.
func inBubble(t *testing.T, talk func(say func(string) bool)) (said string, why error, took time.Duration, q *memoryQueue) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s, queue := newTestSession(pipeConn{theirs})
		q = queue
		s.settings.timeout, s.settings.sessionLimit = 20*time.Minute, 4*time.Hour
		start := time.Now()
		go func() {
			why = s.run()
			theirs.Close()
		}()
		heard := make(chan string, 1)
		go func() {
			all, _ := io.ReadAll(ours) // ends when the server hangs up
			took = time.Since(start)
			heard <- string(all)
		}()
		talk(func(text string) bool {
			_, err := io.WriteString(ours, text)
			return err == nil // else the server has hung up
		})
		said = <-heard
		synctest.Wait()
		if used := s.lent.used.Load(); used != 0 {
			t.Errorf("%d octets are still lent", used)
		}
	})
	return said, why, took, q
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	begin := "MAIL FROM:<a@example.net>\r\nRCPT TO:<jim@example.com>\r\nDATA\r\n"
	trickle := func(say func(string) bool, text string, every time.Duration) {
		for more := true; more; {
			time.Sleep(every)
			more = say(text)
		}
	}
	for _, c := range []struct {
		name string
		talk func(say func(string) bool)
		last string
		why  error
		took time.Duration
	}{
		{"silent client", func(func(string) bool) {}, "451 4.4.2 timeout (#4.4.2)", errTimeout, 20 * time.Minute},
		{"a command octet by octet", func(say func(string) bool) { trickle(say, "N", time.Minute) }, "451 4.4.2 timeout (#4.4.2)", errTimeout, 20 * time.Minute},
		{"an overlong line octet by octet", func(say func(string) bool) {
			say(strings.Repeat("x", smallBuffer))
			trickle(say, "x", time.Minute)
		}, "451 4.4.2 *", errTimeout, 20 * time.Minute},
		{"silent inside a message", func(say func(string) bool) { say(begin); say("Subject: x\r\n") }, "451 4.4.2 timeout (#4.4.2)", errTimeout, 20 * time.Minute},
		{"a message octet by octet", func(say func(string) bool) { say(begin); trickle(say, "x", 19*time.Minute) }, "421 4.4.2 the message comes too slowly (#4.4.2)", errSlow, 20*time.Minute + 2*time.Millisecond},
		{"a message below the lowest rate", func(say func(string) bool) { say(begin); trickle(say, strings.Repeat("x", 249), time.Second) }, "421 4.4.2 the message comes too slowly (#4.4.2)", errSlow, 2389722 * time.Millisecond},
		{"a message at the lowest rate", func(say func(string) bool) { say(begin); trickle(say, strings.Repeat("x\r\n", 167), time.Second) }, "421 4.4.2 this session has lasted too long (#4.4.2)", errTooLong, 4 * time.Hour},
		{"a chunk octet by octet", func(say func(string) bool) {
			say(strings.Replace(begin, "DATA", "BDAT 1000", 1))
			trickle(say, "x", 19*time.Minute)
		}, "421 4.4.2 the message comes too slowly (#4.4.2)", errSlow, 20*time.Minute + 2*time.Millisecond},
		{"a refused chunk octet by octet", func(say func(string) bool) {
			say("BDAT 1000\r\n")
			trickle(say, "x", 19*time.Minute)
		}, "421 4.4.2 the message comes too slowly (#4.4.2)", errSlow, 20*time.Minute + 2*time.Millisecond},
		{"chunks of one octet", func(say func(string) bool) {
			say(strings.Replace(begin, "DATA", "BDAT 0", 1))
			trickle(say, "BDAT 1\r\nx", 12*time.Second)
		}, "421 4.7.0 too many commands without mail, goodbye (#4.7.0)", errExpelled, 12 * 99 * time.Second},
		{"commands for ever", func(say func(string) bool) {
			trickle(say, "MAIL FROM:<a@example.net>\r\n", 10*time.Minute)
		}, "421 4.4.2 *", errTooLong, 4 * time.Hour},
		{"waiting behind a bare LF end mark", func(say func(string) bool) { say(begin); say("x\n.\n") }, "554 5.6.0 message has a bare LF: *", errExpelled, 30 * time.Second},
		{"waiting behind a bare LF end mark, after a minute of text", func(say func(string) bool) {
			say(begin)
			for range 60 {
				say("x\r\n")
				time.Sleep(time.Second)
			}
			say("x\n.\n")
		}, "554 5.6.0 message has a bare LF: *", errExpelled, 90 * time.Second},
		{"waiting behind a bare CR end mark", func(say func(string) bool) { say(begin); say("x\r\n.\rQUIT\r\n") }, "554 5.6.0 message has a bare CR: *", errExpelled, 30 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			said, why, took, q := inBubble(t, c.talk)
			lines := strings.Split(strings.TrimSuffix(said, "\r\n"), "\r\n")
			last := lines[len(lines)-1]
			if prefix, open := strings.CutSuffix(c.last, "*"); last != c.last && !(open && strings.HasPrefix(last, prefix)) {
				t.Errorf("last reply %q, want %q", last, c.last)
			}
			if !errors.Is(why, c.why) || took != c.took {
				t.Errorf("ended by %v after %v, want %v after %v", why, took, c.why, c.took)
			}
			if len(q.taken) != 0 {
				t.Errorf("queued %q", q.taken)
			}
		})
	}
}
