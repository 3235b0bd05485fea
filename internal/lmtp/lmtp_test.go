package lmtp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/internal/address"
	"postrider/internal/fate"
)

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"unix:/run/dovecot/lmtp", "inet:127.0.0.1:24", "inet:[::1]:2424"} {
		if got, err := ParseTarget(s); err != nil || got.String() != s {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "unix:", "unix:run", "inet:", "inet:localhost:24", "inet:127.0.0.1", "inet:127.0.0.1:0", "inet:[fe80::1%eth0]:24", "/run/x", "unix:/" + strings.Repeat("x", 107)} {
		if got, err := ParseTarget(s); err == nil {
			t.Errorf("%s: %v", s, got)
		}
	}
}

// server speaks LMTP on a socket. answers are its replies by verb; "." is the one
// to the message, "" the greeting; an empty reply ends the connection.
type server struct {
	l net.Listener

	mu          sync.Mutex
	answers     map[string]string
	said        []string
	connections int
}

func newServer(t *testing.T, answers map[string]string) (*server, Target) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &server{l: l, answers: answers}
	go s.serve()
	target, err := ParseTarget("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	return s, target
}

func (s *server) serve() {
	for {
		c, err := s.l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.connections++
		s.mu.Unlock()
		go s.talk(c)
	}
}

func (s *server) answer(verb, usual string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, found := s.answers[verb]; found {
		return a
	}
	return usual
}

func (s *server) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, line)
}

func (s *server) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.said, "|")
}

func (s *server) talk(c net.Conn) {
	defer c.Close()
	usual := map[string]string{"": "220 ready", "LHLO": "250-x\r\n250-8BITMIME\r\n250 SMTPUTF8", "DATA": "354 go", ".": "250 2.0.0 stored"}
	in := bufio.NewReader(c)
	say := func(verb string) bool {
		reply := s.answer(verb, usual[verb])
		if reply == "" && verb != "MAIL" && verb != "RCPT" && verb != "RSET" {
			return false
		}
		if reply == "" {
			if _, set := s.answers[verb]; set {
				return false
			}
			reply = "250 ok"
		}
		_, err := io.WriteString(c, reply+"\r\n")
		return err == nil && !strings.HasPrefix(reply, "421")
	}
	for goesOn := say(""); goesOn; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		s.note(strings.TrimRight(line, "\r\n"))
		verb, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if goesOn = say(verb); verb != "DATA" || !strings.HasPrefix(s.answer("DATA", "354"), "354") {
			continue
		}
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if line == ".\r\n" {
				break
			}
			s.note(strings.TrimRight(line, "\r\n"))
		}
		goesOn = say(".")
	}
}

func mail(t testing.TB, sender, recipient, text string) Mail {
	t.Helper()
	from, err := address.New(sender)
	to, err2 := address.New(recipient)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return Mail{from, to, strings.NewReader(text)}
}

