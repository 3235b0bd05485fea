package packaged

import (
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"postrider/internal/ledger"
)

const (
	sender    = "a@example.net"
	recipient = "joe@mail.example.org"
	// pace is how many connections are made a second.
	pace = 200
	// atOnce bounds those that last: a machine that is too busy makes fewer.
	atOnce = 800
	// most bounds all of them.
	most = 60000
	// sessionTime is long enough for any session of a machine that is busy.
	sessionTime = 2 * time.Minute
	size        = 500
)

// sending is a sender at work.
type sending struct {
	name    string
	book    *ledger.Ledger
	mu      sync.Mutex
	failed  []string    // sessions that saw an error
	started []time.Time // connections
}

// load makes pace connections a second, each with a message, until /stop is
// there. It fails if a connection was refused or a session saw an error; with
// insist, that is all right, and nothing is known of such a message.
func load(name string, insist bool) error {
	book, err := ledger.New("/ledger." + name)
	if err != nil {
		return err
	}
	s := &sending{name: name, book: book}
	var running sync.WaitGroup
	places := make(chan struct{}, atOnce)
	start := time.Now()
	for n := range most {
		// By the clock, not by a ticker, which would leave out what is late.
		time.Sleep(time.Until(start.Add(time.Duration(n) * time.Second / pace)))
		if _, err := os.Stat("/stop"); err == nil {
			break
		}
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			s.one(n)
		})
	}
	running.Wait()
	s.tell()
	if err := book.Close(); err != nil {
		return err
	}
	if n := len(s.failed); n > 0 && !insist {
		return fmt.Errorf("%d of %d sessions saw an error: %s", n, len(s.started), strings.Join(s.failed[:min(n, 5)], "; "))
	}
	return nil
}

// one is a session of its own.
func (s *sending) one(n int) {
	s.mu.Lock()
	s.started = append(s.started, time.Now())
	s.mu.Unlock()
	id := s.name + strconv.Itoa(n)
	text, hash := ledger.Compose(id, sender, recipient, size)
	s.book.Intend(ledger.Intent{ID: id, Via: "smtp", Sender: sender, Recipients: []string{recipient}, Hash: hash})
	taken, err := send(text)
	var refused *textproto.Error
	switch {
	case taken:
		s.book.Ack(id)
	case errors.As(err, &refused):
		s.book.Nack(id, refused.Code)
	default:
		s.book.Unknown(id)
	}
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failed = append(s.failed, fmt.Sprintf("%s: %v", id, err))
	}
}

// send is one session; taken says whether the message was, whatever came then.
func send(text string) (taken bool, err error) {
	conn, err := net.Dial("tcp", "127.0.0.1:25")
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(sessionTime)); err != nil {
		return false, err
	}
	c := textproto.NewConn(conn)
	if _, _, err := c.ReadResponse(220); err != nil {
		return false, fmt.Errorf("greeting: %w", err)
	}
	for _, step := range []struct {
		line string
		code int
	}{
		{"EHLO x", 250}, {"MAIL FROM:<" + sender + ">", 250}, {"RCPT TO:<" + recipient + ">", 250}, {"DATA", 354},
		{strings.ReplaceAll(text, "\n", "\r\n") + ".", 250}, {"QUIT", 221},
	} {
		if err := c.PrintfLine("%s", step.line); err != nil {
			return taken, fmt.Errorf("%.10s: %w", step.line, err)
		}
		if _, _, err := c.ReadResponse(step.code); err != nil {
			return taken, fmt.Errorf("%.10s: %w", step.line, err)
		}
		taken = taken || strings.HasSuffix(step.line, "\n.")
	}
	return taken, nil
}

// tell says how many connections a second there were: before the programs were
// replaced, and since then.
func (s *sending) tell() {
	if len(s.started) == 0 {
		return
	}
	first, last := s.started[0], s.started[len(s.started)-1]
	replacing := last
	if text, err := os.ReadFile("/replacing"); err == nil {
		if ns, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && time.Unix(0, ns).After(first) {
			replacing = time.Unix(0, ns)
		}
	}
	before := 0
	for _, when := range s.started {
		if when.Before(replacing) {
			before++
		}
	}
	fmt.Printf("%s: %d connections: %.1f a second in %.1f s before, %.1f a second in %.1f s of replacing programs; %d saw an error\n",
		s.name, len(s.started), rate(before, replacing.Sub(first)), replacing.Sub(first).Seconds(),
		rate(len(s.started)-before, last.Sub(replacing)), last.Sub(replacing).Seconds(), len(s.failed))
}

func rate(n int, in time.Duration) float64 {
	if in <= 0 {
		return 0
	}
	return float64(n) / in.Seconds()
}
