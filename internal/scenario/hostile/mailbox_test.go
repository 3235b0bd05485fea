package hostile

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"postrider/internal/testhost"
)

// TestMailboxChangesUnderDeliveries: the Maildir becomes a link to somebody
// else's, a FIFO, a file, while mail for it is delivered. Nothing of it comes
// into the other's mailbox, and what was accepted is in hers, or was never
// said to be delivered.
func TestMailboxChangesUnderDeliveries(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.own("mallory", ".qmail", "./Maildir/\n")
	before := g.daemons()
	seconds := testhost.Times(t, "seconds of attack on a mailbox", 4, 300)
	f := g.flow()
	var attacks sync.WaitGroup
	attacks.Go(func() { g.attack(testhost.Within(t, soon*20), "mailbox", fmt.Sprint(seconds)) })
	over := make(chan struct{})
	go func() { attacks.Wait(); close(over) }()
	n := 0
	for done := false; !done; n++ {
		g.send("bob", "mallory", fmt.Sprint("m", n))
		select {
		case <-over:
			done = true
		default:
		}
	}
	f.end("mailbox")
	g.settled()
	g.unharmed(before)
	for _, m := range g.Maildir("alice").Messages() {
		if !strings.HasPrefix(m.Header("Subject"), "flow ") {
			t.Errorf("alice got %s", m.Text)
		}
	}
	got := len(g.Maildir("mallory").Messages())
	t.Logf("%d messages for mallory, %d in her mailbox", n, got)
	if got < n/2 { // she removes what comes into her substitutes
		t.Errorf("%d messages for mallory, %d in her mailbox", n, got)
	}
	g.StopSuite()
}

// TestUserAgainstHerOwnWorkers stops and kills all her processes, between start
// and exec too, and replaces her home by a link.
func TestUserAgainstHerOwnWorkers(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.own("mallory", ".qmail", "./Maildir/\n|sleep 1\n")
	before := g.daemons()
	seconds := testhost.Times(t, "seconds of attack on workers", 4, 300)
	for _, how := range []string{"kill", "stop"} {
		f := g.flow()
		var attacks sync.WaitGroup
		attacks.Go(func() { g.attack(testhost.Within(t, soon*20), how, fmt.Sprint(seconds)) })
		over := make(chan struct{})
		go func() { attacks.Wait(); close(over) }()
		for n, done := 0, false; !done; n++ {
			if n < 200 {
				g.send("bob", "mallory", fmt.Sprint(how, n))
			}
			select {
			case <-over:
				done = true
			default:
			}
			pause(t.Context(), 2e7)
		}
		f.end("her own workers: " + how)
		g.unharmed(before)
	}
	// A worker that was stopped last is killed, and all of it is delivered.
	g.own("mallory", ".qmail", "./Maildir/\n")
	g.settled()
	if strings.Count(g.Log().Text(0), "was stopped by somebody: killed") == 0 {
		t.Error("no worker was found stopped")
	}
	g.Must("sh", "-c", "mv /home/mallory /home/m; ln -s /home/alice /home/mallory")
	g.send("bob", "mallory", "into somebody else's home")
	g.settled() // who does not own her home gets no mail there
	g.Must("sh", "-c", "rm /home/mallory; mv /home/m /home/mallory")
	g.settled()
	for _, m := range g.Maildir("alice").Messages() {
		if !strings.HasPrefix(m.Header("Subject"), "flow ") {
			t.Errorf("alice got %s", m.Text)
		}
	}
	g.unharmed(before)
	g.StopSuite()
}
