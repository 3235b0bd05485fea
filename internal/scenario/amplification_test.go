package scenario

import (
	"fmt"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// TestAForwardingLoopEndsInOneBounce lets two mailboxes on two hosts forward to
// each other (requirement R21).
func TestAForwardingLoopEndsInOneBounce(t *testing.T) {
	t.Parallel()
	network := testhost.NewNetwork(t)
	a := mailHost(t, network, "mx1.example", "alice", "sender")
	b := mailHost(t, network, "mx2.example", "carol")
	own(a, "alice", ".qmail", "&carol@mx2.example\n")
	own(b, "carol", ".qmail", "&alice@mx1.example\n")
	a.StartSuite()
	b.StartSuite()
	sendmail(a, "sender", []string{"alice@mx1.example"}, letter("alice@mx1.example", "round"))
	bounce := a.Maildir("sender").Wait(testhost.Within(t, soon), 1)[0]
	if !strings.Contains(bounce.Text, "looping") {
		t.Errorf("got %s", bounce.Text)
	}
	waitEmpty(t, a)
	waitEmpty(t, b)
	if n := len(a.Maildir("sender").Messages()); n != 1 {
		t.Errorf("%d bounces, want 1", n)
	}
	a.StopSuite()
	b.StopSuite()
}

// TestManyFailuresMakeOneSmallBounce sends one message with a forged sender to
// many who do not exist: the victim gets one bounce, and not one much larger
// than the message with its addresses (requirement R50).
func TestManyFailuresMakeOneSmallBounce(t *testing.T) {
	t.Parallel()
	network := testhost.NewNetwork(t)
	h := mailHost(t, network, "mx1.example", "alice")
	victim := network.Host("victim.example").Sink(":25", nil)
	h.Control("verifyrcpt", "0") // as where every address exists, for a program
	h.StartSuite()
	var nobodies []string
	for n := range 300 {
		nobodies = append(nobodies, fmt.Sprintf("nobody%d@mx1.example", n))
	}
	text := letter("nobody", "forged") + strings.Repeat("amplify me\n", 20_000)
	bad := network.Host("bad.example")
	if err := smtp(testhost.Within(t, soon), bad, h, "person@victim.example", nobodies, text); err != nil {
		t.Fatal(err)
	}
	got := victim.Wait(testhost.Within(t, soon), 1)
	waitEmpty(t, h)
	if got = victim.Accepted(); len(got) != 1 {
		t.Fatalf("%d bounces, want 1", len(got))
	}
	for _, nobody := range nobodies {
		if !strings.Contains(got[0].Text, "<"+nobody+">:") {
			t.Fatalf("the bounce does not name %s", nobody)
		}
	}
	if most := len(text) + 300*len(nobodies); len(got[0].Text) > most {
		t.Errorf("a bounce of %d bytes for a message of %d", len(got[0].Text), len(text))
	}
	h.StopSuite()
}