// One connection serves one delivery after another, also behind a refusal.
func TestDeliver(t *testing.T) {
	t.Parallel()
	s, target := newServer(t, map[string]string{})
	p := NewPool("mx.example")
	for _, c := range []struct{ sender, recipient, want string }{
		{"s@x.example", "joe@a.example", "MAIL FROM:<s@x.example> BODY=8BITMIME|RCPT TO:<joe@a.example>|DATA|Subject: x||..dot|end"},
		{"", "joe user@a.example", `MAIL FROM:<> BODY=8BITMIME|RCPT TO:<"joe user"@a.example>|DATA|Subject: x||..dot|end`},
		{"\u00e4@x", "joe@a.example", "MAIL FROM:<\"\u00e4\"@x> BODY=8BITMIME SMTPUTF8|RCPT TO:<joe@a.example>|DATA|Subject: x||..dot|end"},
	} {
		before := len(s.heard())
		if err := p.Deliver(target, mail(t, c.sender, c.recipient, "Subject: x\n\n.dot\nend")); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimPrefix(s.heard()[before:], "|"); strings.TrimPrefix(got, "LHLO mx.example|") != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	s.mu.Lock()
	s.answers["RCPT"] = "550 5.1.1 who?"
	s.mu.Unlock()
	if err := p.Deliver(target, mail(t, "s@x", "jim@a", "x\n")); fate.ClassOf(err) != fate.Permanent {
		t.Errorf("refused: %v", err)
	}
	s.mu.Lock()
	delete(s.answers, "RCPT")
	n := s.connections
	s.mu.Unlock()
	if err := p.Deliver(target, mail(t, "s@x", "joe@a", "x\n")); err != nil || n != 1 || !strings.Contains(s.heard(), "|RSET|MAIL") {
		t.Errorf("%v, %d connections: %s", err, n, s.heard())
	}
}

func TestResults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		answers map[string]string
		class   fate.Class
		text    string
	}{
		{"quota for good", map[string]string{".": "552 5.2.2 <joe> Quota exceeded"}, fate.Permanent, "LMTP server said: 552 5.2.2 <joe> Quota exceeded (#5.2.2)"},
		{"quota for now", map[string]string{".": "452 4.2.2 over\x01"}, fate.Temporary, "LMTP server said: 452 4.2.2 over? (#4.2.2)"},
		{"two lines", map[string]string{"RCPT": "550-5.1.1 no\r\n550 5.1.1 user"}, fate.Permanent, "LMTP server said: 550-5.1.1 no 550 5.1.1 user (#5.3.0)"},
		{"MAIL", map[string]string{"MAIL": "550 no"}, fate.Permanent, "LMTP server said: 550 no (#5.3.0)"},
		{"DATA", map[string]string{"DATA": "451 no"}, fate.Temporary, "LMTP server said: 451 no (#4.3.0)"},
		{"an odd success", map[string]string{"DATA": "250 done"}, fate.Temporary, "LMTP server said: 250 done (#4.3.0)"},
		{"greeting", map[string]string{"": "554 no"}, fate.Temporary, "LMTP server said: 554 no (#4.3.0)"},
		{"LHLO", map[string]string{"LHLO": "500 what?"}, fate.Temporary, "LMTP server said: 500 what? (#4.3.0)"},
		{"no answer to the message", map[string]string{".": ""}, fate.Temporary, "Unable to deliver by LMTP: answer to the message failed. (#4.4.2)"},
		{"no answer to MAIL", map[string]string{"MAIL": ""}, fate.Temporary, "Unable to deliver by LMTP: MAIL failed. (#4.4.2)"},
		{"nonsense", map[string]string{"RCPT": "hello"}, fate.Temporary, "Unable to deliver by LMTP: RCPT failed. (#4.4.2)"},
	} {
		_, target := newServer(t, c.answers)
		err := NewPool("mx.example").Deliver(target, mail(t, "s@x", "joe@a", "x\n"))
		var e *fate.Error
		if !errors.As(err, &e) || e.Class != c.class || e.Text != c.text {
			t.Errorf("%s: got %v %v", c.name, fate.ClassOf(err), err)
			if e != nil {
				t.Errorf("text %q", e.Text)
			}
		}
	}
	nowhere, err := ParseTarget("unix:" + t.TempDir() + "/none")
	if err != nil {
		t.Fatal(err)
	}
	if err := NewPool("x").Deliver(nowhere, mail(t, "s@x", "joe@a", "x\n")); err == nil || fate.ClassOf(err) != fate.Temporary {
		t.Errorf("no server: %v", err)
	}
}

// A kept connection that has ended is replaced.
func TestStaleConnection(t *testing.T) {
	t.Parallel()
	s, target := newServer(t, map[string]string{})
	p := NewPool("mx.example")
	for i := range 3 {
		if err := p.Deliver(target, mail(t, "s@x", "joe@a", "x\n")); err != nil {
			t.Fatal(i, err)
		}
		p.mu.Lock()
		for _, each := range p.idle { // as if the server had
			_ = each.f.SetDeadline(time.Now())
			_ = each.f.Close()
		}
		p.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connections != 3 {
		t.Errorf("%d connections", s.connections)
	}
}

func TestTCP(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{l: l, answers: map[string]string{}}
	go s.serve()
	target, err := ParseTarget("inet:" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := NewPool("x").Deliver(target, mail(t, "s@x", "joe@a", "x\n")); err != nil {
		t.Error(err)
	}
	l.Close()
	if err := NewPool("x").Deliver(target, mail(t, "s@x", "joe@a", "x\n")); err == nil || fate.ClassOf(err) != fate.Temporary {
		t.Errorf("nobody listens: %v", err)
	}
}

func FuzzReplies(f *testing.F) {
	f.Add("550 5.1.1 who\n")
	f.Add("452-4.2.2\n452 x\n")
	f.Fuzz(func(t *testing.T, text string) {
		if got := said(text); strings.ContainsAny(got, "\n\r\x00") || len(got) > maxSaid {
			t.Errorf("%q of %q", got, text)
		}
		for _, class := range []byte{'4', '5'} {
			code := codeOf(text, class)
			var a, b int
			if n, err := fmt.Sscanf(code, "%d.%d", &a, &b); n != 2 || err != nil || len(code) > 7 {
				t.Errorf("code %q of %q", code, text)
			}
		}
	})
}
