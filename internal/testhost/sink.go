package testhost

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// What a script may say besides a reply.
const (
	Default = ""        // what a sound host replies
	HangUp  = "hang up" // close the connection without a word
	Silence = "silence" // say nothing more and keep the connection
)

// Script decides what a sink replies: verb is "connect", "data" (the message
// has been received) or the SMTP verb in upper case.
type Script func(verb, argument string) (reply string)

// Sink is a next host that the test plays: it listens in a host, replies by a
// script and keeps what it accepted.
type Sink struct {
	host *Host
	l    net.Listener

	mu       sync.Mutex
	script   Script
	sessions []net.Conn
	accepted []Accepted
	closed   bool
	changed  chan struct{} // closed and replaced with every message
}

// Accepted is a message that a sink said yes to.
type Accepted struct {
	Session    int // connections are numbered from 0
	When       time.Time
	Sender     string
	Recipients []string
	Text       string // with LF line ends, dots unstuffed
}

// Sink listens on an address of the host, such as ":25". A nil script accepts
// everything.
func (h *Host) Sink(address string, script Script) *Sink {
	h.t.Helper()
	s := &Sink{host: h, l: h.Listen("tcp", address), script: script, changed: make(chan struct{})}
	h.t.Cleanup(s.Close)
	go s.serve()
	return s
}

// SetScript changes the script, for sessions that go on too.
func (s *Sink) SetScript(script Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// Close ends the sink: nobody listens any more, and every session is cut.
func (s *Sink) Close() {
	s.l.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, c := range s.sessions {
		c.Close()
	}
}

// Accepted returns the messages so far.
func (s *Sink) Accepted() []Accepted {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Accepted(nil), s.accepted...)
}

// Take returns the messages since the last Take, and forgets them.
func (s *Sink) Take() []Accepted {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.accepted
	s.accepted = nil
	return taken
}

// Sessions returns how many connections there were.
func (s *Sink) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Wait waits until n messages were accepted; fewer at the end of ctx fails
// the test.
func (s *Sink) Wait(ctx context.Context, n int) []Accepted {
	s.host.t.Helper()
	for {
		s.mu.Lock()
		accepted, changed := append([]Accepted(nil), s.accepted...), s.changed
		s.mu.Unlock()
		if len(accepted) >= n {
			return accepted
		}
		select {
		case <-changed:
		case <-ctx.Done():
			s.host.t.Fatalf("sink on %s has %d messages, want %d: %v\nlog:\n%s", s.host.Name, len(accepted), n, ctx.Err(), s.host.log.Timed(0))
		}
	}
}

func (s *Sink) serve() {
	for {
		c, err := s.l.Accept()
		if err != nil {
			return // closed
		}
		s.mu.Lock()
		number := len(s.sessions)
		s.sessions = append(s.sessions, c)
		closed := s.closed
		s.mu.Unlock()
		if closed {
			c.Close()
			return
		}
		session := &sinkSession{sink: s, number: number, c: c, r: bufio.NewReader(c)}
		go session.run()
	}
}

func (s *Sink) keep(a Accepted) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted = append(s.accepted, a)
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Sink) ask(verb, argument string) string {
	s.mu.Lock()
	script := s.script
	s.mu.Unlock()
	if script == nil {
		return Default
	}
	return script(verb, argument)
}

// sinkSession is one connection.
type sinkSession struct {
	sink   *Sink
	number int
	c      net.Conn
	r      *bufio.Reader

	sender     string
	recipients []string
}

func (s *sinkSession) run() {
	defer s.c.Close()
	if !s.reply("connect", "", "220 "+s.sink.host.Name+" ESMTP") {
		return
	}
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return
		}
		verb, argument, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if !s.command(strings.ToUpper(verb), argument) {
			return
		}
	}
}

// reply says what the script wants, or usual, and reports whether the session
// goes on. A reply of several lines is one text with LF between them.
func (s *sinkSession) reply(verb, argument, usual string) (goesOn bool) {
	text := s.sink.ask(verb, argument)
	switch text {
	case Default:
		text = usual
	case HangUp:
		return false
	case Silence:
		// Until the peer gives up or the test ends.
		_, _ = s.r.Peek(1 << 20)
		return false
	}
	_, err := fmt.Fprintf(s.c, "%s\r\n", strings.ReplaceAll(text, "\n", "\r\n"))
	return err == nil && !strings.HasPrefix(text, "421")
}

// refused reports whether the script refuses; then it has replied.
func (s *sinkSession) refused(verb, argument string) (refused, goesOn bool) {
	text := s.sink.ask(verb, argument)
	if text == Default || strings.HasPrefix(text, "2") || strings.HasPrefix(text, "3") {
		return false, true
	}
	if text == HangUp || text == Silence {
		if text == Silence {
			_, _ = s.r.Peek(1 << 20)
		}
		return true, false
	}
	_, err := fmt.Fprintf(s.c, "%s\r\n", strings.ReplaceAll(text, "\n", "\r\n"))
	return true, err == nil && !strings.HasPrefix(text, "421")
}

func (s *sinkSession) command(verb, argument string) (goesOn bool) {
	switch verb {
	case "EHLO":
		return s.reply(verb, argument, "250-"+s.sink.host.Name+"\n250-PIPELINING\n250 8BITMIME")
	case "MAIL", "RCPT", "DATA":
		if refused, goesOn := s.refused(verb, argument); refused {
			return goesOn
		}
		return s.transaction(verb, argument)
	case "RSET":
		s.sender, s.recipients = "", nil
	case "QUIT":
		s.reply(verb, argument, "221 bye")
		return false
	}
	return s.reply(verb, argument, "250 ok")
}

func (s *sinkSession) transaction(verb, argument string) (goesOn bool) {
	switch verb {
	case "MAIL":
		s.sender, s.recipients = path(argument), nil
		return s.say("250 ok")
	case "RCPT":
		s.recipients = append(s.recipients, path(argument))
		return s.say("250 ok")
	}
	if len(s.recipients) == 0 {
		return s.say("554 no valid recipients")
	}
	if !s.say("354 go ahead") {
		return false
	}
	text, err := readDots(s.r)
	if err != nil {
		return false
	}
	refused, goesOn := s.refused("data", text)
	if refused {
		return goesOn
	}
	s.sink.keep(Accepted{Session: s.number, When: time.Now(), Sender: s.sender, Recipients: s.recipients, Text: text})
	s.recipients = nil
	return s.say("250 ok accepted")
}

func (s *sinkSession) say(text string) bool {
	_, err := fmt.Fprintf(s.c, "%s\r\n", text)
	return err == nil
}

// path returns the address in "FROM:<address> PARAMETERS".
func path(argument string) string {
	_, rest, _ := strings.Cut(argument, "<")
	if i := strings.LastIndexByte(rest, '>'); i >= 0 {
		return rest[:i]
	}
	return rest
}

// readDots reads a message up to the final dot.
func readDots(r *bufio.Reader) (string, error) {
	var text strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if line == "." {
			return text.String(), nil
		}
		text.WriteString(strings.TrimPrefix(line, "."))
		text.WriteByte('\n')
	}
}
