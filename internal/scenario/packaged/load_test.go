package packaged

import (
	"fmt"
	"net"
	"net/textproto"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// loadVariable makes the test binary a sender of mail to the address that it holds.
	loadVariable = "POSTRIDER_TEST_LOAD"
	// pace is how many connections a second it makes.
	pace = 200
	// atOnce bounds those that last: a busy machine makes less.
	atOnce = 200
	// sessionTime is long enough for any session of a machine that is busy.
	sessionTime = 2 * time.Minute
)

func TestMain(m *testing.M) {
	if to := os.Getenv(loadVariable); to != "" {
		os.Exit(load(to))
	}
	os.Exit(m.Run())
}

// load sends messages until /stop is there. It returns 1 if a connection was
// refused or a session saw an error.
func load(to string) int {
	acknowledged, err := os.Create("/acknowledged")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer acknowledged.Close()
	var mu sync.Mutex
	var running sync.WaitGroup
	var failed atomic.Int64
	places := make(chan struct{}, atOnce)
	tick := time.NewTicker(time.Second / pace)
	for n := 0; ; n++ {
		<-tick.C
		if _, err := os.Stat("/stop"); err == nil {
			break
		}
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			subject := fmt.Sprint("Subject: load-", n)
			if err := send(to, subject); err != nil {
				fmt.Printf("session %d: %v\n", n, err)
				failed.Add(1)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintln(acknowledged, subject)
		})
	}
	running.Wait()
	if failed.Load() > 0 {
		return 1
	}
	return 0
}

// send is one session.
func send(to, subject string) error {
	conn, err := net.Dial("tcp", "127.0.0.1:25")
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(sessionTime)); err != nil {
		return err
	}
	c := textproto.NewConn(conn)
	if _, _, err := c.ReadResponse(220); err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	for _, step := range []struct {
		line string
		code int
	}{
		{"EHLO x", 250}, {"MAIL FROM:<a@example.net>", 250}, {"RCPT TO:<" + to + ">", 250}, {"DATA", 354},
		{subject + "\r\n\r\nx\r\n.", 250}, {"QUIT", 221},
	} {
		if err := c.PrintfLine("%s", step.line); err != nil {
			return fmt.Errorf("%s: %w", step.line, err)
		}
		if _, _, err := c.ReadResponse(step.code); err != nil {
			return fmt.Errorf("%s: %w", step.line, err)
		}
	}
	return nil
}
