package scenario

import (
	"regexp"
	"strings"
	"testing"

	"postrider/internal/testhost"
)

// TestForwardsAreRewritten forwards mail of a foreign domain to another host, and
// sends bounces back to the address that is told there.
func TestForwardsAreRewritten(t *testing.T) {
	t.Parallel()
	net := testhost.NewNetwork(t)
	h := mailHost(t, net, "mx1.example", "alice", "bob")
	far := net.Host("far.example")
	net.Zone().MX("far.example", 10, "far.example")
	net.Zone().MX("else.example", 10, "far.example")
	sink := far.Sink(":25", nil)
	h.Control("srssecret", "a secret that nobody guesses")
	h.Must("chmod", "600", "/var/qmail/control/srssecret")
	own(h, "alice", ".qmail", "&x@far.example\n")
	h.Control("tcp.smtp", far.IP.String()+`:allow,RELAYCLIENT=""`, ":allow")
	h.StartSuite()
	if err := smtp(testhost.Within(t, soon), h, h, "Sam@else.example", []string{"alice@mx1.example"}, letter("alice", "forwarded")); err != nil {
		t.Fatal(err)
	}
	got := sink.Wait(testhost.Within(t, soon), 1)[0]
	if !regexp.MustCompile(`^SRS0=[A-Z2-7]{8}=[A-Z2-7]{2}=else\.example=Sam@mx1\.example$`).MatchString(got.Sender) {
		t.Fatalf("the other host was told %s", got.Sender)
	}
	// A relayed message, one of a user here, and a bounce keep their senders.
	if err := smtp(testhost.Within(t, soon), far, h, "sam@else.example", []string{"x@far.example"}, letter("x", "relayed")); err != nil {
		t.Fatal(err)
	}
	sendmail(h, "bob", []string{"-f", "bob@mx1.example", "x@far.example"}, letter("x", "own"))
	sendmail(h, "bob", []string{"-f", "", "x@far.example"}, letter("x", "bounce"))
	sink.Wait(testhost.Within(t, soon), 4)
	for _, a := range sink.Accepted()[1:] {
		if strings.HasPrefix(a.Sender, "SRS") {
			t.Errorf("%s is told for %s", a.Sender, a.Text)
		}
	}
	// The bounce comes back from a host that may not relay.
	c, err := h.SMTP(testhost.Within(t, soon), h.IP.String()+":25")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Command("MAIL FROM:<>", 2); err != nil {
		t.Fatal(err)
	}
	for address, code := range map[string]int{
		strings.Replace(got.Sender, "Sam", "jim", 1):                    550,
		"SRS0=AAAAAAAA=AA=else.example=sam@mx1.example":                 550,
		"SRS1=AAAAAAAA=else.example==AAAA=AA=x.example=sam@mx1.example": 550,
		strings.ToLower(got.Sender):                                     250,
	} {
		if got := rcptCode(t, c, address); got != code {
			t.Errorf("%s: %d, want %d", address, got, code)
		}
	}
	if err := smtp(testhost.Within(t, soon), h, h, "", []string{got.Sender}, letter("sam", "come back")); err != nil {
		t.Fatal(err)
	}
	back := sink.Wait(testhost.Within(t, soon), 5)[4]
	if back.Sender != "" || len(back.Recipients) != 1 || back.Recipients[0] != "Sam@else.example" {
		t.Errorf("the bounce goes from <%s> to %v", back.Sender, back.Recipients)
	}
	waitEmpty(t, h)
	h.StopSuite()
}
