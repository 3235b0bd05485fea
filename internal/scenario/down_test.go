package scenario

import (
	"fmt"
	"testing"

	"postrider/internal/testhost"
)

// TestSendmailWorksWithoutDaemons leaves mail while nothing runs: everybody's
// sendmail says yes, and all of it arrives after the start.
func TestSendmailWorksWithoutDaemons(t *testing.T) {
	t.Parallel()
	h := mailHost(t, testhost.NewNetwork(t), "mx1.example", "alice", "bob")
	send := func(n int) {
		sendmail(h, []string{"alice", "bob", "root"}[n%3], []string{"alice"}, letter("alice", fmt.Sprint("m", n)))
	}
	for n := range 6 { // before the first start ever
		send(n)
	}
	h.StartSuite()
	box := h.Maildir("alice")
	box.Wait(testhost.Within(t, soon), 6)
	h.StopSuite()
	for n := range 6 {
		send(6 + n)
	}
	if n := box.Count(); n != 6 {
		t.Fatalf("%d messages while nothing runs", n)
	}
	h.StartSuite()
	got := box.Wait(testhost.Within(t, soon), 12)
	seen := make(map[string]int)
	for _, m := range got {
		seen[m.Header("Subject")]++
	}
	for n := range 12 {
		if s := fmt.Sprint("m", n); seen[s] != 1 {
			t.Errorf("%s came %d times", s, seen[s])
		}
	}
	waitEmpty(t, h)
	h.StopSuite()
}
